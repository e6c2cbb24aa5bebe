"""Tables and figures from artefacts: values, columns, notes, determinism, files."""

from __future__ import annotations

import csv
import io
import json
import shutil
import xml.etree.ElementTree as ET
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ligero.common.errors import ConfigurationError, DataError
from ligero.common.records import read_record, write_record
from ligero.common.thesis_tables import THESIS_TABLES
from ligero.efficiency.truncation import truncate
from ligero.pretraining.records import read_metrics
from ligero.reporting.looks import LOOKS, MARKERS, label_of
from ligero.reporting.published import corrected, printed_figures, published_score, read_table
from ligero.reporting.registry import (
    ABLATION,
    SUMMARY,
    TABLES,
    captions,
    draw_figure,
    figures,
    make_table,
    tables,
)
from ligero.reporting.results import Results
from ligero.reporting.tables.scores import not_learned_note
from ligero.reporting.writing import to_csv, to_markdown
from ligero.settings import plan
from ligero.settings.jobs import efficiency_job
from ligero.settings.layout import Layout
from ligero.settings.load import load_study
from ligero.settings.program import write_resolved
from ligero.settings.study import REGIMES, Study
from ligero.settings.tasks import stem
from ligero.settings.yaml_files import read_yaml
from tests.builders.results import write_artefacts

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def study() -> Study:
    return load_study(read_yaml(ROOT / "config.yaml"), ROOT)


