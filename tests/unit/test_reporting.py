"""Tables and figures from artefacts: values, columns, notes, determinism, files."""

from __future__ import annotations

import csv
import io
import shutil
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ligero.common.errors import ConfigurationError, DataError
from ligero.common.records import read_record, write_record
from ligero.common.thesis_tables import THESIS_TABLES
from ligero.efficiency.truncation import short_count, truncate
from ligero.pretraining.records import PretrainingSummary
from ligero.reporting.published import published_score, read_table
from ligero.reporting.registry import (
    ABLATION,
    SUMMARY,
    TABLES,
    draw_figure,
    figures,
    make_table,
    tables,
)
from ligero.reporting.results import Results
from ligero.reporting.tables.scores import not_learned_note
from ligero.reporting.writing import to_csv, to_markdown
from ligero.settings import plan
from ligero.settings.layout import Layout
from ligero.settings.program import write_resolved
from ligero.settings.study import Study
from tests.builders.results import cells, smaller, write_artefacts

ROOT = Path(__file__).resolve().parents[2]


def _marks(figure: str, results: Results, name: str) -> list[Any]:
    """The marks of a system in a figure of all."""
    place = [row.name for row in results.rows()].index(name)
    return [draw_figure(figure, results).axes[0].containers[place][0]]


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
    compared = make_table("comparison", without)
    assert set(compared[compared["model"] == "BERTIN"]["notes"]) == {reason}


def test_students_of_a_model_left_out_are_left_out_with_it(study: Study, tmp_path: Path) -> None:
    without = Results(study.model_copy(update={"left_out": {"albeto-base": "gone"}}), tmp_path)
    left = {(row.regime, row.name): row.left_out for row in without.rows() if row.left_out}
    students = [("distillation", f"ALBETO base-{depth}") for depth in (2, 4, 6, 8, 10)]
    assert left == dict.fromkeys([("fine-tuning", "ALBETO base"), *students], "gone")


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


# --- other tables -------------------------------------------------------------------------------------------------------


def test_teachers_are_named_with_what_they_were_chosen_by(results: Results, study: Study) -> None:
    row = cells(make_table("teachers", results), dataset="NER")
    losses = results.teacher("ner")["losses"]
    assert row["teacher"] == study.models[min(losses, key=losses.__getitem__)].name
    assert row["next_best"] == study.models[sorted(losses, key=losses.__getitem__)[1]].name
    assert row["rule"] == "validation"
    best, second = sorted(loss for loss in losses.values() if loss is not None)[:2]
    assert (row["validation_loss"], row["next_best_validation_loss"]) == (f"{best:.4f}", f"{second:.4f}")


def test_of_several_teachers_the_table_names_all(study: Study, tmp_path: Path) -> None:
    results = smaller(study, tmp_path)
    chosen = results.teacher("ner")
    first, second, third = sorted(chosen["losses"], key=lambda model: chosen["losses"][model] or 0.0)[:3]
    write_record(results.layout.teacher("ner"), {**chosen, "weights": {first: 0.5, second: 0.5}})
    frame = make_table("teachers", Results(results.study, tmp_path))
    row = cells(frame, dataset="NER")
    assert row["notes"] == f"teaches together with {study.models[second].name}"
    assert (row["teacher"], row["next_best"]) == (study.models[first].name, study.models[third].name)
    assert cells(frame, dataset="POS")["notes"] is None


def test_a_chosen_trial_is_named_with_where_it_was_best(study: Study, tmp_path: Path) -> None:
    results, place = smaller(study, tmp_path), ("distillation", "albeto-base-4", "ner")
    selection = results.selection(*place)  # type: ignore[arg-type]
    best = {"epoch": 1.5, "step": 75, "loss": 0.25, "score": 81.009}
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


def test_what_a_system_costs_is_what_was_counted(results: Results) -> None:
    row = cells(make_table("efficiency", results), regime="fine-tuning", model="ALBETO tiny")
    cost = results.efficiency["fine-tuning", "albeto-tiny"]
    for name in ("parameters", "macs", "speedup", "bytes", "vocabulary_size"):
        assert row[name] == cost[name], name  # type: ignore[literal-required]
    reference = results.efficiency["fine-tuning", results.study.efficiency.reference]
    whole, full = (one["macs"] + one["attention_macs"] for one in (reference, cost))
    assert (row["macs_with_attention"], row["speedup_with_attention"]) == (full, whole / full)
    summary = cells(make_table("summary", results), regime="fine-tuning", model="ALBETO tiny")
    assert (summary["macs"], summary["parameters"]) == (cost["macs"], short_count(cost["parameters"]))


def test_times_are_medians_on_each_device_beside_those_of_the_reference(study: Study, tmp_path: Path) -> None:
    results = smaller(study, tmp_path)
    measured = read_record(results.layout.inference_speed)
    for row in measured["rows"]:
        seconds = 0.0205679 if row["model"] == study.efficiency.reference else 0.0012345
        times = {"median_seconds": seconds, "mean_seconds": 1.0, "inferences_per_second": 1 / seconds}
        row["cpu"] = {**row["cpu"], **times}
        row["gpu"] = {**row["cpu"], "median_seconds": seconds / 10, "inferences_per_second": 10 / seconds}
    measured["conditions"]["gpu"] = "A GPU"
    write_record(results.layout.inference_speed, measured)
    timed = Results(study, tmp_path)
    row = cells(make_table("inference_speed", timed), regime="fine-tuning", model="ALBETO tiny")
    assert {name: row[name] for name in row if name.startswith("cpu_")} == {
        "cpu_inferences_per_second": "810.04", "cpu_speedup": "16.66", "cpu_median_ms": "1.234",
        "cpu_runs_kept": "19 of 20", "cpu_threads": 1,
    }  # fmt: skip
    assert (row["gpu_inferences_per_second"], row["gpu_median_ms"]) == ("8100.44", "0.123")
    assert (row["gpu"], row["notes"]) == ("A GPU", None)
    compared = make_table("comparison", timed)
    for device, found in (("cpu", "810.04"), ("gpu", "8100.44")):
        metric = f"{device}_inferences_per_second"
        assert cells(compared, model="ALBETO tiny", regime="fine-tuning", metric=metric)["measured"] == found
    (points,) = {line.get_xdata()[0] for line in _marks("score_vs_latency", timed, "ALBETO tiny")}
    assert points == pytest.approx(0.12345), "on the GPU where there is one"


