"""What the report page holds, and what its file is: one valid HTML document that needs nothing from elsewhere."""

from __future__ import annotations

import csv
import json
import random
import re
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from shutil import copy, copytree
from types import SimpleNamespace
from typing import Any

import pytest
from tinyhtml5.parser import HTMLParser

from ligero.command.main import main
from ligero.common.errors import DataError
from ligero.common.records import DamagedError, read_record, write_listing, write_record
from ligero.efficiency.truncation import truncate
from ligero.reporting import recommendation
from ligero.reporting.page.answers import _choice, _gain
from ligero.reporting.page.content import MOST_POINTS, page_data
from ligero.reporting.page.document import document
from ligero.reporting.page.explorer import (
    AXES,
    _cost,
    _means,
    baseline_scores,
    measurements,
    round_budgets,
    steps,
)
from ligero.reporting.page.records import PageData
from ligero.reporting.page.tables import read_table
from ligero.reporting.recommendation import System
from ligero.reporting.records import Figure, write_tradeoff
from ligero.reporting.registry import page_inputs
from ligero.reporting.results import Results
from ligero.settings.load import load_study
from ligero.settings.yaml_files import read_yaml
from tests.builders.report import write_report

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of the default study with its page."""
    root = tmp_path_factory.mktemp("study") / "results"
    write_report(load_study(read_yaml(ROOT / "config.yaml"), ROOT), root)
    return root


@pytest.fixture(scope="module")
def html(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(html: str) -> PageData:
    """The block of data as a browser reads it."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert found
    data: PageData = json.loads(found[1])
    return data


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a study of one task, a teacher and a student."""
    root = tmp_path_factory.mktemp("own") / "results"
    write_report(load_study(read_yaml(ROOT / "config/own-task.yaml"), ROOT), root)
    return root


# --- the file -----------------------------------------------------------------------------------------------------------


def test_it_is_one_small_file_of_valid_html(html: str, own: Path) -> None:
    assert len(html.encode()) < 700_000
    for text in (html, (own / "report.html").read_text(encoding="utf-8")):
        parser = HTMLParser()
        parser.parse(text)
        assert parser.errors == []


def test_it_asks_for_nothing_from_elsewhere(html: str) -> None:
    parser = HTMLParser(namespace_html_elements=False)
    tree = parser.parse(html)
    links = [
        value
        for element in tree.iter()
        for name, value in element.attrib.items()
        if name in ("src", "href", "srcset")
    ]
    assert links and all(link.startswith("#") for link in links)
    assert not [
        element for element in tree.iter() if element.tag in ("link", "iframe", "img", "object", "base")
    ]
    code = html.partition('<script type="application/json"')[0] + html.rpartition("</script>\n<script>")[2]
    assert not re.search(
        r"fetch\(|XMLHttpRequest|WebSocket|import\(|@import|url\(|sendBeacon|EventSource|eval\(", code
    )
    assert set(re.findall(r"https?://[\w./]+", code)) == {"http://www.w3.org/2000/svg"}
    assert "default-src 'none'" in html


def test_ids_are_unique_and_links_lead_somewhere(html: str) -> None:
    tree = HTMLParser(namespace_html_elements=False).parse(html)
    ids = [element.attrib["id"] for element in tree.iter() if "id" in element.attrib]
    assert len(ids) == len(set(ids))
    links = {element.attrib["href"][1:] for element in tree.iter() if "href" in element.attrib}
    assert {link for link in links if not link.startswith("table-")} <= set(ids)


def test_no_text_leaves_its_place(page: PageData) -> None:
    """Names come from a user's configuration."""
    evil = "</script><img src=x onerror=alert(1)>"
    made = document({**page, "study": {**page["study"], "name": evil}})
    assert evil not in made and "&lt;/script&gt;&lt;img" in made and "\\u003c/script>" in made


def test_the_page_is_written_the_same_every_time(folder: Path, html: str) -> None:
    study = load_study(read_yaml(ROOT / "config.yaml"), ROOT)
    assert document(page_data(Results(study, folder))) == html


