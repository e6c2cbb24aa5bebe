"""The report page in a real browser: no error, no request, by mouse and by keyboard, light and dark, from desk to phone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ligero.command.main import main
from ligero.reporting import recommendation
from ligero.reporting.page.content import page_data
from ligero.reporting.page.document import write_page
from ligero.reporting.recommendation import System
from ligero.reporting.results import Results
from ligero.settings.load import load_study
from ligero.settings.yaml_files import read_yaml
from tests.builders.browser import chromium, findings, opened
from tests.builders.report import write_report

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def report(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the default study, with made-up figures."""
    root = tmp_path_factory.mktemp("study") / "results"
    write_report(load_study(read_yaml(ROOT / "config.yaml"), ROOT), root)
    return root / "report.html"


@pytest.fixture(scope="module")
def small(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a study of one task."""
    root = tmp_path_factory.mktemp("own") / "results"
    write_report(load_study(read_yaml(ROOT / "config/own-task.yaml"), ROOT), root)
    return root / "report.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 768, 390])
def test_nothing_is_wrong_at_any_width(
    width: int, scheme: str, browser: Browser, report: Path, small: Path
) -> None:
    """Neither for axe-core, with every table open, nor is anything wider than the window."""
    for path in (report, small):
        with opened(browser, path, width, scheme) as page:
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            page.evaluate("document.querySelectorAll('details').forEach((found) => { found.open = true; })")
            page.wait_for_function(
                "[...document.querySelectorAll('details')].every((found) => found.querySelector('table'))"
            )
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            # Rows of a table are alike: a few of them say what axe-core finds in all.
            page.evaluate(
                "document.querySelectorAll('tbody').forEach((body) => [...body.rows].slice(4).forEach((row) => row.remove()))"
            )
            assert findings(page) == []
            empty = page.evaluate(
                "[...document.querySelectorAll('section div[id]')].filter((found) => !found.childElementCount).map((found) => found.id)"
            )
            assert empty == []


def test_dark_is_dark_and_print_is_light(browser: Browser, report: Path) -> None:
    with opened(browser, report, scheme="dark") as page:
        ground = "getComputedStyle(document.body).backgroundColor"
        assert page.evaluate(ground) == "rgb(18, 22, 27)"
        page.emulate_media(media="print")
        assert page.evaluate(ground) == "rgb(255, 255, 255)"
        page.set_viewport_size({"width": 794, "height": 1123})  # A4
        assert page.evaluate("document.documentElement.scrollWidth") <= 794
        assert not page.locator("nav").is_visible() and page.locator("#summary-table table").is_visible()


def test_the_slider_gives_the_answer_of_recommend(
    browser: Browser, report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"milliseconds": ("--max-ms", 1), "megabytes": ("--max-mb", 1), "macs": ("--max-macs", 10**6)}
    with opened(browser, report) as page:
        page.select_option("#task", label="NER")
        for axis, (option, unit) in options.items():
            page.select_option("#axis", axis)
            for position in (50, 400, 950):
                page.locator("#budget").fill(str(position))
                budget = float(page.input_value("#budget-number")) * unit
                arguments = [option, repr(budget), "--results", str(report.parent), "--task", "ner", "--json"]
                main(["recommend", *arguments])
                best = json.loads(capsys.readouterr().out)["recommended"]
                said = page.inner_text("#answer")
                expected = (
                    f"{best['name']} ({'distilled' if best['regime'] == 'distillation' else 'fine-tuned'})"
                    if best
                    else "No system"
                )
                assert expected in said, (axis, budget)


def test_every_control_works_by_keyboard(browser: Browser, report: Path) -> None:
    with opened(browser, report) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        reached = set()
        for _ in range(60):
            page.keyboard.press("Tab")
            reached.add(
                page.evaluate("document.activeElement.id || document.activeElement.tagName.toLowerCase()")
            )
        assert {"task", "axis", "budget", "budget-number", "a", "g", "summary", "button", "input"} <= reached

        page.focus("#task")
        page.keyboard.press("ArrowDown")
        assert "For MLDoc with at most" in page.inner_text("#answer")
        page.focus("#budget")
        page.keyboard.press("Home")
        assert page.inner_text("#answer").startswith("No system needs at most")
        page.keyboard.press("End")
        assert "take" in page.inner_text("#answer")
        page.focus("#budget-number")
        page.keyboard.press("Control+A")
        page.keyboard.type("3.5")
        assert "at most 3.5 ms" in page.inner_text("#answer")

        page.focus("#explorer .mark[tabindex='0']")
        first = page.evaluate("document.activeElement.getAttribute('aria-label')")
        page.keyboard.press("ArrowRight")
        second = page.evaluate("document.activeElement.getAttribute('aria-label')")
        assert first != second and page.inner_text("#tip").split("\n")[0] in second
        page.keyboard.press("Enter")
        assert page.locator("#origin").is_visible() and "ligero why " in page.inner_text("#origin")
        page.keyboard.press("Escape")
        assert not page.locator("#origin").is_visible()

        page.focus("#summary-table th:nth-child(3) button")
        page.keyboard.press("Enter")
        assert page.get_attribute("#summary-table th:nth-child(3)", "aria-sort") == "descending"
        scores = [float(text) for text in page.locator("#summary-table td:nth-child(3)").all_inner_texts()]
        assert len(scores) == 17 and scores == sorted(scores, reverse=True)
        page.keyboard.press("Enter")
        assert page.get_attribute("#summary-table th:nth-child(3)", "aria-sort") == "ascending"
        page.keyboard.press("Shift+Tab")


def test_every_control_works_by_mouse(browser: Browser, report: Path) -> None:
    with opened(browser, report) as page:
        page.hover("#explorer .mark >> nth=3")
        assert page.locator("#tip").is_visible() and re.search(r"\d\d\.\d\d \[", page.inner_text("#tip"))
        page.mouse.move(5, 5)
        assert not page.locator("#tip").is_visible()
        page.click("#tasks-plots .mark >> nth=0")
        assert "on MLDoc" in page.inner_text("#origin-title")
        page.click("#origin >> text=Close")
        page.click("#summary-table button.why >> nth=11")
        assert 'results/summary.csv "ALBETO tiny (distilled)" score' in page.inner_text("#origin code")
        page.click("#origin >> text=Close")
        page.fill("#summary-table input", "albeto distil")
        assert page.locator("#summary-table tbody tr").count() == 6
        assert page.inner_text("#summary-table output") == "6 of 17 rows"
        page.click("a[href='#table-comparison']")
        page.wait_for_selector("#table-comparison table")


def test_an_export_is_explained_by_its_own_score(
    browser: Browser, report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the best and the fastest, and its model had learned the task; its export is no better than the baseline."""

    def exported(results: Results, task: str, system: System) -> list[System]:
        low = replace(
            system, score=41.0, low=39.5, high=42.5, milliseconds=0.01, tokens=9, engine="ONNX int8"
        )
        return [low if (system.regime, system.model) == ("distillation", "albeto-tiny") else system]

    monkeypatch.setattr(recommendation, "_as_exported", exported)
    study = load_study(read_yaml(ROOT / "config.yaml"), ROOT)
    write_page(tmp_path / "report.html", page_data(Results(study, report.parent)))
    with opened(browser, tmp_path / "report.html") as page:
        page.fill("#budget-number", "0.02")
        assert "ALBETO tiny (distilled): 41.00, 0.01 ms" in page.inner_text("#answer")
        page.select_option("#task", label="NER")
        page.fill("#budget-number", "0.02")
        said = page.inner_text("#answer")
        assert "ALBETO tiny (distilled): 41.00 [39.50, 42.50], 0.01 ms" in said and "not learned" in said
        place = [(row.regime, row.model) for row in Results(study, report.parent).rows()].index(
            ("distillation", "albeto-tiny")
        )
        page.dispatch_event(f"#explorer .mark[data-system='{place}']", "click")
        assert page.inner_text("#origin-title") == "ALBETO tiny (distilled) on NER: 41.00"
        text = page.inner_text("#origin-text")
        assert (
            "As exported (ONNX int8, 9 tokens): 41.00 [39.50, 42.50]." in text
            and "Before the export: 7" in text
        )


def test_tables_are_downloaded_as_the_files_are(browser: Browser, report: Path, tmp_path: Path) -> None:
    with opened(browser, report) as page:
        for name in ("summary", "sequence_tagging", "efficiency", "best_hyperparameters", "tradeoff"):
            page.evaluate(f"document.getElementById('table-{name}').open = true")
            with page.expect_download() as download:
                page.click(f"#table-{name} button:has-text('Download CSV')")
            download.value.save_as(tmp_path / name)
            file = report.parent / ("summary.csv" if name == "summary" else f"tables/{name}.csv")
            assert (tmp_path / name).read_bytes() == file.read_bytes(), name
            assert download.value.suggested_filename == f"{name}.csv"


def test_a_page_that_fails_is_noticed(browser: Browser, report: Path, tmp_path: Path) -> None:
    """The checks above would see an error and a request."""
    broken = tmp_path / "broken.html"
    text = report.read_text(encoding="utf-8")
    broken.write_text(
        text.replace('"use strict";', '"use strict"; new Image().src = "data:x"; missing();'),
        encoding="utf-8",
    )
    with pytest.raises(AssertionError, match="missing is not defined"), opened(browser, broken):
        pass