def test_scores_of_one_system_are_not_anothers(results: Results) -> None:
    """Every metric in its column, with its own interval; the baselines and what needs no language model likewise."""
    frame = make_table("question_answering", results)
    assert set(frame["notes"]) == {None}
    record = results.score("distillation", "albeto-tiny", "tar")
    baseline = results.baselines(["tar"])["tar"]
    for regime, found in (("distillation", record), ("baseline", baseline)):
        row = cells(
            frame[frame["regime"] == regime], **({"model": "ALBETO tiny"} if regime != "baseline" else {})
        )
        for column, metric in (
            ("f1", "f1"), ("exact_match", "exact_match"), ("f1_mlqa_script", "mlqa_f1"),
            ("exact_match_mlqa_script", "mlqa_exact_match"),
        ):  # fmt: skip
            assert row[f"tar_xquad_{column}"] == str(truncate(found["metrics"][metric])), column
        low, high = found["intervals"]["exact_match"]
        assert row["tar_xquad_exact_match_interval"] == f"[{truncate(low)}, {truncate(high)}]"
    tagging = cells(make_table("sequence_tagging", results), regime="distillation", model="ALBETO tiny")
    score = results.score("distillation", "albeto-tiny", "pos")
    assert tagging["pos_token_accuracy"] == str(truncate(score["metrics"]["accuracy"]))
    ngrams = make_table("text_classification", results).iloc[-2]
    assert (ngrams["model"], ngrams["xnli_accuracy"]) == ("n-grams, logistic regression", "50.00")


def test_vocabularies_stand_with_what_was_counted(results: Results) -> None:
    frame = make_table("tokenizers", results)
    for row, (_, line) in zip(results.tokenizer_quality.rows, frame.iterrows(), strict=True):
        assert line["tokenizer"] == row.tokenizer and line["tokens"] == row.tokens
        assert line["unknown_tokens_percent"] == str(truncate(100 * row.unknown_share, 3))
        assert (line["tokens_per_word"], line["tokens_per_sentence"]) == ("1.600", "8.00")
        assert line["single_token_words_percent"] == "50.00"
        whole = row.task is None
        assert line["text"] == (
            "held-out corpus" if whole else f"{results.study.tasks[row.task or ''].name}, test"
        )
        assert line["notes"] == ("the first 100000 lines" if whole else None)


def test_datasets_show_what_was_read_and_what_is_left(study: Study, tmp_path: Path) -> None:
    results = smaller(study, tmp_path)
    path = results.layout.task_info("ner")
    info = {**read_record(path), "read": {"train": 2500, "validation": 210, "test": 205}, "warnings": ["odd"]}
    write_record(path, {**info, "leaks": {"train_test": {"same_id": 2, "same_text": 3}}})
    row = cells(make_table("datasets", Results(study, tmp_path)), dataset="NER")
    assert (row["train"], row["validation"], row["test"]) == (2000, 200, 200)
    assert row["in_the_files"] == "2500 / 210 / 205" and row["categories"] == len(study.tasks["ner"].labels)
    assert (row["test_ids_seen_in_training"], row["test_texts_seen_in_training"]) == (2, 3)
    assert row["notes"].endswith("; odd")


def test_pretraining_tells_what_it_took_and_reached(study: Study, tmp_path: Path) -> None:
    results = smaller(study, tmp_path)
    folder = Path(results.layout.pretraining_summary("albeto-tiny")).parent
    done = PretrainingSummary.read(folder)
    validation = {
        "loss": 4.0,
        "mlm_loss": 2.45679,
        "mlm_accuracy": 0.4,
        "sop_accuracy": 0.71239,
        "state_loss": 0.3,
    }
    replace(
        done, seconds=5400.0, final={"loss": 2.61239, "mlm_loss": 2.0}, validation=validation, rollbacks=[]
    ).write(folder)
    row = cells(make_table("pretraining_details", Results(study, tmp_path)), model="ALBETO tiny")
    assert (row["training_hours"], row["tokens"], row["rollbacks"]) == ("1.500", done.tokens, 0)
    assert (row["training_loss"], row["validation_mlm_loss"]) == ("2.6123", "2.4567")
    assert (row["validation_sop_accuracy"], row["validation_state_loss"]) == ("0.7123", "0.3000")
    assert (row["unigram_loss"], row["device"]) == ("6.1000", "cpu")


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


def test_pretraining_of_a_users_own_study_needs_no_tpu(study: Study, tmp_path: Path) -> None:
    frame = make_table("pretraining_details", smaller(study, tmp_path, scale="own"))
    assert "training_days_tpu_v3_8" not in frame.columns and "TPU" not in "".join(
        filter(None, frame["notes"])
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
