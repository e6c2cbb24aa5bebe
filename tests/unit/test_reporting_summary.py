"""Scores, the summary and the comparison: each figure in its own row, as the thesis prints it, with its notes."""

from __future__ import annotations

from pathlib import Path

import pytest

from ligero.common.records import read_record, write_record
from ligero.efficiency.truncation import truncate
from ligero.reporting.published import printed_figures
from ligero.reporting.registry import (
    make_table,
)
from ligero.reporting.results import Results
from ligero.settings.load import load_study
from ligero.settings.study import Study
from ligero.settings.yaml_files import read_yaml
from tests.builders.results import cells, smaller, write_artefacts

ROOT = Path(__file__).resolve().parents[2]


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


def test_another_corpus_is_not_compared_with_the_task_of_the_thesis_whose_id_it_has(
    study: Study, tmp_path: Path
) -> None:
    tasks = study.model_dump(mode="json")["tasks"]
    tasks["ner"]["name"] = "Legal entities"
    frame = make_table("comparison", smaller(study, tmp_path, tasks=tasks))
    found = cells(frame, regime="fine-tuning", model="BETO cased", metric="ner_f1")
    assert found["measured"] is None and found["notes"] == "task ner is not in this configuration"
    assert cells(frame, regime="fine-tuning", model="BETO cased", metric="score")["measured"] is None