def test_the_page_reads_no_more_than_the_workflow_gives_it(folder: Path, html: str, tmp_path: Path) -> None:
    """The rule's inputs, and what jobs took, which is no output of a rule."""
    study = load_study(read_yaml(ROOT / "config.yaml"), ROOT)
    layout = Results(study, folder).layout
    for path in page_inputs(layout):
        target = tmp_path / Path(path).relative_to(layout.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        copy(path, target)
    copytree(layout.job_benchmarks, tmp_path / Path(layout.job_benchmarks).relative_to(layout.root))
    assert page_data(Results(study, tmp_path))["summary"] == page_data(Results(study, folder))["summary"]


# --- what it says -------------------------------------------------------------------------------------------------------


def test_figures_are_those_of_the_summary(page: PageData, folder: Path) -> None:
    with (folder / "summary.csv").open(encoding="utf-8", newline="") as handle:
        rows = [row for row in csv.DictReader(handle) if row["regime"] != "baseline"]
    assert len(rows) == len(page["summary"]) == 17
    for row, entry in zip(rows, page["summary"], strict=True):
        system = page["systems"][entry["system"]]
        assert (system["regime"], system["name"]) == (row["regime"], row["model"])
        assert entry["score"] == float(row["score"]) and entry["macs"] == int(row["macs"])
        assert f"{entry['speedup']:.2f}x" == row["speedup"] and (entry["notes"] or "") == row["notes"]
        low, high = entry["interval"] or ()
        assert low <= entry["score"] <= high
    assert f"{truncate(page['baseline'])}" == "40.00"


def test_costs_and_origins_are_those_of_the_records(page: PageData, folder: Path) -> None:
    results = Results(load_study(read_yaml(ROOT / "config.yaml"), ROOT), folder)
    for entry in page["summary"]:
        system = page["systems"][entry["system"]]
        key = (system["regime"], system["id"])
        cost = results.efficiency[key]
        assert (entry["parameters"], entry["megabytes"]) == (cost["parameters"], cost["bytes"] / 1e6)
        assert entry["milliseconds"] == 1000 * (results.speed[key]["cpu"] or {})["median_seconds"]
        trial = results.selection(*key, "ner")["trial"]
        origin = page["scores"][4]["systems"][entry["system"]]["origin"] or ""
        assert origin.startswith("200 test examples; the only trial, validation loss ")
        assert (
            f"batch size {trial['batch_size']}, {trial['epochs']} epochs, learning rate {trial['learning_rate']}"
            in origin
        )
    assert {task["examples"] for task in page["tasks"]} == {200}
    assert [truncate(task["baseline"]) for task in page["tasks"]] == [40] * 8
    assert page["study"]["reference"] == "BETO uncased"
    tiny = next(
        one for one in page["published"] if (one["regime"], one["model"]) == ("distillation", "ALBETO tiny")
    )
    (place,) = (
        n
        for n, one in enumerate(page["systems"])
        if (one["regime"], one["name"]) == ("distillation", "ALBETO tiny")
    )
    assert (tiny["speedup"], tiny["measured_speedup"]) == (18.05, page["summary"][place]["speedup"])
    assert not any(score["published"] for panel in page["scores"] for score in panel["systems"]), (
        "other scales"
    )


def test_curves_end_where_pretraining_did(page: PageData) -> None:
    for curve in page["curves"]:
        assert curve["training"][-1][0] == 300 and 100 < len(curve["training"]) <= MOST_POINTS
        assert [step for step, _ in curve["validation"]][-1] == 300 and curve["plateau"] == 6.1


def test_tables_are_those_of_the_files(page: PageData, folder: Path) -> None:
    names = {path.stem for path in (folder / "tables").glob("*.csv")}
    assert {table["name"] for table in page["tables"]} == names | {"summary"}
    table = next(table for table in page["tables"] if table["name"] == "sequence_tagging")
    kinds = {column["name"]: column["kind"] for column in table["columns"]}
    assert (kinds["model"], kinds["ner_f1"], kinds["ner_f1_interval"]) == ("text", "number", "interval")
    with (folder / "tables/sequence_tagging.csv").open(encoding="utf-8", newline="") as handle:
        first = next(csv.DictReader(handle))
    cells = dict(zip(kinds, table["rows"][0], strict=True))
    assert (
        cells["ner_f1"] == float(first["ner_f1"])
        and str(cells["ner_f1_interval"]) == first["ner_f1_interval"]
    )


def test_a_column_is_numbers_only_if_all_its_cells_are(tmp_path: Path) -> None:
    text = 'a,b,c,d,e,f\n1,1.50x,"[1.00, -2.50]",316K,1e-3,1\n-20,,,1.2M,2e-5,x\n'
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    write_listing(tmp_path / "t.json", ["t.csv"])
    table = read_table("t", tmp_path / "t.csv", "")
    assert [(c["kind"], c["digits"], c["unit"]) for c in table["columns"]] == [
        ("number", 0, ""), ("number", 2, "x"), ("interval", 2, ""), ("printed", 0, ""), ("printed", 0, ""), ("text", 0, ""),
    ]  # fmt: skip
    assert table["rows"] == [
        [1, 1.5, [1.0, -2.5], "316K", "1e-3", "1"],
        [-20, None, None, "1.2M", "2e-5", "x"],
    ]
    with pytest.raises(DataError, match=r"missing\.json: no such file"):
        read_table("t", tmp_path / "missing.csv", "")
    for edited in (text[:-8], text.replace("-20", "-21")):
        (tmp_path / "t.csv").write_text(edited, encoding="utf-8")
        with pytest.raises(DamagedError, match=r"t\.csv: it was changed after it was written.*Delete it"):
            read_table("t", tmp_path / "t.csv", "")


def test_what_a_system_has_not_learned_is_marked(folder: Path, tmp_path: Path) -> None:
    """The lower end of the interval, not the score, must lie above the baseline."""
    copytree(folder, tmp_path / "copy")
    results = Results(load_study(read_yaml(ROOT / "config.yaml"), ROOT), tmp_path / "copy")
    path = Path(results.layout.score("fine-tuning", "beto-cased", "ner"))
    records = read_record(path)
    for record in records["scores"]:
        if (record["model"], record["task"]) == ("beto-cased", "ner"):
            record["intervals"]["f1"] = [40.0, 95.0]
    write_record(path, records)
    measured = results.tradeoff
    for found in measured:
        if found["task"] is None:
            score = found["systems"][2]["score"]
            found["systems"][2]["score"] = score._replace(low=39.0)
    write_tradeoff(Path(results.layout.tradeoff), measured)
    page = page_data(Results(results.study, tmp_path / "copy"))
    assert [entry["learned"] for entry in page["summary"][:4]] == [True, True, False, True]
    entry = page["summary"][1]
    assert entry["not_learned"] == [4] and page["tasks"][4]["name"] == "NER" and entry["learned"]
    assert not page["scores"][4]["systems"][1]["learned"] and page["scores"][4]["systems"][0]["learned"]
    assert "1 of 136 scores are no better than a baseline" in page["answers"][0]["answer"]


def test_answers_say_what_the_study_is(page: PageData, own: Path) -> None:
    assert page["badge"] == "Miniature: not the thesis’ results"
    reality, gain, choice = (entry["answer"] for entry in page["answers"])
    assert reality.startswith("A miniature: 17 systems on 8 tasks, all tiny")
    assert re.match(
        r"(It gains|It loses here|No clear gain): [+−]\d+\.\d\d points on average over fine-tuning alone",
        gain,
    )
    assert re.match(
        r".+ \((fine-tuned|distilled)\) has the best mean score, \d\d\.\d\d \[\d\d\.\d\d, \d\d\.\d\d\], at ",
        choice,
    )
    small = page_data(Results(load_study(read_yaml(ROOT / "config/own-task.yaml"), ROOT), own))
    assert (
        small["answers"][0]["answer"]
        == "Real: a study of your own, 3 systems on 1 task, scored on 200 test examples."
    )
    assert small["published"] == [] and small["curves"] == [] and small["badge"] == "Study of your own"
    assert [view["task"] for view in small["views"]] == [0]


def gained(gains: dict[str, Figure | None]) -> str:
    """What the page says of students with these gains against operations; against bytes they all lose."""
    study = load_study(read_yaml(ROOT / "config.yaml"), ROOT)
    lost = dict.fromkeys(gains, Figure(-9.0, -9.5, -8.5))
    parts = [
        {"task": None, "axis": axis, "systems": [
            {"regime": "distillation", "model": model, "gain": gain, "retention": Figure(97.129 - place, 96.0, 98.0)}
            for place, (model, gain) in enumerate(found.items())
        ] + [{"regime": "fine-tuning", "model": "albeto-tiny", "gain": Figure(0.0, 0.0, 0.0), "retention": Figure(99.0, 98.0, 100.0)}]}
        for axis, found in (("bytes", lost), ("macs", gains))
    ]  # fmt: skip
    results: Any = SimpleNamespace(study=study, tradeoff=parts)
    return _gain(results)


def test_gains_are_told_with_how_certain_they_are() -> None:
    more, less, same = Figure(2.0, 1.0, 3.0), Figure(-1.0, -2.0, -0.5), Figure(0.5, -0.5, 1.5)
    assert gained(
        {"albeto-tiny": more, "albeto-base-2": less, "albeto-base-4": same, "albeto-base-6": None}
    ) == (
        "No clear gain: +0.50 points on average over fine-tuning alone at the same cost (operations), from −1.00 (ALBETO base-2) to "
        "+2.00 (ALBETO tiny). Of 3 students: 1 better, 1 worse with 95 % confidence. 1 other has no fine-tuned systems around its cost "
        "to be compared with."
    )
    assert gained({"albeto-tiny": more, "albeto-base-2": same}).startswith(
        "It gains: +1.25 points on average"
    )
    lost = gained({"albeto-tiny": less, "albeto-base-2": same._replace(value=-0.25)})
    assert lost.startswith("It loses here: −0.62") and "0 better, 1 worse" in lost
    assert gained({"albeto-tiny": more}) == (
        "It gains: ALBETO tiny has +2.00 points [+1.00, +3.00] over fine-tuning alone at the same cost (operations)."
    )
    assert gained({"albeto-tiny": None, "albeto-base-2": None}) == (
        "It cannot be said: no student costs as much as a fine-tuned system does. ALBETO tiny keeps 97.12 % of its teacher’s score."
    )
    assert gained({}) == "No model was distilled in this study."


def test_a_mean_over_other_tasks_is_not_shown_beside_the_published_one(folder: Path, tmp_path: Path) -> None:
    study = load_study(read_yaml(ROOT / "config.yaml"), ROOT).model_copy(update={"scale": "thesis"})
    whole = page_data(Results(study, folder))
    assert whole["comparable"] is None and all(entry["measured_score"] for entry in whole["published"])
    fewer = {key: task for key, task in study.tasks.items() if key != "mldoc"}
    page = write_report(study.model_copy(update={"tasks": fewer}), tmp_path)
    assert {entry["measured_score"] for entry in page["published"]} == {None}
    assert page["published"][0]["measured_speedup"]
    note = "core: mean of 7 tasks (PAWS-X, XNLI, POS, NER, MLQA, SQAC, TAR / XQuAD), not of the thesis' eight"
    assert page["comparable"] == f"s{note}" and f"S{note}".replace("'", "&#39;") in document(page)


def test_a_score_is_explained_by_the_column_of_its_metric(folder: Path) -> None:
    study = load_study(read_yaml(ROOT / "config.yaml"), ROOT)
    tagging = study.tasks["pos"].model_copy(update={"metric": "token_accuracy"})
    page = page_data(Results(study.model_copy(update={"tasks": {**study.tasks, "pos": tagging}}), folder))
    columns = {task["id"]: (task["metric"], task["column"]) for task in page["tasks"]}
    assert columns["pos"] == ("token accuracy", "pos_token_accuracy")
    assert (columns["ner"][1], columns["tar"][1], columns["xnli"][1]) == (
        "ner_f1",
        "tar_xquad_f1",
        "xnli_accuracy",
    )


def test_intervals_of_another_run_are_refused(folder: Path, tmp_path: Path) -> None:
    copytree(folder, tmp_path / "copy")
    results = Results(load_study(read_yaml(ROOT / "config.yaml"), ROOT), tmp_path / "copy")
    measured = results.tradeoff
    for found in measured:
        if found["task"] is None:
            score = found["systems"][0]["score"]
            found["systems"][0]["score"] = score._replace(value=score.value + 0.1)
    write_tradeoff(Path(results.layout.tradeoff), measured)
    with pytest.raises(
        DataError,
        match=r"tradeoff\.json: it has .* for fine-tuning of 'beto-uncased', but the scores give .*forcerun",
    ):
        page_data(Results(results.study, tmp_path / "copy"))


def test_a_system_left_out_keeps_its_place_and_its_reason(tmp_path: Path) -> None:
    study = load_study(read_yaml(ROOT / "config.yaml"), ROOT).model_copy(
        update={"left_out": {"bertin": "its weights are missing"}}
    )
    page = write_report(study, tmp_path)
    place = [system["id"] for system in page["systems"]].index("bertin")
    assert page["systems"][place]["left_out"] == page["summary"][place]["notes"] == "its weights are missing"
    assert page["summary"][place]["score"] is None
    assert all(panel["systems"][place]["score"] is None for panel in page["scores"])
    assert place not in {point["system"] for view in page["views"] for point in view["points"]}


def test_stages_add_up_what_their_jobs_took(page: PageData) -> None:
    stages = {stage["name"]: stage for stage in page["stages"]}
    assert list(stages) == [
        "Generated data", "Corpus", "Vocabularies", "Pretraining", "Fine-tuning", "Teachers’ logits", "Distillation", "Scoring",
        "Size and speed", "Tables and figures",
    ]  # fmt: skip
    tuned = stages["Fine-tuning"]
    assert (tuned["jobs"], tuned["seconds"], tuned["longest"], tuned["peak_megabytes"]) == (
        2,
        64.0,
        61.5,
        400.75,
    )
    assert stages["Corpus"]["jobs"] is None and stages["Corpus"]["seconds"] is None


# --- recommendations ----------------------------------------------------------------------------------------------------

OPTIONS = {"milliseconds": "--max-ms", "megabytes": "--max-mb", "macs": "--max-macs"}


def answer_of(page: PageData, task: int, axis: str, budget: float) -> tuple[str, str] | None:
    """What the page looks up."""
    view = next(view for view in page["views"] if view["task"] == task and view["engine"] == 0)
    cost = next(cost for cost in view["costs"] if cost["id"] == axis)
    reached = [step for step in cost["steps"] if step["budget"] <= budget]
    if not reached:
        return None
    system = page["systems"][view["points"][reached[-1]["best"]]["system"]]
    return system["regime"], system["id"]


@pytest.mark.parametrize("axis", OPTIONS)
def test_every_budget_gives_the_answer_of_recommend(
    axis: str, page: PageData, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random_numbers = random.Random(axis)
    for number, task in enumerate(page["tasks"][3:6], start=3):
        view = next(view for view in page["views"] if view["task"] == number)
        costs: list[Any] = sorted({point[axis] for point in view["points"]})  # type: ignore[literal-required]
        budgets = [costs[0] * 0.99, costs[0], costs[-1], costs[-1] * 1.5, *random_numbers.sample(costs, 2)]
        budgets += [random_numbers.uniform(costs[0], costs[-1]) for _ in range(3)]
        for budget in budgets:
            arguments = [
                "--results",
                str(folder),
                "--task",
                task["id"],
                OPTIONS[axis],
                repr(budget),
                "--json",
            ]
            status = main(["recommend", *arguments])
            best = json.loads(capsys.readouterr().out)["recommended"]
            assert answer_of(page, number, axis, budget) == (best and (best["regime"], best["model"]))
            assert status == (best is None)


def test_the_table_of_choices_gives_the_same_answers(page: PageData) -> None:
    choices = page["choices"]
    assert choices and choices["tasks"] == [None, *range(8)]
    for task, cells in zip(choices["tasks"][1:], choices["cells"][1:], strict=True):
        assert task is not None
        for budget, cell in zip([*choices["budgets"], 1e9], cells, strict=True):
            expected = answer_of(page, task, "milliseconds", budget)
            found = None if cell["system"] is None else page["systems"][cell["system"]]
            assert expected == (found and (found["regime"], found["id"]))


def test_exported_models_come_first_as_recommend_takes_them(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Students were exported, one on NER only: a tenth of the time, a quarter of the bytes, and worse than without a model."""

    def exported(results: Results, task: str, system: System) -> list[System]:
        if system.regime == "fine-tuning" or (system.model == "albeto-base-2" and task != "ner"):
            return [system]
        assert system.milliseconds
        return [
            replace(
                system,
                milliseconds=system.milliseconds / 10,
                megabytes=system.megabytes / 4,
                tokens=len(task),
                engine="ONNX int8",
                **({"score": 39.0, "low": 38.0, "high": 40.0} if system.model == "albeto-tiny" else {}),
            ),
            replace(system, engine="ONNX int8, full depth"),
        ]

    monkeypatch.setattr(recommendation, "_as_exported", exported)
    page = page_data(Results(load_study(read_yaml(ROOT / "config.yaml"), ROOT), folder))
    assert [engine["id"] for engine in page["engines"]] == ["exported", "torch"]
    assert [(view["task"], view["engine"]) for view in page["views"][::9]] == [(None, 0), (None, 1)]
    engines = {point["engine"] for point in page["views"][0]["points"]}
    assert engines == {"torch fp32", "ONNX int8", "torch fp32 / ONNX int8"}
    arguments = ["recommend", "--results", str(folder), "--task", "ner", "--max-ms", "0.5", "--json"]
    main(arguments)
    best = json.loads(capsys.readouterr().out)["recommended"]
    assert answer_of(page, 4, "milliseconds", 0.5) == (best["regime"], best["model"])
    assert best["engine"] == "ONNX int8"

    # What a point says is about what was measured there.
    def point(view: int, regime: str, model: str) -> Any:
        place = [(system["regime"], system["id"]) for system in page["systems"]].index((regime, model))
        return next(found for found in page["views"][view]["points"] if found["system"] == place)

    assert page["engines"][0]["conditions"] == (
        "A processor, 1 thread, a text of median length; systems without an export: PyTorch, 1 thread, 128 tokens"
    )
    assert page["views"][5]["task"] == 4
    tiny, tuned = point(5, "distillation", "albeto-tiny"), point(5, "fine-tuning", "albeto-tiny")
    assert (tiny["score"], tiny["learned"], tiny["tokens"], tiny["exported"]) == (39.0, False, 3, True)
    assert (tuned["learned"], tuned["tokens"], tuned["exported"]) == (True, 128, False)
    assert page["scores"][4]["systems"][tiny["system"]]["learned"], "the score before the export"
    # Means: no interval of other answers beside an export's score, no mean of times on different kinds of input.
    tiny, tuned = point(0, "distillation", "albeto-tiny"), point(0, "fine-tuning", "albeto-tiny")
    assert (tiny["score"], tiny["interval"], tiny["learned"], tiny["tokens"]) == (39.0, None, False, None)
    assert tiny["milliseconds"] and tuned["interval"] and tuned["tokens"] == 128
    assert point(0, "distillation", "albeto-base-2")["milliseconds"] is None
    assert point(0, "distillation", "albeto-base-2")["engine"] == "torch fp32 / ONNX int8"
    assert point(9, "distillation", "albeto-tiny")["interval"], "trained, not exported"
    assert re.search(r"The fastest is [^:]+: \d+\.\d\d ms per text, ", page["answers"][2]["answer"])
    document(page)  # of numbers that JSON has


def test_round_budgets_part_the_times() -> None:
    assert round_budgets([1.09, 2.1, 12.4]) == [2.0, 5.0, 10.0]
    assert round_budgets([30.0, 7000.0]) == [50.0, 200.0, 1000.0, 5000.0]
    assert round_budgets([3.0]) == [5.0]
    assert round_budgets([]) == []


def system(model: str, score: float, milliseconds: float | None) -> System:
    return System(
        "fine-tuning",
        model,
        model,
        score,
        score - 1,
        score + 1,
        1,
        milliseconds,
        512,
        "torch fp32",
        "f",
        model,
        10,
    )


def test_the_best_and_the_fastest_are_named() -> None:
    one: Any = SimpleNamespace(study=SimpleNamespace(tasks=["a"]))
    systems = [
        system("slow", 89.999, 80),
        system("fast", 80, 2.345),
        system("middle", 85, 4),
        system("other", 70, None),
    ]
    assert _choice(one, systems) == (
        "slow (fine-tuned) has the best score, 89.99 [88.99, 90.99], at 80 ms per text of 512 tokens. The fastest is fast (fine-tuned): "
        "2.35 ms per text of 512 tokens, 80.00. The table below answers for each task and time limit."
    )
    assert _choice(one, systems[:1]).endswith(", and is the fastest too.")


def test_answers_change_at_costs_and_say_whether_they_are_certain() -> None:
    found = steps(
        "milliseconds",
        [
            system("a", 90, 8),
            system("b", 80, 2),
            system("c", 70, 4),
            system("d", 89, None),
            system("e", 88.5, 16),
        ],
    )
    assert [(s["budget"], s["best"], s["runner_up"], s["tied"]) for s in found] == [
        (2, 1, None, False), (4, 1, 2, False), (8, 0, 1, False), (16, 0, 4, True),
    ]  # fmt: skip
    assert AXES.keys() == OPTIONS.keys()


def test_efficient_systems_are_named_from_the_cheapest_on() -> None:
    systems = [
        system("a", 90, 8),
        system("b", 80, 2),
        system("c", 70, 4),
        system("d", 95, None),
        system("e", 89, 16),
    ]
    assert _cost("milliseconds", systems)["efficient"] == [1, 0]


def test_means_are_over_the_tasks() -> None:
    tasks = [
        [replace(system("a", 90, 8), megabytes=1)],
        [replace(system("a", 80, 2), megabytes=4, tokens=64)],
    ]
    results: Any = SimpleNamespace(
        study=SimpleNamespace(tasks=["x", "y"]),
        intervals=lambda task: {("fine-tuning", "a"): Figure(85.0, 84.0, 86.5)},
        baselines=lambda tasks: {"x": {"score": 20.0}, "y": {"score": 30.0}},
    )
    (mean,) = _means(results, tasks)
    assert (mean.score, mean.low, mean.high) == (85.0, 84.0, 86.5)
    assert (mean.megabytes, mean.milliseconds, mean.tokens, mean.macs) == (2.5, 5.0, None, 10)
    assert baseline_scores(results) == {None: 25.0, "x": 20.0, "y": 30.0}


def test_times_of_a_gpu_are_an_engine_of_their_own(own: Path, tmp_path: Path) -> None:
    copytree(own, tmp_path / "copy")
    study = load_study(read_yaml(ROOT / "config/own-task.yaml"), ROOT)
    path = tmp_path / "copy/benchmarks/inference_speed.json"
    measured = read_record(path)
    measured["conditions"]["gpu"] = "A GPU"
    for row in measured["rows"]:
        row["cpu"] = {**row["cpu"], "median_seconds": 0.002, "mean_seconds": 1.0}
        row["gpu"] = {**row["cpu"], "median_seconds": 0.0005}
    write_record(path, measured)
    results = Results(study, tmp_path / "copy")
    engines, found = measurements(results)
    length = study.speed.sequence_length
    assert [tuple(engine.values()) for engine in engines] == [
        ("torch", "CPU, PyTorch", f"A processor, 1 thread, {length} tokens, fp32"),
        ("gpu", "GPU, PyTorch", f"A GPU, {length} tokens, fp32"),
    ]
    assert [(one.task, one.engine, {s.milliseconds for s in one.systems}) for one in found] == [
        ("complaints", 0, {2.0}),
        ("complaints", 1, {0.5}),
    ]
    shown = page_data(results)["views"][1]
    cost = results.efficiency["distillation", "albeto-tiny"]
    score = results.score("distillation", "albeto-tiny", "complaints")
    assert shown["points"][2] == {
        "system": 2, "score": score["score"], "interval": tuple(score["intervals"]["accuracy"]), "learned": True, "milliseconds": 0.5,
        "tokens": length, "megabytes": cost["bytes"] / 1e6, "macs": cost["macs"], "engine": "torch fp32", "exported": False,
    }  # fmt: skip


def test_numbers_are_numbers(page: PageData) -> None:
    point = page["views"][0]["points"][0]
    assert all(
        isinstance(value, float)
        for value in (point["score"], *point["interval"], point["milliseconds"], point["megabytes"])
    )
    assert isinstance(point["macs"], int) and Decimal(repr(point["score"])) <= 100
