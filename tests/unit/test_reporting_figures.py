"""Figures and captions: well formed, legible, of the right look, with the scale in them."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ligero.common.errors import DataError
from ligero.pretraining.records import read_metrics
from ligero.reporting.looks import LOOKS, MARKERS, label_of
from ligero.reporting.published import printed_figures
from ligero.reporting.registry import (
    ABLATION,
    captions,
    draw_figure,
    figures,
    tables,
)
from ligero.reporting.results import Results
from ligero.settings import plan
from ligero.settings.layout import Layout
from ligero.settings.study import Study

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "name",
    ["score_vs_macs", "score_vs_macs_pos", "score_vs_latency", "training_loss_beto-cased", "corpus_lengths"],
)
def test_figures_are_well_formed_and_the_same_every_time(name: str, results: Results, tmp_path: Path) -> None:
    from ligero.reporting.figures.style import write_svg

    for copy in ("one.svg", "two.svg"):
        write_svg(draw_figure(name, results), tmp_path / copy)
    first = (tmp_path / "one.svg").read_bytes()
    assert first == (tmp_path / "two.svg").read_bytes()
    assert ET.fromstring(first).tag.endswith("svg")
    assert b"dc:date" not in first


def test_figures_tell_the_scale(results: Results) -> None:
    figure = draw_figure("score_vs_macs", results)
    assert "(miniature)" in figure.axes[0].get_title(loc="left")


def test_names_in_a_figure_do_not_cover_each_other(results: Results) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = draw_figure("score_vs_macs", results)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    names = {label_of(results.study, row.regime, row.model) for row in results.rows()}
    texts = [text for text in figure.axes[0].texts if text.get_text() in names]
    assert len(texts) == len(results.rows())
    # The text alone: an annotation's own extent would include the line to its point.
    boxes = [super(type(text), text).get_window_extent(canvas.get_renderer()) for text in texts]
    for number, one in enumerate(boxes):
        for other in boxes[:number]:
            width = min(one.x1, other.x1) - max(one.x0, other.x0)
            height = min(one.y1, other.y1) - max(one.y0, other.y0)
            assert min(width, height) < 1.0


@pytest.mark.parametrize("name", ["score_vs_macs", "score_vs_latency", "tradeoff_all"])
def test_legends_fit_their_figures(name: str, results: Results) -> None:
    """Six kinds in one row were once cut off at both sides."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = draw_figure(name, results)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    (legend,) = figure.legends
    assert len(legend.get_texts()) >= 7
    box = legend.get_window_extent(canvas.get_renderer())
    assert box.x0 >= 0 and box.x1 <= figure.bbox.width