@pytest.fixture(scope="module")
def rescored(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """The pocket study, in which a student stays behind its twin, and ALBETO xlarge, by that name alone, learns no questions."""
    config, root = read_yaml(ROOT / "tests/workflow/pocket.yaml"), tmp_path_factory.mktemp("rescored")
    config["models"]["albeto-base"]["name"] = "ALBETO xlarge"
    study = load_study(config, ROOT)
    write_artefacts(study, root)
    layout = Results(study, root).layout

    def rescore(path: str, task: str, values: tuple[float, ...], model: str | None = None) -> None:
        record = read_record(path)
        for one in record.get("scores", [record]):
            if (one["task"], one.get("model")) == (task, model):
                metrics = dict(zip(one["metrics"], values, strict=True))
                one |= {"score": values[0], "metrics": metrics}
                one["intervals"] = {key: [value - 2.5, value + 1.5] for key, value in metrics.items()}
        write_record(path, record)

    for regime, xnli in (("fine-tuning", 72.239), ("distillation", 71.239)):
        for task, values in (
            ("xnli", (xnli,)),
            ("ner", (75.005, 1.0, 2.0, 93.456)),
            ("mlqa", (61.999, 40.005, 63.339, 42.101)),
        ):
            rescore(layout.score(regime, "albeto-tiny", task), task, values, "albeto-tiny")
    for task, values in (
        ("xnli", (70.0,)),
        ("ner", (80.5, 1.0, 2.0, 90.0)),
        ("mlqa", (32.5, 20.0, 33.0, 21.0)),
    ):
        rescore(layout.score("fine-tuning", "albeto-base", task), task, values, "albeto-base")
    for task, values in (
        ("xnli", (33.339,)),
        ("ner", (20.5, 1.0, 2.0, 60.129)),
        ("mlqa", (30.0, 10.019, 31.0, 11.0)),
    ):
        rescore(layout.baseline(task), task, values)
    return Results(study, root)  # fmt: skip


def test_rows_of_scores_are_their_systems_figures_and_notes(rescored: Results) -> None:
    absent = "task sqac is not in this configuration; task tar_xquad is not in this configuration"
    frame = make_table("question_answering", rescored)
    rows = {(row["regime"], row["model"]): row for row in frame.to_dict("records")}
    empty = dict.fromkeys(
        f"{task}_{metric}" for task in ("sqac", "tar_xquad") for metric in ("f1", "exact_match")
    )
    assert rows["distillation", "ALBETO tiny"] == empty | {
        "regime": "distillation", "model": "ALBETO tiny", "mlqa_f1": "61.99", "mlqa_exact_match": "40.00",
        "mlqa_f1_mlqa_script": "63.33", "mlqa_exact_match_mlqa_script": "42.10", "mlqa_f1_interval": "[59.49, 63.49]",
        "mlqa_exact_match_interval": "[37.50, 41.50]", "scale": "miniature", "notes": absent,
    }  # fmt: skip
    baseline = rows["baseline", "most frequent answer"]
    assert (baseline["mlqa_f1"], baseline["mlqa_exact_match_interval"]) == ("30.00", "[7.51, 11.51]")
    notes = {key: row["notes"] for key, row in rows.items() if row["notes"] != absent}
    unlearned = "not learned, no better than the baseline: MLQA"
    assert notes == {("fine-tuning", "ALBETO xlarge"): f"{unlearned}; {absent}"}


def test_rows_of_the_summary_are_their_systems_figures_and_notes(rescored: Results) -> None:
    mean = "score: mean of 3 tasks (XNLI, NER, MLQA), not of the thesis' eight"
    below = (
        "0.33 points below its fine-tuned twin: raise distillation.grid.epochs or learning_rate, or distillation.patience, "
        "and see that its teacher is better than the twin"
    )
    unlearned = "not learned, no better than the baseline: MLQA"
    frame = make_table("summary", rescored)
    columns = ["regime", "model", "parameters", "speedup", "score", "macs", "speedup_arithmetic", "notes"]
    rows = frame[columns].to_numpy().tolist()
    assert rows[1:4] + rows[5:] == [
        ["fine-tuning", "ALBETO tiny", "80K", "2.25x", "69.74", 1_048_576, "exact", mean],
        ["fine-tuning", "ALBETO xlarge", "80K", "1.12x", "61.00", 2_097_152, "exact", f"{unlearned}; {mean}"],
        ["distillation", "ALBETO tiny", "80K", "2.25x", "69.41", 1_048_576, "exact", f"{below}; {mean}"],
        ["baseline", "majority class / most frequent tag of each word / most frequent answer", None, None, "27.94", None, None,
         f"no model: nothing is counted; {mean}"],
    ]  # fmt: skip


def test_rows_of_the_comparison_are_measured_minus_published(rescored: Results) -> None:
    frame = make_table("comparison", rescored)
    columns = ["metric", "published", "corrected", "recomputed", "measured", "difference", "notes"]
    tiny = frame[(frame["regime"] == "distillation") & (frame["model"] == "ALBETO tiny")]
    gone, mini = (
        "task {} is not in this configuration",
        "miniature: models, data and training are tiny; the difference says nothing about the thesis",
    )
    missing = tiny[tiny["measured"].isna()][["metric", "published", "recomputed", "difference", "notes"]]
    assert missing.to_numpy().tolist() == [
        ["mldoc_accuracy", "96.40", None, None, gone.format("mldoc")],
        ["pawsx_accuracy", "85.05", None, None, gone.format("pawsx")],
        ["pos_f1", "97.36", None, None, gone.format("pos")],
        ["sqac_f1", "63.03", None, None, gone.format("sqac")],
        ["sqac_exact_match", "43.35", None, None, gone.format("sqac")],
        ["tar_xquad_f1", "67.47", None, None, gone.format("tar_xquad")],
        ["tar_xquad_exact_match", "46.13", None, None, gone.format("tar_xquad")],
        ["score", "76.49", "76.49", None, "the score needs all eight tasks"],
        ["gpu_inferences_per_second", "539.61", None, None, "no GPU on the machine that measured"],
    ]
    assert tiny[tiny["measured"].notna()][columns].to_numpy().tolist() == [
        ["xnli_accuracy", "75.99", None, None, "71.23", "-4.76", mini],
        ["ner_f1", "72.51", None, None, "75.00", "+2.49", mini],
        ["mlqa_f1", "54.17", None, None, "61.99", "+7.82", mini],
        ["mlqa_exact_match", "32.22", None, None, "40.00", "+7.78", mini],
        ["parameters", "5M", None, None, "80K", "differs", mini],
        ["speedup", "18.05x", None, None, "2.25x", "-15.80", mini],
        ["cpu_inferences_per_second", "32.53", None, None, "979.45", "+946.92", mini],
    ]
    large = frame[(frame["regime"] == "fine-tuning") & (frame["model"] == "ALBETO xlarge")]
    (row,) = large[large["metric"] == "ner_f1"][columns].to_numpy().tolist()
    repeated = "erratum: the printed row repeats ALBETO xxlarge"
    assert row == ["ner_f1", "83.06", "81.42", None, "80.50", "-0.92", f"{repeated}; {mini}"]
