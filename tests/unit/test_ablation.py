"""Ablations of methods: which runs they are, what they depend on, the statistics over seeds and the table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from ligero.common.errors import ConfigurationError, MismatchError
from ligero.common.records import write_record
from ligero.reporting.registry import make_table, tables
from ligero.reporting.results import Results
from ligero.reporting.tables import ablation as ablation_table
from ligero.settings import jobs
from ligero.settings.jobs import ablation_job
from ligero.settings.layout import Layout
from ligero.settings.load import load_study
from ligero.settings.plan import ablation_runs
from ligero.settings.study import Study
from ligero.tasks.bootstrap import PairedTest
from ligero.tasks.metrics import score_classification
from ligero.tasks.significance import Runs

ROOT = Path(__file__).resolve().parents[2]
POCKET = yaml.safe_load((ROOT / "tests/workflow/pocket.yaml").read_text(encoding="utf-8"))


def study_with(**changes: Any) -> Study:
    """The pocket study with other keys in its ablation."""
    return load_study({**POCKET, "ablation": {**POCKET["ablation"], **changes}}, ROOT)


def test_without_a_comparison_there_is_no_run_and_no_table() -> None:
    study = load_study({key: value for key, value in POCKET.items() if key != "ablation"}, ROOT)
    assert ablation_runs(study) == []
    assert "ablation" not in tables(study)
    with pytest.raises(ConfigurationError, match="ablation"):
        ablation_job(study, "ner", "distilled", 1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"student": "nobody"}, "ablation.student"),
        ({"tasks": ["nothing"]}, "ablation.tasks"),
        ({"reference": "unknown"}, "ablation.reference"),
    ],
)
def test_dangling_references_are_named(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        study_with(**changes)


def test_methods_differ_in_what_they_name_and_in_nothing_else() -> None:
    methods = {
        "fine-tuned": {"objective": "gold"},
        "distilled": {},
        "warm": {"temperature": 4.0, "epochs": 7},
    }
    study = study_with(methods=methods)
    gold, plain, warm = (ablation_job(study, "ner", name, 2).shard for name in methods)
    assert gold.distillation is None and (gold.regime, plain.regime) == ("fine-tuning", "distillation")
    assert plain.distillation and warm.distillation
    assert plain.distillation.patience is None  # equal budgets: nobody stops early
    differing = dict(plain.distillation).items() ^ dict(warm.distillation).items()
    assert {key for key, _ in differing} == {"temperature"} and warm.trials[0].epochs == 7
    assert gold.options == plain.options == warm.options and gold.options.seed == 2
    assert gold.trials == plain.trials and gold.trials[0].id.endswith("seed2")


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ({"objective": "gold", "temperature": 2.0}, "'temperature' has no effect with objective: gold"),
        ({"objective": "gold", "loss": "mse"}, "'loss' has no effect with objective: gold"),
        ({"objective": "gold", "alpha": 0.5}, "'alpha' has no effect with objective: gold"),
        ({"objective": "gold", "relations": "hidden"}, "'relations' has no effect with objective: gold"),
        (
            {"objective": "gold", "relation_weight": 2.0},
            "'relation_weight' has no effect with objective: gold",
        ),
        ({"loss": "mse", "temperature": 2.0}, "'temperature' has no effect with loss: mse"),
        (
            {"relations": "none", "relation_weight": 2.0},
            "'relation_weight' has no effect with relations: none",
        ),
    ],
)
def test_keys_without_effect_are_refused(method: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=f"ablation.methods.fine-tuned: the key {words}; remove it"):
        study_with(methods={**POCKET["ablation"]["methods"], "fine-tuned": method})


def test_a_comparison_changes_no_other_job() -> None:
    before, after = study_with(), study_with(epochs=9)
    for cut in (
        lambda s: jobs.shard_job(s, "distillation", "albeto-tiny", 0),
        lambda s: jobs.logits_job(s, "ner"),
        lambda s: jobs.teacher_job(s, "ner"),
    ):
        assert jobs.digest(cut(before)) == jobs.digest(cut(after))
    assert jobs.digest(ablation_job(before, "ner", "distilled", 1)) != jobs.digest(
        ablation_job(after, "ner", "distilled", 1)
    )


# --- statistics over seeds ----------------------------------------------------------------------------------------------


def runs_with(rights: list[list[int]]) -> Runs:
    """Classification runs of which each got these examples right."""
    return Runs.of("accuracy", [score_classification([1] * len(right), right).units for right in rights])


def test_mean_and_deviation_are_over_the_runs() -> None:
    runs = runs_with([[1, 1, 1, 0], [1, 0, 0, 0]])
    assert runs.scores == [75.0, 25.0]
    assert runs.mean == 50.0
    assert runs.deviation == pytest.approx(np.std([75, 25], ddof=1))
    assert runs_with([[1, 0]]).deviation is None


def test_one_run_has_the_interval_of_its_score_file() -> None:
    right = [int(number % 3 > 0) for number in range(90)]
    scored = score_classification([1] * 90, right)
    runs = runs_with([right])
    assert runs.interval(42) == pytest.approx(scored.intervals(42)["accuracy"])
    assert runs.interval(1) != runs.interval(42)


def test_the_paired_test_knows_who_is_better() -> None:
    weak = runs_with([[1] * 60 + [0] * 40, [1] * 55 + [0] * 45])
    strong = runs_with([[1] * 80 + [0] * 20, [1] * 75 + [0] * 25])
    test = strong.against(weak, 42)
    assert test.difference == pytest.approx(20.0) and test.low > 0 and test.p_value < 0.01
    assert weak.against(strong, 42).difference == pytest.approx(-20.0)
    assert weak.against(weak, 42).p_value == 1.0


def test_runs_on_other_examples_are_refused() -> None:
    with pytest.raises(MismatchError, match="examples"):
        runs_with([[1, 0], [1, 0, 1]])


# --- the table ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """Made-up runs: distillation lifts accuracy on XNLI from 50 to 70 or 80, and one more method does nothing."""
    study = study_with(
        tasks=["xnli"],
        seeds=[1, 2],
        methods={"fine-tuned": {"objective": "gold"}, "distilled": {}, "idle": {"name": "Idle"}},
    )
    layout = Layout(study.model_copy(update={"results_dir": str(tmp_path)}))
    right = {"fine-tuned": (100, 100), "distilled": (140, 160), "idle": (101, 99)}
    for task, method, seed in ablation_runs(study):
        units = np.zeros((200, 2))
        units[:, 1] = 1
        units[: right[method][seed - 1], 0] = 1
        of = {"task": task, "method": method, "seed": seed}
        record = {**of, "units": units.tolist(), "steps": 12, "trial": {"epochs": 2, "batch_size": 16}}
        record["trial"]["learning_rate"] = "1e-3"  # type: ignore[index]
        write_record(layout.ablation_run(task, method, seed), record)
    score = {"task": "xnli", "score": 91.239, "intervals": {"accuracy": [88.0, 94.0]}}
    write_record(
        layout.score("fine-tuning", "beto-cased", "xnli"),
        {"regime": "fine-tuning", "scores": [{"model": "beto-cased", **score}]},
    )
    chosen = {
        "task": "xnli",
        "teacher": "beto-cased",
        "rule": "list",
        "losses": {},
        "weights": {"beto-cased": 1.0},
    }
    write_record(layout.teacher("xnli"), chosen)
    return Results(study, tmp_path)


def test_the_table_says_whether_a_method_helped(results: Results) -> None:
    frame = make_table("ablation", results)
    teacher, gold, distilled, idle = frame.to_dict("records")
    assert (teacher["method"], teacher["score"]) == ("teacher: BETO cased", "91.23")
    assert (gold["score"], gold["notes"], gold["helped"]) == ("50.00", "reference", None)
    assert (distilled["score"], distilled["difference"], distilled["helped"]) == ("75.00", "+25.00", "yes")
    assert (idle["method"], idle["score"], idle["helped"]) == ("Idle", "50.00", "not significant")
    assert (idle["seeds"], idle["epochs"], idle["steps"], idle["learning_rate"]) == (2, 2, 12, "1e-3")
    assert (idle["batch_size"], idle["standard_deviation"]) == (16, "0.70")  # of 50.5 and 49.5
    assert (teacher["interval"], teacher["seeds"]) == ("[88.00, 94.00]", 1)
    for cell, value in ((distilled["interval"], 75.0), (distilled["difference_interval"], 25.0)):
        low, high = map(float, cell.strip("[]").split(","))
        assert 0 < value - low < 10 and 0 < high - value < 10
    assert distilled["p_value"] == "0.002" and float(idle["p_value"]) > 0.05


def test_the_table_says_whether_a_method_harmed(results: Results) -> None:
    assert results.study.ablation
    ablation = results.study.ablation.model_copy(update={"reference": "distilled"})
    study = results.study.model_copy(update={"ablation": ablation})
    rows = make_table("ablation", Results(study, Path(results.layout.root))).to_dict("records")
    helped = {row["method"]: (row["difference"], row["helped"]) for row in rows}
    assert helped["fine-tuned"] == helped["Idle"] == ("-25.00", "no")


def test_the_table_reads_what_the_workflow_gives_it(results: Results) -> None:
    written = {str(path) for path in Path(results.layout.root).rglob("*.json")}
    assert set(tables(results.study)["ablation"].inputs(results.layout)) == written


def test_no_difference_has_no_sign_of_less() -> None:
    cells = ablation_table._verdict(PairedTest(-0.001, -1.0, 1.0, 0.9))
    assert (cells["difference"], cells["helped"]) == ("+0.00", "not significant")


@pytest.mark.parametrize(
    ("p_value", "helped"), [(0.07, "not significant"), (0.05, "not significant"), (0.049, "yes")]
)
def test_a_difference_is_significant_below_five_percent(p_value: float, helped: str) -> None:
    assert ablation_table._verdict(PairedTest(1.0, -0.1, 2.0, p_value))["helped"] == helped
