"""`ligero status`: what files say of a study that runs, failed, was killed, or was copied."""

from __future__ import annotations

import json
import os
import shutil
import time
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import pytest

from ligero.command.main import main
from ligero.command.status import _cell, _duration, _left
from ligero.common import run_start
from ligero.common.files import write_json
from ligero.common.records import read_record, write_record
from ligero.common.run_notes import NOTES, note_run
from ligero.reporting.planned import PlannedJob, planned_jobs
from ligero.reporting.progress import STATES, CellProgress, StageProgress
from ligero.settings import plan
from ligero.settings.program import write_resolved
from ligero.settings.study import Study
from ligero.settings.yaml_files import read_yaml
from ligero.training.planned_trials import trial_folder
from tests.builders.provenance import small_study, taught_by_states

LONG = "results/" + "x" * 300 + ".json"


class Folder:
    """A study's folder with what a run has left in it."""

    def __init__(self, study: Study, folder: Path) -> None:
        self.study, self.folder, self.jobs = study, folder, planned_jobs(study)
        self.results = folder / study.results_dir
        write_resolved(self.results / "config.json", study)

    def job(self, rule: str, name: str = "") -> PlannedJob:
        return next(job for job in self.jobs if (job.rule, job.name) == (rule, name))

    def done(self, job: PlannedJob, seconds: float = 36.0, started: float | None = None) -> None:
        started = time.time() - 100 if started is None else started
        for output in job.outputs:
            path = self.folder / output
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            self._note("metadata", output, {"starttime": started, "endtime": started + seconds})

    def started(self, job: PlannedJob, cluster_job: str | None = None) -> None:
        for output in job.outputs:
            self._note("incomplete", output, {"external_jobid": cluster_job})

    def failed(self, job: PlannedJob, *says: str) -> None:
        log = self.folder / job.log
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("\n".join(says) + "\n")
        self._log(
            f"Error in rule {job.rule}:\n    jobid: 3\n    output: {', '.join(job.outputs)}\n    log: {job.log} (check log file(s) for error details)\n"
        )

    def run(self, monkeypatch: pytest.MonkeyPatch, project: Path) -> Path:
        """A run that lives as long as this process, and its note."""
        log = self._log("Building DAG of jobs...\n")
        monkeypatch.chdir(self.folder)
        run_start.begin_run(self.results)
        note_run(self.results, project, [str(log)])
        (note,) = (self.results / NOTES).glob("*.json")
        return note

    def killed(self) -> None:
        for lock in run_start._held:
            lock.release()
        run_start._held.clear()
        (self.folder / ".snakemake/locks").mkdir(parents=True, exist_ok=True)
        (self.folder / ".snakemake/locks/0.output.lock").write_text("results/summary.csv\n")

    def _log(self, text: str) -> Path:
        path = self.folder / ".snakemake/log/2026-01-01T000000.1.snakemake.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as handle:
            handle.write(text)
        return path

    def _note(self, kind: str, output: str, record: dict[str, Any]) -> None:
        name = urlsafe_b64encode(output.encode()).decode()
        write_json(self.folder / ".snakemake" / kind / name, record)


@pytest.fixture
def folder(project: Path, tmp_path: Path) -> Folder:
    return Folder(small_study(read_yaml(project / "config.yaml"), project), tmp_path / "mi estudio")


@pytest.fixture
def status(folder: Folder, capsys: pytest.CaptureFixture[str]) -> Any:
    def ask(*arguments: str, place: Path | None = None) -> tuple[int, Any]:
        code = main(["status", str(place or folder.folder), *arguments])
        said = capsys.readouterr().out
        return code, json.loads(said) if "--json" in arguments else said

    yield ask
    folder.killed()


def state_of(answer: Any, label: str) -> str:
    return next(one["state"] for one in answer["jobs"] if one["job"] == label)  # type: ignore[no-any-return]


def test_nothing_has_run(status: Any) -> None:
    code, said = status()
    assert code == 0 and "0 of 78 jobs done" in said and "no run left a note" in said and "unknown" in said