def test_labels_of_ticks_do_not_collide(results: Results) -> None:
    """In three narrow panels, where a 40 M and a 50 M once did."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = draw_figure("tradeoff_all", results)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    for axes in figure.axes:
        labels = [label for label in axes.get_xticklabels() if label.get_text()]
        boxes = [label.get_window_extent(canvas.get_renderer()) for label in labels]
        assert len(boxes) >= 2
        assert all(left.x1 + 3 < right.x0 for left, right in pairwise(boxes)), [
            one.get_text() for one in labels
        ]


def test_colours_are_those_of_architectures_and_shapes_those_of_kinds(results: Results) -> None:
    from matplotlib.colors import to_hex

    figure = draw_figure("score_vs_macs", results)
    marks = {
        (to_hex(line.get_color()).upper(), line.get_marker())
        for container in figure.axes[0].containers
        for line in [container[0]]
    }
    expected = {(look.colour.upper(), MARKERS[look.shape]) for look in LOOKS.values()}
    assert marks == expected | {(LOOKS["albert"].colour.upper(), MARKERS["square"])}
    assert len({marker for _, marker in marks}) == 5, "architectures differ in greyscale too"


def test_systems_stand_at_their_costs_with_their_intervals(results: Results) -> None:
    for name, task in (("score_vs_macs", None), ("score_vs_macs_pos", "pos")):
        axes = draw_figure(name, results).axes[0]
        scores = results.intervals(task)
        for container, (system, (value, low, high)) in zip(axes.containers, scores.items(), strict=True):
            mark, _, (bar,) = container
            assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (results.efficiency[system]["macs"], value)
            assert bar.get_segments()[0][:, 1].tolist() == pytest.approx([low, high])
        line = max(axes.lines, key=lambda line: len(line.get_xdata()))
        costs = {
            results.efficiency[system]["macs"] for system in scores if system[1].startswith("albeto-base-")
        }
        assert list(line.get_xdata()) == sorted(costs), "students of one model, by cost"
        names = {text.get_text() for text in axes.texts}
        assert (
            names == {label_of(results.study, *system) for system in scores}
            and "ALBETO tiny (distilled)" in names
        )


def test_the_front_joins_its_members_and_only_the_efficient_have_names(results: Results) -> None:
    axes = draw_figure("tradeoff_pos", results).axes[0]
    measured = next(found for found in results.tradeoff if (found["task"], found["axis"]) == ("pos", "macs"))
    members = sorted((s["cost"], s["score"].value) for s in measured["systems"] if s["in_reference"])
    assert list(zip(*axes.lines[0].get_data(), strict=True)) == members
    pale = [container[0].get_alpha() < 1 for container in axes.containers]
    assert pale == [not system["efficient"] for system in measured["systems"]] and any(pale) and not all(pale)
    names = {label_of(results.study, s["regime"], s["model"]) for s in measured["systems"] if s["efficient"]}
    assert {text.get_text() for text in axes.texts} == names


def test_published_scores_are_open_marks_where_the_scales_agree(results: Results, published: Results) -> None:
    def opened(found: Results, figure: str) -> list[float]:
        lines = draw_figure(figure, found).axes[0].lines
        return [line.get_ydata()[0] for line in lines if line.get_markerfacecolor() == "none"]

    printed = [float(figures["score"]) for figures in printed_figures().values()]
    assert opened(published, "score_vs_macs") == printed
    assert opened(published, "score_vs_macs_ner")[:2] == [80.85, 87.14]
    assert opened(results, "score_vs_macs") == []


def test_a_restart_throws_away_what_came_after_its_checkpoint(tmp_path: Path) -> None:
    from ligero.reporting.curves import curve_of, smoothed

    lines: list[dict[str, Any]] = [
        {"step": 0, "event": "start", "parameters": 1},
        *({"step": step, "loss": 3.0, "mlm_loss": 1.0} for step in (1, 2, 3, 4)),
        {"step": 4, "event": "validation", "mlm_loss": 9.0},
        {"step": 5, "event": "rollback", "to_step": 2},
        *({"step": step, "loss": 0.5, "mlm_loss": 0.5} for step in (3, 4, 5)),
        {"step": 5, "event": "validation", "mlm_loss": 0.4, "sop_loss": 0.2},
    ]
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    curve = curve_of(read_metrics(path), path)
    assert curve.kept == [(1, 1.0), (2, 1.0), (3, 0.5), (4, 0.5), (5, 0.5)]
    assert curve.lost == [[(3, 1.0), (4, 1.0)]]
    assert curve.validation == [(5, 0.4)] and curve.restarts == [(5, 2)]
    assert smoothed([(1, 1.0), (2, 3.0)]) == [(1, 1.0), (2, 3.0)]
    means = smoothed([(n, 6.0 * (n % 2)) for n in range(5)])
    assert means == [(0, 3.0), (1, 2.0), (2, 4.0), (3, 2.0), (4, 3.0)]
    lesson: Any = {"step": 1, "loss": 1.2, "mlm_loss": 9.0, "state_loss": 1.1}
    assert curve_of([lesson], path).kept == [(1, 1.1)], "of a model that learns states"


def test_a_restart_is_drawn_from_where_it_went_back_to(results: Results) -> None:
    models = plan.pretrained_models(results.study)
    model = next(model for model in models if results.pretraining_summary(model).rollbacks)
    axes = draw_figure(f"training_loss_{model}", results).axes[0]
    (span,) = axes.patches
    assert (span.get_x(), span.get_width()) == (100, 80)  # type: ignore[attr-defined]
    (line,) = (line for line in axes.lines if line.get_label() == "went back to here after diverging")
    assert set(line.get_xdata()) == {100} and axes.get_ylabel() == "loss at masked tokens, in nats"


def test_a_broken_metrics_file_is_named_with_its_line(tmp_path: Path) -> None:
    from ligero.reporting.curves import curve_of

    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "lo', encoding="utf-8")
    with pytest.raises(DataError, match=r"metrics\.jsonl:2: not valid JSON"):
        curve_of(read_metrics(path), path)
    path.write_text('{"step": 0, "event": "start"}\n', encoding="utf-8")
    with pytest.raises(DataError, match="no training loss"):
        curve_of(read_metrics(path), path)


@pytest.mark.parametrize("scale", ["miniature", "sample", "thesis"])
def test_every_caption_is_valid_markup_and_tells_the_scale(scale: str, study: Study) -> None:
    from types import SimpleNamespace

    from jinja2 import Environment, StrictUndefined

    # As Snakemake's report renders them (snakemake/report/__init__.py).
    environment = Environment(trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    template = environment.from_string((ROOT / "workflow/report/caption.rst").read_text(encoding="utf-8"))
    known = {**captions(study), "ablation": ABLATION.caption}
    paths = [
        *map(Layout(study).table, ("ablation", *tables(study))),
        *map(Layout(study).figure, figures(study)),
    ]
    assert len(paths) == len(known)
    for path in paths:
        job = SimpleNamespace(output=[path], config={"scale": scale, "captions": known})
        assert scale in _html(template.render(snakemake=job))
    workflow = (ROOT / "workflow/report/workflow.rst").read_text(encoding="utf-8")
    job = SimpleNamespace(config={"scale": scale, "name": "A study"})
    assert scale in _html(environment.from_string(workflow).render(snakemake=job))


def test_the_report_of_a_users_own_study_is_not_that_of_the_published_one() -> None:
    """Its configuration may leave the scale out."""
    from types import SimpleNamespace

    from jinja2 import Environment

    environment = Environment(trim_blocks=True, lstrip_blocks=True)
    for scale in ({}, {"scale": "own"}):
        config = {"name": "A study", "captions": {"summary": "Scores."}, **scale}
        job = SimpleNamespace(output=["results/summary.csv"], config=config)
        caption, workflow = (
            _html(
                environment.from_string((ROOT / "workflow/report" / name).read_text("utf-8")).render(
                    snakemake=job
                )
            )
            for name in ("caption.rst", "workflow.rst")
        )
        assert "Scores." in caption and "cale" not in caption
        assert "a study of your own" in workflow
        assert not any(word in workflow for word in ("published", "sample", "miniature", "scale"))


def _html(markup: str) -> str:
    from docutils.core import publish_parts

    return str(publish_parts(markup, writer="html", settings_overrides={"halt_level": 2})["body"])
