"""What a run says of its speed, what several processes say to each other, and files that cannot be written."""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path

import pytest
import torch
from transformers.models.albert.configuration_albert import AlbertConfig

from ligero.common import files
from ligero.pretraining.cost_estimate import plan
from ligero.pretraining.distributed import DistributedContext
from ligero.pretraining.engine import Pretrainer
from ligero.pretraining.metrics import MetricsFile, read_metrics
from ligero.pretraining.speed import Speed
from ligero.settings.pretraining import StateTeacher
from ligero.training.checkpoints import CheckpointError
from tests.builders.pretraining import CPU, Folders, prepared, train
from tests.builders.processes import free_port, process_environment


def test_speed_is_that_of_the_steps_since_the_last_line(folders: Folders) -> None:
    run = prepared(folders)
    speed = Speed(run.model.config, run.job.recipe, CPU, "fp32")
    speed.add(100, 4.0)
    speed.add(100, 1.0)
    first = speed.read()
    assert first["tokens_per_second"] == 40.0
    assert first["share_of_peak"] == pytest.approx(40.0 * speed.work / speed.peak, abs=1e-4)
    speed.add(300, 1.0)
    assert speed.read()["tokens_per_second"] == 300.0


def test_a_runs_share_counts_the_layers_that_each_step_computed(folders: Folders) -> None:
    run = prepared(folders)
    deep, recipe = AlbertConfig(**{**run.model.config.to_dict(), "num_hidden_layers": 12}), run.job.recipe
    shallow = AlbertConfig(**{**deep.to_dict(), "num_hidden_layers": 3})
    half = recipe.model_copy(update={"shallow_steps": recipe.total_steps // 2, "shallow_layers": 3})
    speed = Speed(deep, half, CPU, "fp32")
    expected = (speed.work + Speed(shallow, recipe, CPU, "fp32").work) / 2
    assert speed.share_of_run(40.0) == pytest.approx(40.0 * expected / speed.peak)
    assert Speed(deep, recipe, CPU, "fp32").mean_work == speed.work


def test_a_vocabulary_head_that_is_not_trained_costs_nothing(folders: Folders) -> None:
    run = prepared(folders)
    lesson = StateTeacher(model="t", dimensions=8)
    both = lesson.model_copy(update={"masked_weight": 1.0})
    alone, with_words = (
        Speed(run.model.config, run.job.recipe.model_copy(update={"teacher": one}), CPU, "fp32").work
        for one in (lesson, both)
    )
    config = run.model.config
    head = config.embedding_size * (config.hidden_size + config.vocab_size)
    assert with_words - alone == pytest.approx(6 * run.job.recipe.masked_share * head)


def test_the_bars_total_counts_short_steps(folders: Folders, tmp_path: Path) -> None:
    run = prepared(folders, total_steps=400, short_sequence_probability=0.5)
    read = sum(run.source.batch(step, rows=1).tokens for step in range(400)) * run.job.recipe.batch_size
    trainer = Pretrainer(run.model, run.job.recipe, run.source, None, tmp_path, CPU)
    with trainer._bar() as bar:
        assert bar.total == pytest.approx(read, rel=0.05)


def test_every_log_line_says_the_speed(folders: Folders, tmp_path: Path) -> None:
    assert train(folders, tmp_path, log_every=2)
    written = [line for line in read_metrics(tmp_path / "log" / "metrics.jsonl") if "gradient_norm" in line]
    assert [line["step"] for line in written] == [1, 2, 4, 6, 8]
    assert all(line["tokens_per_second"] > 0 and 0 <= line["share_of_peak"] < 1 for line in written)
    summary = json.loads((tmp_path / "log" / "summary.json").read_text())
    assert summary["tokens_per_second"] > 0 and summary["measured_peak_gflops"] > 0


@pytest.mark.parametrize(("whole_word", "expected"), [(False, 1), (True, 2)])
def test_a_step_adds_up_over_processes_no_more_than_it_must(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole_word: bool, expected: int
) -> None:
    """Losses and the wish to stop go together; predictions are counted only where they are not known."""
    run = prepared(folders, whole_word=whole_word)
    calls: list[int] = []
    monkeypatch.setattr(DistributedContext, "wrapped", lambda self, module, *_: module)
    monkeypatch.setattr(
        DistributedContext, "summed", lambda self, values: calls.append(len(calls)) or 2 * values
    )
    monkeypatch.setattr(DistributedContext, "synchronised", DistributedContext(CPU.device).synchronised)
    placement = DistributedContext(CPU.device, 0, 2)
    trainer = Pretrainer(run.model, run.job.recipe, run.source, None, tmp_path, placement)
    next(trainer.measured_steps())
    assert len(calls) == expected


def _planning(rank: int, port: int, folders: Folders, out: Path) -> None:
    torch.set_num_threads(1)
    os.environ |= process_environment(rank, 2, port)
    run = prepared(folders, batch_size=8, micro_batch_size=2)
    (out / str(rank)).write_text(
        plan(run.model, run.job.recipe, run.source, DistributedContext.from_environment("cpu"))
    )
    torch.distributed.destroy_process_group()
    os._exit(0)


def test_several_processes_plan_together(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step needs them all, so none may stop before the others."""
    monkeypatch.setattr("ligero.pretraining.cost_estimate._SECONDS", 0.1)
    context, port = multiprocessing.get_context("fork"), free_port()
    processes = [context.Process(target=_planning, args=(rank, port, folders, tmp_path)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert "tokens/s of 2 process(es)" in (tmp_path / "0").read_text()


def test_a_full_disk_is_said_readably() -> None:
    metrics = MetricsFile(Path("/dev/full"))
    with pytest.raises(CheckpointError, match=r"/dev/full: the metrics could not be written .*start again"):
        metrics.write(step=1)
    metrics.close()


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_new_name_is_on_disk_before_work_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A power cut after the block may take neither the content nor the name."""
    synced: list[tuple[Path, bool]] = []
    target = tmp_path / "made"

    def fsync(handle: int) -> None:
        synced.append((Path(f"/proc/self/fd/{handle}").resolve(), target.exists()))

    monkeypatch.setattr(files.os, "fsync", fsync)
    if kind == "file":
        files.write_text(target, "x")
    else:
        with files.atomic_directory(target) as staging:
            (staging / "weights").write_text("x")
        assert any(path.name == "weights" for path, there in synced if not there)
    assert not synced[0][1] and synced[-1] == (tmp_path, True)