@pytest.fixture(scope="module")
def results(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """The default study with made-up figures; tests must not change it."""
    root = tmp_path_factory.mktemp("results")
    write_artefacts(study, root)
    return Results(study, root)


def smaller(study: Study, root: Path, **changes: Any) -> Results:
    """A study with other contents and artefacts of its own."""
    changed = Study.model_validate({**study.model_dump(mode="json"), **changes})
    write_artefacts(changed, root)
    return Results(changed, root)


def cells(frame: pd.DataFrame, **where: str) -> dict[str, Any]:
    """The one row in which the given columns have the given values."""
    chosen = frame
    for column, value in where.items():
        chosen = chosen[chosen[column] == value]
    assert len(chosen) == 1, (where, len(chosen))
    return {str(column): value for column, value in chosen.iloc[0].items()}


# --- what every table keeps ---------------------------------------------------------------------------------------------


def test_every_entry_names_a_function_that_is_there(study: Study) -> None:
    for entry in (*TABLES, ABLATION, SUMMARY, *figures(study).values()):
        module, function = entry.function.split(":")
        assert callable(getattr(import_module(f"ligero.reporting.{module}"), function)), entry.name


@pytest.mark.parametrize("name", [entry.name for entry in (*TABLES, SUMMARY)])
def test_every_table_has_the_thesis_columns_first_and_says_its_scale(name: str, results: Results) -> None:
    frame = make_table(name, results)
    assert len(frame)
    assert set(frame["scale"]) == {"miniature"}
    reference = THESIS_TABLES / f"{name}.csv"
    if reference.exists():
        with reference.open(encoding="utf-8", newline="") as handle:
            wanted = next(csv.reader(handle))
        assert list(frame.columns)[: len(wanted)] == wanted


@pytest.mark.parametrize("name", [entry.name for entry in (*TABLES, SUMMARY)])
def test_every_table_reads_no_more_than_the_workflow_gives_it(
    name: str, results: Results, tmp_path: Path
) -> None:
    """The rule's inputs are all that a cluster job may count on."""
    for path in tables(results.study)[name].inputs(results.layout):
        target = tmp_path / Path(path).relative_to(results.layout.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(Path(path).read_bytes())
    assert to_csv(make_table(name, Results(results.study, tmp_path))) == to_csv(make_table(name, results))


def test_an_unknown_table_or_figure_is_refused_by_name(results: Results) -> None:
    with pytest.raises(ConfigurationError, match="no table 'scores' in this study; known: corpus"):
        make_table("scores", results)
    with pytest.raises(ConfigurationError, match="no figure 'score_vs_price'"):
        draw_figure("score_vs_price", results)


def test_a_missing_artefact_is_an_error_that_names_it(results: Results, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"efficiency\.json: no such file"):
        make_table("efficiency", Results(results.study, tmp_path))


# --- scores -------------------------------------------------------------------------------------------------------------


def test_score_tables_print_metrics_truncated_with_intervals(results: Results) -> None:
    record = results.scores(["ner"])["fine-tuning", "beto-cased", "ner"]
    row = cells(make_table("sequence_tagging", results), regime="fine-tuning", model="BETO cased")
    f1 = record["metrics"]["f1"]
    assert row["ner_f1"] == f"{int(f1 * 100) / 100:.2f}"
    assert float(row["ner_token_accuracy"]) <= record["metrics"]["accuracy"]
    assert row["ner_f1_interval"].startswith("[")


def test_a_task_is_explained_by_its_own_metric(study: Study, tmp_path: Path) -> None:
    """The interval of the metric that counts is printed, the thesis' figures of another metric are not set beside it."""
    tasks = study.model_dump(mode="json")["tasks"]
    tasks["pos"]["metric"] = "token_accuracy"
    other = smaller(study, tmp_path, tasks=tasks)
    frame = make_table("sequence_tagging", other)
    assert list(frame.columns)[-5:] == [
        *("pos_f1_interval", "pos_token_accuracy_interval", "ner_f1_interval", "scale", "notes"),
    ]
    row = cells(frame, regime="fine-tuning", model="BETO cased")
    low, high = other.score("fine-tuning", "beto-cased", "pos")["intervals"]["accuracy"]
    assert row["pos_token_accuracy_interval"] == f"[{truncate(low)}, {truncate(high)}]"
    assert published_score(other.study, "fine-tuning", "beto-cased", "pos") is None
    assert published_score(other.study, "fine-tuning", "beto-cased", "ner") == 87.14
    assert published_score(other.study, "fine-tuning", "beto-cased", None) is None
    assert "POS by token_accuracy, NER, MLQA" in make_table("summary", other)["notes"].iloc[0]


def test_rows_stand_in_the_order_of_the_configuration_and_baselines_last(results: Results) -> None:
    frame = make_table("text_classification", results)
    names = [(row.regime, row.name) for row in results.rows()]
    last = [
        ("baseline", "majority class"),
        ("without a language model", "n-grams, logistic regression"),
        ("without a language model", "static embeddings of BETO cased, logistic regression"),
    ]
    assert list(zip(frame["regime"], frame["model"], strict=True)) == [*names, *last]
    assert "mldoc: 2.0 MB, 0.25 ms per text" in frame["notes"].iloc[-1]
    assert list(frame["model"])[:3] == ["BETO uncased", "BETO cased", "DistilBETO"]


def test_static_embeddings_have_a_row_or_the_reason_why_not(results: Results, tmp_path: Path) -> None:
    shutil.copytree(results.layout.root, tmp_path, dirs_exist_ok=True)
    here = Results(results.study, tmp_path)
    for task, teacher in (("mldoc", "BETO cased"), ("xnli", "BETO uncased")):
        record = {**results.baselines([task])[task]["ngrams"], "score": 71.5}
        record["name"] = f"static embeddings of {teacher}, logistic regression"
        record["metrics"] = {"accuracy": 71.5}
        write_record(Path(here.layout.static_embeddings(task)), {"scored": record, "reason": ""})
    missing = {"scored": None, "reason": "all training examples have the same label"}
    write_record(Path(here.layout.static_embeddings("pawsx")), missing)
    last = make_table("text_classification", here).iloc[-1]
    assert (last["regime"], last["model"]) == (
        "without a language model",
        "static embeddings, logistic regression",
    )
    assert (last["mldoc_accuracy"], last["xnli_accuracy"]) == ("71.50", "71.50")
    assert "mldoc: static embeddings of BETO cased, logistic regression, 2.0 MB, 0.25 ms" in last["notes"]
    assert "pawsx: not measured, all training examples have the same label" in last["notes"]
    assert last["pawsx_accuracy"] is None
    without = smaller(results.study, tmp_path / "without", distillation=None, ablation=None)
    last = make_table("text_classification", without).iloc[-1]
    assert last["model"] == "static embeddings, logistic regression"
    assert last["notes"].startswith("mldoc: not measured, without distillation no task has a teacher")


def test_a_task_of_the_thesis_that_a_study_lacks_keeps_its_column_and_gets_a_note(
    study: Study, tmp_path: Path
) -> None:
    tasks = {
        name: task
        for name, task in study.model_dump(mode="json")["tasks"].items()
        if name not in ("mldoc", "xnli")
    }
    few = smaller(study, tmp_path, tasks=tasks)
    row = cells(make_table("text_classification", few), regime="fine-tuning", model="BETO cased")
    assert row["mldoc_accuracy"] is None and row["xnli_accuracy"] is None and row["pawsx_accuracy"]
    assert "task mldoc is not in this configuration" in row["notes"]
    summary = cells(make_table("summary", few), regime="fine-tuning", model="BETO cased")
    assert (
        "mean of 6 tasks (PAWS-X, POS, NER, MLQA, SQAC, TAR / XQuAD), not of the thesis' eight"
        in summary["notes"]
    )
    assert summary["score"] is not None
    compared = cells(make_table("comparison", few), regime="fine-tuning", model="BETO cased", metric="score")
    assert compared["measured"] is None and compared["notes"] == "the score needs all eight tasks"


def test_what_a_system_has_not_learned_is_marked(study: Study) -> None:
    """Where the interval of its score holds the baseline's score or lies below it; a point above is not enough."""

    def record(score: float, low: float, high: float) -> dict[str, Any]:
        return {"score": score, "intervals": {"accuracy": [low, high], "f1": [low, high]}}

    baselines = {
        "mldoc": {"score": 25.0},
        "pawsx": {"score": 50.0},
        "xnli": {"score": 33.3},
        "ner": {"score": 48.0},
    }
    found = {
        "mldoc": record(90.0, 86.0, 94.0),
        "pawsx": record(53.0, 49.0, 57.0),
        "xnli": record(36.0, 33.3, 39.0),
        "ner": record(20.0, 15.0, 25.0),
        "pos": record(20.0, 15.0, 25.0),
    }
    assert not_learned_note(study, found, baselines) == (
        "not learned, no better than the baseline: PAWS-X, XNLI, NER"
    )
    assert not_learned_note(study, {"mldoc": found["mldoc"]}, baselines) is None
    assert not_learned_note(study, {"pawsx": {"score": 53.0, "intervals": {}}}, baselines) is None, (
        "nothing is known of its spread"
    )


def test_a_task_of_ones_own_gets_columns_by_its_id(study: Study, tmp_path: Path) -> None:
    tasks = study.model_dump(mode="json")["tasks"]
    tasks["my-topics"] = {**tasks["mldoc"], "name": "My topics"}
    more = smaller(study, tmp_path, tasks=tasks)
    frame = make_table("text_classification", more)
    assert cells(frame, regime="fine-tuning", model="BERTIN")["my_topics_accuracy"]
    assert list(frame.columns).index("my_topics_accuracy") == 5  # right after the thesis' columns


def test_a_model_left_out_keeps_its_row_with_the_reason(study: Study, tmp_path: Path) -> None:
    reason = "its local weights models/e5 are not there"
    without = smaller(study, tmp_path, left_out={"bertin": reason})
    for name in ("text_classification", "efficiency", "inference_speed", "summary", "pretrained_models"):
        frame = make_table(name, without)
        frame = frame[frame["model"] == "BERTIN"]
        assert len(frame) == 1 and reason in frame.iloc[0]["notes"], name
    assert cells(make_table("summary", without), regime="fine-tuning", model="BERTIN")["score"] is None


def test_scores_of_another_run_are_refused(results: Results, tmp_path: Path, study: Study) -> None:
    write_artefacts(study, tmp_path)
    path = Path(
        Layout(study.model_copy(update={"results_dir": str(tmp_path)})).score("fine-tuning", "bertin", "pos")
    )
    kept = [record for record in read_record(path)["scores"] if record["model"] != "bertin"]
    write_record(path, {"regime": "fine-tuning", "scores": kept})
    with pytest.raises(DataError, match=r"shard-[\d-]+\.json: it has no score of 'bertin' on 'pos'"):
        make_table("sequence_tagging", Results(study, tmp_path))


def test_measurements_of_another_configuration_are_refused(study: Study, tmp_path: Path) -> None:
    write_artefacts(study, tmp_path)
    found = Results(study, tmp_path)
    measured = read_record(found.layout.efficiency)
    write_record(found.layout.efficiency, {**measured, "rows": measured["rows"][1:]})
    with pytest.raises(DataError, match=r"efficiency\.json: it has no row for fine-tuning of 'beto-uncased'"):
        make_table("summary", found)


# --- summary and comparison ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """The thesis' configuration with the thesis' own figures as artefacts: everything must come out as printed."""
    from ligero.efficiency.macs import measure
    from ligero.settings import plan

    thesis = load_study(read_yaml(ROOT / "config" / "thesis.yaml"), ROOT)
    root = tmp_path_factory.mktemp("thesis")
    write_artefacts(thesis, root)
    found = Results(thesis, root)
    write_record(found.layout.efficiency, measure(efficiency_job(thesis), {}))
    figures = printed_figures()
    names = {system: plan.system_name(thesis, *system) for system in plan.systems(thesis)}
    right = {
        (regime, model): corrected((regime, name), figures[regime, name])
        for (regime, model), name in names.items()
    }
    for regime in REGIMES:
        for path in (root / "scores" / regime).iterdir():
            records = read_record(path)["scores"]
            for record in records:
                prefix = stem(record["task"], thesis.tasks[record["task"]])
                metrics = {
                    column.removeprefix(f"{prefix}_"): float(cell)
                    for column, cell in right[regime, record["model"]].items()
                    if column.startswith(f"{prefix}_")
                }
                record.update(metrics=metrics, score=metrics.get("accuracy", metrics.get("f1")))
            write_record(path, {"regime": regime, "scores": records})
    return found


def test_from_the_thesis_task_figures_the_summary_comes_out_as_printed(published: Results) -> None:
    frame = make_table("summary", published)
    for (regime, name), printed in printed_figures().items():
        row = cells(frame, regime=regime, model=name)
        assert {key: row[key] for key in ("parameters", "speedup", "score")} == {
            key: printed[key] for key in ("parameters", "speedup", "score")
        }
        assert row["speedup_arithmetic"] == "thesis"


def test_the_comparison_finds_no_difference_but_the_erratum(published: Results) -> None:
    frame = make_table("comparison", published)
    assert len(frame) == 17 * 16
    counted = frame[~frame["metric"].str.endswith("_per_second")]
    assert set(counted["difference"]) <= {"+0.00", "0.00", "equal"}
    errata = counted[counted["corrected"].notna()]
    assert [
        tuple(row)
        for row in errata[["model", "metric", "published", "corrected", "measured"]].itertuples(index=False)
    ] == [
        ("ALBETO xlarge", "pos_f1", "98.43", "98.20", "98.20"),
        ("ALBETO xlarge", "ner_f1", "83.06", "81.42", "81.42"),
    ]
    scores = counted[counted["metric"] == "score"]
    assert list(scores["recomputed"]) == list(scores["published"])


def test_models_too_small_for_the_thesis_arithmetic_get_exact_speedups(results: Results) -> None:
    macs = {model: results.efficiency[regime, model]["macs"] for regime, model in results.efficiency}
    exact = macs[results.study.efficiency.reference] / macs["albeto-base-10"]
    row = cells(make_table("summary", results), regime="distillation", model="ALBETO base-10")
    assert (row["speedup"], row["speedup_arithmetic"]) == (f"{truncate(exact)}x", "exact")
    efficiency = cells(make_table("efficiency", results), regime="distillation", model="ALBETO base-10")
    assert efficiency["speedup"] == pytest.approx(exact, abs=0.005)
    assert efficiency["thesis_speedup"] is None and "below 1 GMAC" in efficiency["notes"]


def test_the_comparison_of_a_miniature_says_what_it_is_worth(results: Results) -> None:
    row = cells(make_table("comparison", results), regime="fine-tuning", model="BETO cased", metric="ner_f1")
    assert row["published"] == "87.14" and row["measured"]
    assert row["notes"].startswith("miniature:")


# --- other tables -------------------------------------------------------------------------------------------------------


def test_another_corpus_is_not_compared_with_the_task_of_the_thesis_whose_id_it_has(
    study: Study, tmp_path: Path
) -> None:
    tasks = study.model_dump(mode="json")["tasks"]
    tasks["ner"]["name"] = "Legal entities"
    frame = make_table("comparison", smaller(study, tmp_path, tasks=tasks))
    found = cells(frame, regime="fine-tuning", model="BETO cased", metric="ner_f1")
    assert found["measured"] is None and found["notes"] == "task ner is not in this configuration"
    assert cells(frame, regime="fine-tuning", model="BETO cased", metric="score")["measured"] is None


def test_teachers_are_named_with_what_they_were_chosen_by(results: Results, study: Study) -> None:
    row = cells(make_table("teachers", results), dataset="NER")
    losses = results.teacher("ner")["losses"]
    assert row["teacher"] == study.models[min(losses, key=losses.__getitem__)].name
    assert row["next_best"] == study.models[sorted(losses, key=losses.__getitem__)[1]].name
    assert row["rule"] == "validation"


def test_a_chosen_trial_is_named_with_where_it_was_best(study: Study, tmp_path: Path) -> None:
    results, place = smaller(study, tmp_path), ("distillation", "albeto-base-4", "ner")
    selection = results.selection(*place)  # type: ignore[arg-type]
    best = {"epoch": 1.5, "step": 75, "loss": 0.25, "score": 81.0}
    write_record(results.layout.selection(*place), {**selection, "best": best})  # type: ignore[arg-type]
    frame = make_table("best_hyperparameters", Results(results.study, tmp_path))
    row = cells(frame, regime="distillation", model="ALBETO base-4", task="NER")
    for name in ("batch_size", "epochs", "learning_rate", "seed"):
        assert row[name] == selection["trial"][name]  # type: ignore[literal-required]
    assert (row["best_epoch"], row["best_step"]) == ("1.5", 75)
    assert (row["validation_loss"], row["validation_score"]) == ("0.2500", "81.00")
    assert row["trials"] == len(selection["candidates"])


def test_a_study_without_students_has_an_empty_table_of_teachers(study: Study, tmp_path: Path) -> None:
    frame = make_table("teachers", smaller(study, tmp_path, distillation=None))
    assert len(frame) == 0 and list(frame.columns)[:2] == ["dataset", "teacher"]


def test_costs_are_added_up_a_stage_and_device(results: Results, study: Study) -> None:
    table = make_table("cost", results)
    trials = sum(
        len(plan.trials_of(study, "distillation", student)) for student in study.distillation.students
    )  # type: ignore[union-attr]
    distilled = cells(table, stage="distillation")
    assert (distilled["runs"], distilled["device"]) == (trials, "cpu, 2 threads")
    assert float(distilled["device_hours"]) == pytest.approx(trials * 18 / 3600, abs=1e-4)
    assert (distilled["thesis_runs"], distilled["thesis_device_hours"]) == ("336", "1080")
    cached = cells(table, stage="teacher logits")
    assert (cached["runs"], cached["device_hours"]) == (8, "0.0800")
    scored = cells(table, stage="scoring")
    assert (scored["runs"], scored["device"], scored["device_hours"]) == (17 * 8, "A GPU", "0.2720")
    whole = cells(table, stage="all")
    parts = table[table["stage"] != "all"]
    assert whole["runs"] == sum(parts["runs"])
    assert float(whole["device_hours"]) == pytest.approx(sum(map(float, parts["device_hours"])), abs=1e-3)


def test_the_published_days_of_pretraining_are_its_device_hours() -> None:
    (hours,) = [row["device_hours"] for row in read_table("device_hours") if row["stage"] == "pretraining"]
    days = [float(row["training_days_tpu_v3_8"]) for row in read_table("pretraining_details")]
    assert float(hours) == pytest.approx(24 * sum(days))


def test_datasets_show_published_counts_leaks_and_notes(results: Results) -> None:
    row = cells(make_table("datasets", results), dataset="TAR / XQuAD")
    assert (row["task_type"], row["categories"], row["train"]) == ("Question Answering", "-", 2000)
    assert row["published_counts"] == "87595 / 10570 / 1190"
    assert row["test_texts_seen_in_training"] == 3 and "leak" in row["notes"]


def test_restarts_of_pretraining_are_told(results: Results) -> None:
    frame = make_table("pretraining_details", results)
    restarted = frame[frame["rollbacks"] > 0]
    assert len(restarted) and all(
        "restarts from an earlier checkpoint" in note for note in restarted["notes"]
    )


# --- files --------------------------------------------------------------------------------------------------------------


def test_csv_round_trips_and_empty_cells_are_empty() -> None:
    frame = pd.DataFrame({"a": ["x, y", None], "b": [1, None]}, dtype=object)
    assert list(csv.reader(io.StringIO(to_csv(frame)))) == [["a", "b"], ["x, y", "1"], ["", ""]]


def test_markdown_escapes_pipes_and_keeps_columns_straight() -> None:
    frame = pd.DataFrame({"name": ["a|b", "c"], "score": ["84.82", None]}, dtype=object)
    lines = to_markdown(frame).splitlines()
    assert lines[2] == r"| a\|b | 84.82 |"
    assert len({len(line) for line in lines}) == 1


def test_the_program_writes_three_files(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import make_table

    config = tmp_path / "config.json"
    write_resolved(config, results.study)
    outputs = [tmp_path / f"summary.{kind}" for kind in ("csv", "md", "tex")]
    monkeypatch.setattr(
        "sys.argv",
        [
            "make_table.py",
            "--config",
            str(config),
            "--table",
            "summary",
            "--results",
            results.layout.root,
            "--out",
            str(outputs[0]),
        ],
    )
    make_table.main()
    assert all(path.stat().st_size > 500 for path in outputs)


# --- figures ------------------------------------------------------------------------------------------------------------


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


def test_a_broken_metrics_file_is_named_with_its_line(tmp_path: Path) -> None:
    from ligero.reporting.curves import curve_of

    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "lo', encoding="utf-8")
    with pytest.raises(DataError, match=r"metrics\.jsonl:2: not valid JSON"):
        curve_of(read_metrics(path), path)
    path.write_text('{"step": 0, "event": "start"}\n', encoding="utf-8")
    with pytest.raises(DataError, match="no training loss"):
        curve_of(read_metrics(path), path)


# --- captions -----------------------------------------------------------------------------------------------------------


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


def _html(markup: str) -> str:
    from docutils.core import publish_parts

    return str(publish_parts(markup, writer="html", settings_overrides={"halt_level": 2})["body"])
