"""The cost table: ablations, augmented logits and searches beside the stages that every study has."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from ligero.common.records import DamagedError, read_record, write_record
from ligero.pretraining.records import PretrainingSummary
from ligero.reporting.registry import make_table, tables
from ligero.reporting.results import Results
from ligero.settings import plan
from ligero.settings.load import load_study
from ligero.settings.plan import ablation_runs, augmented_tasks
from tests.builders.results import write_artefacts

ROOT = Path(__file__).resolve().parents[2]
POCKET = yaml.safe_load((ROOT / "tests/workflow/pocket.yaml").read_text(encoding="utf-8"))


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """The pocket study, which compares three methods on two tasks, one of them on unlabelled examples."""
    study = load_study(POCKET, ROOT)
    write_artefacts(study, tmp_path)
    found = Results(study, tmp_path)
    for task in augmented_tasks(study):
        run = {"teacher": "beto-cased", "seconds": 72.0, "device": "cpu", "threads": 1}
        write_record(found.layout.augmented_logits_cost(task), {"task": task, "runs": [run]})
    for task, method, seed in ablation_runs(study):
        record = {"training_seconds": 30.0, "seconds": 6.0, "device": "cpu", "threads": 1}
        of = {"task": task, "method": method, "seed": seed}
        write_record(found.layout.ablation_run(task, method, seed), {**of, **record})
    return found


def stages(results: Results) -> dict[str, dict[str, Any]]:
    return {str(row["stage"]): dict(row) for _, row in make_table("cost", results).iterrows()}


def search(
    results: Results, *, seconds: list[float | None], devices: tuple[str, str] = ("cpu", "cpu")
) -> Path:
    """Records of a search by two workers of three trials."""
    folder = Path(results.layout.searches) / "albeto-tiny" / "ner"
    for number, took in enumerate((100.0, 60.0)):
        record = {"trials": 2 - number, "seconds": took, "device": devices[number], "threads": 1}
        write_record(folder / f"worker-{number}.json", record)
    write_record(folder / "summary.json", {"rows": [{"seconds": took} for took in seconds]})
    return folder


@pytest.mark.parametrize(
    ("place", "other", "said"),
    [
        ("ablation/ner/distilled/seed-1.json", "ablation/ner/augmented/seed-1.json", "method is 'augmented', expected 'distilled'"),
        ("ablation/ner/distilled/seed-1.json", "ablation/xnli/distilled/seed-1.json", "task is 'xnli', expected 'ner'"),
        ("logits/ner/cost.json", "logits/xnli/cost.json", "task is 'xnli', expected 'ner'"),
        ("augmented/logits/ner/cost.json", "augmented/logits/xnli/cost.json", "task is 'xnli', expected 'ner'"),
        ("trials/fine-tuning/albeto-tiny/shard-0.json", "trials/fine-tuning/beto-cased/shard-0.json", "model is 'beto-cased', expected 'albeto-tiny'"),
        ("trials/distillation/albeto-tiny/shard-0.json", "trials/fine-tuning/albeto-tiny/shard-0.json", "regime is 'fine-tuning', expected 'distillation'"),
        ("pretraining/albeto-tiny/summary.json", "pretraining/albeto-base/summary.json", "model is 'albeto-base', expected 'albeto-tiny'"),
    ],
)  # fmt: skip
def test_the_record_of_another_is_refused(results: Results, place: str, other: str, said: str) -> None:
    root = Path(results.layout.root)
    shutil.copy(root / other, root / place)
    with pytest.raises(DamagedError, match=f"{place}: its {said}"):
        stages(results)


def test_a_comparison_and_its_unlabelled_examples_cost(results: Results) -> None:
    found = stages(results)
    assert augmented_tasks(results.study) == ["ner", "xnli"]
    cost = found["ablation"]
    assert (cost["runs"], cost["device_hours"], cost["seconds_a_run"]) == (6, "0.0600", "36.000")
    cost = found["augmented logits"]
    assert (cost["runs"], cost["device"], cost["device_hours"]) == (2, "cpu, 1 thread", "0.0400")
    assert found["all"]["runs"] == sum(row["runs"] for stage, row in found.items() if stage != "all")


def test_rows_are_runs_on_one_kind_of_device(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    """One student's last trial ran on a GPU, a pretraining as four processes, and a teacher's states were cached."""
    layout = results.layout
    summary = PretrainingSummary.read(Path(layout.pretraining_summary("albeto-tiny")).parent)
    replace(summary, processes=4).write(Path(layout.pretraining_summary("albeto-tiny")).parent)
    shard = layout.shard("distillation", "albeto-base-2", 0)
    record = read_record(shard)
    record["trials"][-1] |= {"device": "A GPU", "seconds": 90.0}
    write_record(shard, record)
    states: Any = SimpleNamespace(device="cpu", threads=2, seconds=9.0)
    monkeypatch.setattr(plan, "models_with_state_teachers", lambda _: ["albeto-tiny"])
    monkeypatch.setattr(Results, "teacher_states", lambda *_: states)
    search(results, seconds=[60.0, 90.0, 30.0])
    days = "thesis: the days of pretraining_details.csv times 24"
    talk = "thesis: the talk: 336 runs took about 1080 GPU hours"
    two, one, nothing = "cpu, 2 threads", "cpu, 1 thread", (None, None, None, None)
    frame = make_table("cost", Results(results.study, layout.root)).drop(columns="scale")
    assert [tuple(row) for row in frame.itertuples(index=False)] == [
        ("teacher states", 1, two, "0.0025", "9.000", *nothing),
        ("pretraining", 3, one, "0.0333", "20.000", "5", "TPU v3-8", "7332", days),
        ("fine-tuning", 18, two, "0.0900", "18.000", *nothing),
        ("teacher logits", 3, one, "0.0300", "36.000", *nothing),
        ("distillation", 5, two, "0.0250", "18.000", "336", "GPU", "1080", talk),
        ("distillation", 1, "A GPU", "0.0250", "90.000", *nothing),
        ("augmented logits", 2, one, "0.0400", "72.000", *nothing),
        ("ablation", 6, one, "0.0600", "36.000", *nothing),
        ("hyper-parameter search", 3, one, "0.0500", "60.000", *nothing),
        ("scoring", 15, "A GPU", "0.0300", "7.200", *nothing),
        ("all", 57, f"{one}; {two}; A GPU", "0.3858", "23.316", *nothing),
    ]


def test_the_last_row_names_every_device_once(results: Results) -> None:
    found = stages(results)
    assert found["fine-tuning"]["device"] == "cpu, 2 threads"
    devices = found["all"]["device"].split("; ")
    assert sorted(devices) == sorted({row["device"] for stage, row in found.items() if stage != "all"})


def test_what_the_comparison_recorded_is_the_tables_input(results: Results) -> None:
    inputs = tables(results.study)["cost"].inputs(results.layout)
    assert results.layout.augmented_logits_cost("xnli") in inputs
    assert results.layout.ablation_run("ner", "augmented", 1) in inputs


def test_a_search_is_counted_by_its_trials(results: Results) -> None:
    assert "hyper-parameter search" not in stages(results)
    search(results, seconds=[60.0, 90.0, 30.0])
    cost = stages(results)["hyper-parameter search"]
    assert (cost["runs"], cost["device_hours"], cost["seconds_a_run"]) == (3, "0.0500", "60.000")


def test_a_search_whose_trials_recorded_no_time_is_counted_by_its_workers(results: Results) -> None:
    search(results, seconds=[None] * 3)
    cost = stages(results)["hyper-parameter search"]
    assert (cost["runs"], cost["device_hours"]) == (2, "0.0444")


def test_trials_are_not_booked_on_the_device_of_another_worker(results: Results) -> None:
    search(results, seconds=[60.0, 90.0, 10.0], devices=("cpu", "A GPU"))
    frame = make_table("cost", results)
    found = frame[frame["stage"] == "hyper-parameter search"]
    assert [tuple(row) for row in found[["device", "runs", "device_hours"]].itertuples(index=False)] == [
        ("cpu, 1 thread", 1, "0.0278"), ("A GPU", 1, "0.0167"),
    ]  # fmt: skip


def test_every_process_on_cpus_counts(results: Results) -> None:
    path = Path(results.layout.pretraining_summary("albeto-tiny"))
    done = PretrainingSummary.read(path.parent)
    before = float(stages(results)["pretraining"]["device_hours"])
    replace(done, processes=4).write(path.parent)
    after = float(stages(Results(results.study, results.layout.root))["pretraining"]["device_hours"])
    assert after - before == pytest.approx(3 * done.seconds / 3600, abs=2e-4)


def test_an_edited_time_is_refused(results: Results) -> None:
    path = search(results, seconds=[60.0, 90.0, 30.0]) / "summary.json"
    path.write_text(path.read_text().replace("90.0", "9.0"))
    with pytest.raises(DamagedError, match=r"ner/summary\.json: it was changed after it was written"):
        make_table("cost", results)


def test_the_table_of_trials_keeps_their_seconds() -> None:
    from ligero.reporting.searches import trials_table

    frame = trials_table([{"number": 0, "seconds": 12.5}, {"number": 1}], "miniature")
    assert list(frame["seconds"]) == [12.5, None]