def test_a_run_that_lives(
    folder: Folder, status: Any, monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    folder.run(monkeypatch, project)
    folder.done(folder.job("pretrain_model", "beto-uncased"), seconds=3600)
    folder.started(folder.job("pretrain_model", "albeto-tiny"), "4711")
    code, answer = status("--json")
    stage = next(one for one in answer["stages"] if one["stage"] == "pretraining")
    assert code == 0 and answer["run"]["state"] == "running"
    assert stage["jobs"] == {"done": 1, "running": 1, "failed": 0, "interrupted": 0, "waiting": 0}
    assert stage["spent"] == pytest.approx(1.0, abs=0.01) and stage["left"] == pytest.approx(1.0, abs=0.01)
    (folder.folder / ".snakemake/locks").mkdir()
    (folder.folder / ".snakemake/locks/0.output.lock").write_text("results/summary.csv\n")
    said = status()[1]
    assert "job 4711 of the cluster" in said and "left over" not in said


def test_hours_are_of_devices_and_of_the_trials_that_are_left(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On two nodes of two GPUs each; by the rate of a job's own model where one of it has finished."""
    config = read_yaml(project / "config.yaml")
    config["hardware"] = {"pretraining": {"gpus": 2, "nodes": 2}, "training": {"gpus": 1}}
    for stage in ("fine_tuning", "distillation"):
        config[stage]["trials_per_job"] = 2
    for model in config["models"].values():
        model["pretraining"] = {**model["pretraining"], "micro_batch_size": 4}
    folder, hour = Folder(small_study(config, project), tmp_path / "study"), 3600
    folder.run(monkeypatch, project)
    folder.done(folder.job("pretrain_model", "beto-uncased"), hour)
    running = folder.job("pretrain_model", "albeto-tiny")
    folder.started(running)
    for mark in (folder.folder / ".snakemake/incomplete").iterdir():
        os.utime(mark, (time.time() - hour / 2,) * 2)
    for job, hours in {"albeto-tiny/shard-0": 2, "beto-uncased/shard-1": 4}.items():  # of two trials, and one
        folder.done(folder.job("finetune_model", job), hours * hour)
    folder.done(folder.job("distill_student", "albeto-tiny/shard-1"), hour)
    trial = plan.shards_of(folder.study, "distillation", "albeto-tiny")[0][1]
    write_json(trial_folder(folder.results / "state/distillation/albeto-tiny", trial) / "result.json", {})
    try:
        assert main(["status", str(folder.folder), "--json"]) == 0
    finally:
        folder.killed()
    stages = {one["stage"]: one for one in json.loads(capsys.readouterr().out)["stages"]}
    hours = {
        name: (round(one["spent"], 1), round(one["left"], 1), one["unknown"]) for name, one in stages.items()
    }
    assert hours["pretraining"] == (6.0, 2.0, 0)
    assert hours["fine-tuning"] == (6.0, 9.0, 7), "1 of ALBETO, 2 x 4 of BETO; no selection has ended"
    assert hours["distillation"] == (1.0, 1.0, 4)


def test_after_a_kill_the_command_that_unlocks_is_named(
    folder: Folder, status: Any, monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    folder.run(monkeypatch, project)
    folder.started(folder.job("pretrain_model", "albeto-tiny"))
    folder.killed()
    code, said = status()
    assert (
        code == 0
        and "was killed, or this is a copy" in said
        and "interrupted:\n  pretrain_model albeto-tiny" in said
    )
    assert (
        f"cd '{folder.folder}' && snakemake --snakefile {project}/Snakefile --configfile=results/config.json --unlock"
        in said
    )


def test_a_run_that_ended_is_not_called_killed(
    folder: Folder, status: Any, monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    folder.run(monkeypatch, project)
    folder.killed()
    shutil.rmtree(folder.folder / ".snakemake/locks")
    folder._log("Complete log(s): somewhere\n")
    assert "came to its end" in status()[1]


def test_a_job_that_holds_its_state_outlives_the_run(
    folder: Folder, status: Any, monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    folder.run(monkeypatch, project)
    folder.started(folder.job("pretrain_model", "albeto-tiny"))
    folder.killed()
    from ligero.common.file_locks import only_process

    with only_process(folder.results / "state/pretraining/albeto-tiny", "a test"):
        assert state_of(status("--json")[1], "pretrain_model albeto-tiny") == "running"
    assert state_of(status("--json")[1], "pretrain_model albeto-tiny") == "interrupted"


def test_a_teacher_of_pretraining_has_a_job_of_its_own(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = taught_by_states(read_yaml(project / "config.yaml"))
    config["hardware"] = {"pretraining": {"gpus": 1}, "training": {"gpus": 2}}
    folder = Folder(small_study(config, project), tmp_path / "study")
    folder.done(folder.job("cache_states", "albeto-tiny"), seconds=3600)
    folder.failed(folder.job("pretrain_model", "albeto-tiny"), "error: out of memory")
    assert main(["status", str(folder.folder), "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert state_of(answer, "cache_states albeto-tiny") == "done"
    assert state_of(answer, "pretrain_model albeto-tiny") == "failed"
    stage = next(one for one in answer["stages"] if one["stage"] == "pretraining")
    assert sum(stage["jobs"].values()) == 3
    assert stage["spent"] == pytest.approx(2.0, abs=0.01), "it is asked for the GPUs of training"
    assert stage["unknown"] == 2, "how long its teacher took says nothing of the model"


def test_a_failed_job_shows_the_end_of_its_log_until_it_is_done(folder: Folder, status: Any) -> None:
    job = folder.job("finetune_model", "albeto-tiny/shard-0")
    folder.failed(job, "one", "epoch:  50%|#####     | 1/2", "error: out of memory")
    code, said = status()
    assert code == 1 and "failed:\n  finetune_model albeto-tiny/shard-0: 0 of 3 trials" in said
    assert "    | one\n    | error: out of memory" in said
    folder.done(job)
    assert status()[0] == 0


def test_trials_that_ended_count_within_a_job(folder: Folder, status: Any) -> None:
    trial = next(
        folder.results.parent.joinpath("results/state/fine-tuning/albeto-tiny/ner").parent.glob("*"), None
    )
    assert trial is None
    trials = [one for one in plan.trials_of(folder.study, "fine-tuning", "albeto-tiny") if one.task == "ner"]
    write_json(trial_folder(folder.results / "state/fine-tuning/albeto-tiny", trials[0]) / "result.json", {})
    cells = {(one["regime"], one["model"], one["task"]): one for one in status("--json")[1]["systems"]}
    assert (
        cells["fine-tuning", "albeto-tiny", "ner"]["trials"]
        == cells["fine-tuning", "albeto-tiny", "ner"]["of"]
        == 1
    )
    assert cells["fine-tuning", "albeto-tiny", "xnli"]["trials"] == 0


def test_a_system_is_as_far_on_a_task_as_the_jobs_behind_it(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = read_yaml(project / "config.yaml")
    config["fine_tuning"] |= {
        "trials_per_job": 3,
        "grid": {**config["fine_tuning"]["grid"], "learning_rate": ["1e-3", "2e-3"]},
    }
    folder = Folder(small_study(config, project), tmp_path / "study")

    def states(regime: str, model: str) -> list[str]:
        main(["status", str(folder.folder), "--json"])
        cells = json.loads(capsys.readouterr().out)["systems"]
        return [one["state"] for one in cells if (one["regime"], one["model"]) == (regime, model)]

    tiny, beto = ("fine-tuning", "albeto-tiny"), ("fine-tuning", "beto-uncased")
    folder.done(folder.job("finetune_model", "beto-uncased/shard-0"))  # XNLI, and half of NER
    assert (states(*beto), states(*tiny)) == (["trained", "waiting", "waiting"], ["waiting"] * 3)
    folder.failed(folder.job("select_trial", "fine-tuning/beto-uncased/xnli"))
    assert (states(*beto), states(*tiny)) == (["failed", "waiting", "waiting"], ["waiting"] * 3)
    folder.done(folder.job("select_trial", "fine-tuning/beto-uncased/xnli"))
    for job in folder.jobs:
        if (job.stage, job.rule) == ("fine-tuning", "score_systems"):
            folder.done(job)
    assert (states(*beto), states(*tiny)) == (["done"] * 3, ["done"] * 3)
    assert states("distillation", "albeto-tiny") == ["waiting"] * 3


def test_results_of_other_code_and_packages_are_named(
    folder: Folder, status: Any, monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    note = folder.run(monkeypatch, project)
    record = read_record(note)
    write_record(note.with_name("later.json"), {**record, "started": time.time() - 50})
    write_record(
        note,
        {**record, "code": "0123456789abcdef", "lock": "fedcba9876543210", "started": time.time() - 1000},
    )
    folder.done(folder.job("generate_study"), 10, time.time() - 20)
    folder.done(folder.job("clean_corpus"))
    job = folder.job("finetune_model", "albeto-tiny/shard-0")
    folder.done(job)
    trial = {"trial": {"task": "ner"}, "versions": {"torch": "2.0.1+cpu", "transformers": "5.23.0"}}
    write_record(folder.folder / job.outputs[0], {"settings": {}, "trials": [trial]})
    found = {(one["what"], one["found"]): one["jobs"] for one in status("--json")[1]["other_versions"]}
    assert found == {
        ("code", "0123456789abcdef"): 2,
        ("packages", "fedcba9876543210"): 2,
        ("torch", "2.0.1+cpu"): 1,
    }, "a job is of the run that had begun last before it"


def test_a_copy_that_cannot_be_written(
    folder: Folder, status: Any, monkeypatch: pytest.MonkeyPatch, project: Path, tmp_path: Path
) -> None:
    folder.run(monkeypatch, project)
    folder.done(folder.job("clean_corpus"))
    copy = Path(shutil.copytree(folder.folder, tmp_path / "copy"))
    for path in [copy, *copy.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = sorted(path for path in copy.rglob("*"))
    assert "1 of 78 jobs done" in status(place=copy)[1] and "or this is a copy" in status(place=copy)[1]
    assert sorted(path for path in copy.rglob("*")) == before
    for path in [copy, *copy.rglob("*")]:
        path.chmod(0o755)
    alone = Path(shutil.copytree(copy / "results", tmp_path / "alone"))
    assert "no .snakemake beside it" in status(place=alone)[1]


def test_a_record_that_is_half_written_is_no_record(folder: Folder, status: Any) -> None:
    folder.done(folder.job("clean_corpus"))
    for record in (folder.folder / ".snakemake/metadata").iterdir():
        record.write_text(record.read_text()[:9])
    assert state_of(status("--json")[1], "clean_corpus") == "done"


def test_long_names_are_cut_as_snakemake_cuts_them(tmp_path: Path) -> None:
    from snakemake.persistence.file import FilePersistence

    from ligero.reporting.snakemake_files import SnakemakeFiles

    kept = FilePersistence(path=tmp_path / ".snakemake")
    kept._io_write(kept._metadata_path, {"starttime": 1, "endtime": 3}, LONG)
    kept._mark_incomplete(LONG, "12")
    files = SnakemakeFiles(tmp_path)
    record = files.finished(LONG)
    assert record and (record.started, record.ended) == (1, 3)
    assert files.started()[LONG].cluster_job == "12"


def test_status_writes_nothing(folder: Folder, status: Any) -> None:
    folder.done(folder.job("clean_corpus"))
    before = {path: path.stat().st_mtime_ns for path in folder.folder.rglob("*")}
    status()
    assert {path: path.stat().st_mtime_ns for path in folder.folder.rglob("*")} == before


def test_what_is_left_is_unknown_a_lower_bound_or_known() -> None:
    def left(unknown: int, done: int = 1) -> str:
        jobs = {**dict.fromkeys(STATES, 0), "done": done, "waiting": 3 - done}
        return _left(StageProgress("fine-tuning", jobs, 5.0, 0.25, unknown))

    assert [left(2), left(1), left(0), left(0, done=3)] == ["unknown", "0.250+", "0.250", "-"]


def test_cells_say_how_many_trials_ended_and_what_became_of_the_job() -> None:
    def cell(state: Any, trials: int = 1) -> str:
        return _cell(CellProgress("fine-tuning", "m", "t", state, trials, 3))

    states = ("done", "waiting", "running", "failed", "interrupted")
    assert [cell(state) for state in states] == ["done", "1/3", "1/3*", "1/3!", "1/3~"]
    assert cell("waiting", 0) == "-"


def test_durations_for_people() -> None:
    seconds = (119.9, 120, 7199, 7200, 9000)
    assert [_duration(one) for one in seconds] == ["119 s", "2 min", "119 min", "2 h 0 min", "2 h 30 min"]
