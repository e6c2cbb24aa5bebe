"""The trial loop: determinism, resuming, patience, the best weights, micro batches, memory, options."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ligero.common.records import read_record, write_record
from ligero.models import precision as precision_module
from ligero.settings.jobs import ShardJob, TaskSpec
from ligero.settings.plan import Trial
from ligero.settings.tasks import TaskType
from ligero.settings.training import TrainingOptions
from ligero.training import evaluate
from ligero.training.checkpoints import Checkpoints
from ligero.training.early_stopping import EarlyStopping
from ligero.training.evaluate import Predictions
from ligero.training.features import EncodedSplit
from ligero.training.objective import GoldObjective
from ligero.training.optimizers import parameter_groups
from ligero.training.planned_trials import PlannedTrial, group_digest
from ligero.training.steps import StepRunner, is_out_of_memory
from ligero.training.task_data import Validation
from ligero.training.trial import run_trial
from tests.builders.distillation import toy_model, toy_split
from tests.builders.encoding import place
from tests.builders.models import small_architecture

TASKS: tuple[TaskType, ...] = ("sequence_classification", "token_classification", "question_answering")


def accuracy(split: EncodedSplit) -> Any:
    def score(predictions: Predictions) -> float:
        if not len(split.label):
            return 0.0
        return float(100 * (predictions.logits.argmax(axis=1) == split.label).mean())

    return score


def save(model: nn.Module, folder: Path) -> None:
    folder.mkdir(parents=True)
    torch.save(model.state_dict(), folder / "weights.pt")


def dropping_model(task_type: TaskType = "sequence_classification") -> nn.Module:
    model = toy_model(task_type)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.2
    return model


def trial(
    folder: Path,
    *,
    task_type: TaskType = "sequence_classification",
    epochs: int = 4,
    rate: str = "1e-2",
    batch: int = 8,
    patience: int | None = None,
    digest: str = "d",
    validation: EncodedSplit | None = None,
    load: Any = None,
    after_epoch: Any = None,
    until: int | None = None,
    seconds_between_checkpoints: float = 0.0,
    **options: Any,
) -> dict[str, Any]:
    validation = validation or toy_split(task_type, 2, 16, seed=1)
    return run_trial(
        PlannedTrial(
            Trial(model="m", task="t", batch_size=batch, epochs=epochs, learning_rate=rate, seed=42),
            TrainingOptions(**options),
            folder,
            digest,
            patience=patience,
        ),
        GoldObjective(task_type),
        load_model=load or (lambda: dropping_model(task_type)),
        save_model=save,
        train=toy_split(task_type, 2, 30),
        validation=Validation(validation, accuracy(validation)),
        device=torch.device("cpu"),
        seconds_between_checkpoints=seconds_between_checkpoints,
        after_epoch=after_epoch,
        until=until,
    )


def without_times(result: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in result.items() if key != "seconds"}


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "best" / "weights.pt", weights_only=True)


def same_weights(one: Path, other: Path) -> bool:
    first, second = weights(one), weights(other)
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("task_type", TASKS)
def test_a_trial_learns_and_two_give_the_same_bits(tmp_path: Path, task_type: TaskType) -> None:
    first = trial(tmp_path / "a", task_type=task_type)
    second = trial(tmp_path / "b", task_type=task_type)
    assert without_times(first) == without_times(second)
    assert same_weights(tmp_path / "a", tmp_path / "b")
    assert first["curve"][-1]["train_loss"] < first["curve"][0]["train_loss"]
    assert first["stopped"] == "epochs"
    assert [point["step"] for point in first["curve"]] == [
        (epoch + 1) * first["curve"][0]["step"] for epoch in range(4)
    ]


def test_a_finished_trial_is_skipped_until_something_changes(tmp_path: Path) -> None:
    def never() -> nn.Module:
        raise AssertionError("trained again")

    first = trial(tmp_path)
    assert trial(tmp_path, load=never) == first
    assert not (tmp_path / "checkpoints").exists()
    with pytest.raises(AssertionError, match="trained again"):
        trial(tmp_path, load=never, digest="other")


@pytest.mark.parametrize("evaluations", [{"evaluations_per_epoch": 2}, {"evaluate_every_steps": 3}])
@pytest.mark.parametrize("stop_after", [1, 2])
def test_a_resumed_trial_ends_as_if_nothing_had_happened(
    tmp_path: Path, stop_after: int, evaluations: dict[str, int]
) -> None:
    def interrupt(epoch: int, point: dict[str, Any]) -> None:
        if epoch == stop_after + 1:
            raise KeyboardInterrupt

    options: dict[str, Any] = {"warmup_ratio": 0.1, "weight_decay": 0.01, **evaluations}
    whole = trial(tmp_path / "whole", **options)
    with pytest.raises(KeyboardInterrupt):
        trial(tmp_path / "cut", after_epoch=interrupt, **options)
    assert list((tmp_path / "cut" / "checkpoints").glob("*.pt"))
    seen: list[int] = []
    resumed = trial(tmp_path / "cut", after_epoch=lambda epoch, _: seen.append(epoch), **options)
    assert seen[0] == stop_after + 1
    assert without_times(resumed) == without_times(whole)
    assert same_weights(tmp_path / "cut", tmp_path / "whole")


@pytest.mark.parametrize("every", [3, 7, 100])
def test_validation_runs_every_so_many_steps_and_the_best_of_them_is_kept(tmp_path: Path, every: int) -> None:
    """Four epochs of four steps: inside an epoch, across an epoch's end, and never before the end."""
    result = trial(tmp_path, epochs=4, rate="5e-2", evaluate_every_steps=every)
    expected = {3: [3, 6, 9, 12, 15], 7: [7, 14], 100: [16]}[every]
    assert [point["step"] for point in result["curve"]] == expected
    lowest = min(result["curve"], key=lambda point: point["validation_loss"])
    assert (result["best"]["step"], result["best"]["loss"]) == (lowest["step"], lowest["validation_loss"])
    split = toy_split("sequence_classification", 2, 16, seed=1)
    kept = dropping_model()
    kept.load_state_dict(weights(tmp_path))
    found = evaluate.validation_loss(evaluate.predict(kept, split), split)
    assert found == pytest.approx(lowest["validation_loss"], abs=1e-6)


def test_an_epoch_without_validation_does_not_count_against_patience(tmp_path: Path) -> None:
    result = trial(tmp_path, epochs=6, patience=0, rate="1e-30", evaluate_every_steps=12)
    assert (result["stopped"], [point["step"] for point in result["curve"]]) == ("patience", [12, 24])


def test_a_paused_trial_continues_where_it_was_and_ends_as_if_it_had_not_paused(tmp_path: Path) -> None:
    """However rarely checkpoints are due; asked again for what it has reached, it trains nothing."""
    options: dict[str, Any] = {"warmup_ratio": 0.1, "seconds_between_checkpoints": math.inf}
    whole = trial(tmp_path / "whole", **options)
    seen: list[int] = []
    for until in (1, 3, 2):
        paused = trial(
            tmp_path / "paused", until=until, after_epoch=lambda epoch, _: seen.append(epoch), **options
        )
        reached = max(seen)
        assert (paused["stopped"], paused["weights_digest"], len(paused["curve"])) == (
            "paused",
            None,
            reached,
        )
        assert paused["curve"] == whole["curve"][:reached]
    assert seen == [1, 2, 3] and not (tmp_path / "paused" / "result.json").exists()
    resumed = trial(tmp_path / "paused", after_epoch=lambda epoch, _: seen.append(epoch), **options)
    assert seen == [1, 2, 3, 4] and without_times(resumed) == without_times(whole)
    assert same_weights(tmp_path / "paused", tmp_path / "whole")


@pytest.mark.parametrize(("write", "expected"), [(0.1, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]), (3.0, [1, 11])])
def test_checkpoints_are_as_rare_as_their_writing_is_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: float, expected: list[int]
) -> None:
    """Epochs of six seconds by a clock of the test: at 3 seconds a write, one is due after 20 times that."""
    now, saved = [0.0], []
    monkeypatch.setattr("ligero.training.trial.time", SimpleNamespace(perf_counter=lambda: now[0]))

    def save(self: Checkpoints, step: int, state: Any) -> None:
        now[0] += write
        saved.append(state["course"]["epoch"])

    def epoch(number: int, _: object) -> None:
        now[0] += 6.0

    monkeypatch.setattr(Checkpoints, "save", save)
    trial(tmp_path, epochs=12, after_epoch=epoch, seconds_between_checkpoints=5.0)
    assert saved == expected


def _cut(folder: Path, **options: Any) -> Path:
    """A trial that stopped in its second epoch; returns its checkpoint."""

    def interrupt(epoch: int, point: dict[str, Any]) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trial(folder, after_epoch=interrupt, **options)
    (path,) = (folder / "checkpoints").glob("*.pt")
    return path


def test_a_damaged_checkpoint_starts_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _cut(tmp_path).write_bytes(b"not a checkpoint")
    seen: list[int] = []
    trial(tmp_path, after_epoch=lambda epoch, _: seen.append(epoch))
    assert seen[0] == 1
    assert "damaged checkpoint" in capsys.readouterr().err


def test_a_checkpoint_of_other_settings_is_worthless(tmp_path: Path) -> None:
    _cut(tmp_path)
    seen: list[int] = []
    trial(tmp_path, digest="other", after_epoch=lambda epoch, _: seen.append(epoch))
    assert seen[0] == 1


KILLED = """
import sys, time
from pathlib import Path
sys.path[:0] = {paths!r}
import torch
from tests.unit.test_training_trial import trial
torch.set_num_threads({threads})
def slow(epoch, point):
    Path({folder!r}, f"epoch-{{epoch}}").touch()
    time.sleep(0.2)
trial(Path({folder!r}), epochs=50, after_epoch=slow, patience=49)
"""


@pytest.mark.slow
def test_kill_minus_nine_loses_no_finished_epoch(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    folder = tmp_path / "killed"
    folder.mkdir()
    script = KILLED.format(
        paths=[str(root), str(root / "workflow"), str(root / "benchmarks")],
        folder=str(folder),
        threads=torch.get_num_threads(),
    )
    process = subprocess.Popen([sys.executable, "-c", script], cwd=root, stderr=subprocess.DEVNULL)
    try:
        while not (folder / "epoch-3").exists():
            assert process.poll() is None, "the trial ended by itself"
            time.sleep(0.02)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    seen: list[int] = []
    resumed = trial(folder, epochs=50, patience=49, after_epoch=lambda epoch, _: seen.append(epoch))
    whole = trial(tmp_path / "whole", epochs=50, patience=49)
    assert seen[0] >= 3
    assert without_times(resumed) == without_times(whole)
    assert same_weights(folder, tmp_path / "whole")


def _scripted(monkeypatch: pytest.MonkeyPatch, losses: list[float]) -> None:
    left = iter(losses)
    monkeypatch.setattr("ligero.training.trial.validation_loss", lambda *_: next(left))


def test_patience_counts_epochs_without_a_strictly_lower_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _scripted(monkeypatch, [1.0, 0.9, 0.9, 0.95, 0.9, 0.1])
    result = trial(tmp_path / "a", epochs=6, patience=2)
    # 0.9 again and 0.95 are two without a lower loss, the next 0.9 is the third: more than two.
    assert (result["stopped"], len(result["curve"])) == ("patience", 5)
    assert (result["best"]["epoch"], result["best"]["loss"]) == (2, 0.9)
    _scripted(monkeypatch, [1.0, 0.9, 0.9, 0.95, 0.8, 0.7])
    result = trial(tmp_path / "b", epochs=6, patience=2)
    assert (result["stopped"], result["best"]["epoch"]) == ("epochs", 6)
    _scripted(monkeypatch, [1.0, 1.0])
    assert trial(tmp_path / "c", epochs=6, patience=0)["stopped"] == "patience"


def test_an_epoch_of_several_evaluations_has_the_lowest_finite_loss() -> None:
    assert EarlyStopping(patience=0).stops_after([math.nan, 0.5]) is False
    assert EarlyStopping(patience=0).stops_after([math.nan, math.inf]) is True


def test_trials_of_another_metric_are_another_group(tmp_path: Path) -> None:
    write_record(tmp_path / "info.json", {**place(tmp_path), "digests": {"train": "a", "validation": "b"}})
    groups = set()
    for metric in ("seqeval_f1", "token_accuracy"):
        shard = ShardJob(
            regime="fine-tuning",
            model_id="m",
            architecture=small_architecture("bert"),
            num_hidden_layers=None,
            trials=(),
            tasks={"t": TaskSpec(type="token_classification", labels=("O", "B-X"), metric=metric)},
            options=TrainingOptions(),
            distillation=None,
        )
        groups.add(group_digest(shard, "t", "weights", tmp_path, "gold"))
    assert len(groups) == 2


def test_a_resumed_trial_counts_the_epochs_before_it_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(epoch: int, _: object) -> None:
        if epoch == 3:
            raise KeyboardInterrupt

    _scripted(monkeypatch, [0.5, 0.6, 0.6])
    with pytest.raises(KeyboardInterrupt):
        trial(tmp_path, epochs=6, patience=2, after_epoch=killed)
    # The checkpoint is of the second epoch, the first without a lower loss; two more exceed the patience.
    _scripted(monkeypatch, [0.55, 0.55])
    result = trial(tmp_path, epochs=6, patience=2)
    assert (result["stopped"], [point["epoch"] for point in result["curve"]]) == ("patience", [1, 2, 3, 4])


def test_patience_is_in_epochs_however_often_one_is_evaluated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _scripted(monkeypatch, [0.8, 1.0, 0.9, 0.9, 0.85, 0.7, 0.9, 0.9, 0.8, 0.8, 0.1, 0.1])
    result = trial(tmp_path, epochs=6, patience=1, evaluations_per_epoch=2)
    # The second epoch lowers nothing, the third does in its second half, the fourth and fifth do not.
    assert (result["stopped"], len(result["curve"]), result["best"]["epoch"]) == ("patience", 10, 3)


def test_the_best_weights_are_kept_not_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _scripted(monkeypatch, [0.5, 0.6, 0.7, 0.8])
    early = trial(tmp_path / "a")
    assert early["best"]["epoch"] == 1
    _scripted(monkeypatch, [0.8, 0.7, 0.6, 0.5])
    late = trial(tmp_path / "b")
    assert late["best"]["epoch"] == 4
    assert not same_weights(tmp_path / "a", tmp_path / "b")
    monkeypatch.undo()
    validation = toy_split("sequence_classification", 2, 16, seed=1)
    model = dropping_model()
    model.load_state_dict(weights(tmp_path / "a"))
    whole = trial(tmp_path / "c")
    loss = evaluate.validation_loss(evaluate.predict(model, validation), validation)
    assert loss == pytest.approx(whole["curve"][0]["validation_loss"], abs=1e-6)


def test_selection_by_score_takes_the_earliest_of_equals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _scripted(monkeypatch, [1.0, 0.9, 0.8, 0.7])
    monkeypatch.setattr("tests.unit.test_training_trial.accuracy", lambda split: lambda predictions: 50.0)
    assert trial(tmp_path, selection_metric="score")["best"]["epoch"] == 1


def test_a_loss_that_is_never_finite_is_recorded_without_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _scripted(monkeypatch, [float("nan")] * 4)
    result = trial(tmp_path)
    assert result["best"] == {"epoch": None, "step": None, "loss": None, "score": None}
    assert "never finite" in capsys.readouterr().err and not (tmp_path / "best").exists()
    assert trial(tmp_path) == result


def _runner(task_type: TaskType, micro: int | None, **options: Any) -> StepRunner:
    return StepRunner(
        toy_model(task_type).train(),
        GoldObjective(task_type),
        TrainingOptions(max_grad_norm=None, micro_batch_size=micro, **options),
        rate=1e-3,
        batch_size=12,
        total_steps=10,
        device=torch.device("cpu"),
    )


@pytest.mark.parametrize("task_type", TASKS)
def test_accumulated_micro_batches_equal_the_whole_batch(task_type: TaskType) -> None:
    split = toy_split(task_type, 2, 30)
    whole, parts = _runner(task_type, None), _runner(task_type, 5)
    for runner in (whole, parts):
        runner._gradients(split, np.arange(12))
    for one, other in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-6, rtol=1e-4)


def test_memory_that_runs_out_halves_the_micro_batch_and_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    split = toy_split("sequence_classification", 2, 30)
    runner, plain = _runner("sequence_classification", None), _runner("sequence_classification", 3)
    forward = runner.model.forward

    def hungry(*args: Any, **inputs: Any) -> Any:
        if len(inputs["input_ids"]) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(*args, **inputs)

    monkeypatch.setattr(runner.model, "forward", hungry)
    for number in range(2):
        runner.step(split, np.arange(12), number)
        plain.step(split, np.arange(12), number)
    assert runner.micro_batch_size == 3
    assert runner.halvings == [{"step": 0, "from": 12, "to": 6}, {"step": 0, "from": 6, "to": 3}]
    for one, other in zip(runner.model.parameters(), plain.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_other_errors_are_not_taken_for_a_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 1 TB"))
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
    assert not is_out_of_memory(ValueError("out of memory"))
    runner = _runner("sequence_classification", None)

    def broken(**inputs: Any) -> Any:
        raise RuntimeError("index out of range")

    monkeypatch.setattr(runner.model, "forward", broken)
    with pytest.raises(RuntimeError, match="index out of range"):
        runner.step(toy_split("sequence_classification", 2, 30), np.arange(12), 0)
    assert not runner.halvings


def test_parameter_groups_follow_the_options() -> None:
    model = toy_model("sequence_classification")
    count = len(list(model.parameters()))
    everything = parameter_groups(model, 0.01, True, learning_rate=1.0)
    assert [(len(group["params"]), group["weight_decay"]) for group in everything] == [(count, 0.01)]
    chosen = parameter_groups(model, 0.01, learning_rate=1e-3, head_factor=10.0)
    by_kind = {(group["weight_decay"], group["lr"]): len(group["params"]) for group in chosen}
    assert by_kind[0.01, 0.01] == 1  # the head's matrix
    assert by_kind[0.0, 0.01] == 1  # its bias
    assert sum(by_kind.values()) == count
    for group in chosen:
        assert all((parameter.ndim > 1) == (group["weight_decay"] > 0) for parameter in group["params"])


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_low_precision_trains(tmp_path: Path, precision: str) -> None:
    result = trial(tmp_path, precision=precision)
    assert result["curve"][-1]["train_loss"] < result["curve"][0]["train_loss"]


def test_a_trial_that_is_resumed_elsewhere_keeps_its_precision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision_module, "bf16_is_slower", lambda device: False)
    _cut(tmp_path, precision="auto")
    monkeypatch.setattr(precision_module, "bf16_is_slower", lambda device: True)
    assert trial(tmp_path, precision="auto")["precision"] == "bf16"
    assert trial(tmp_path, precision="auto")["precision"] == "bf16", "nor is it repeated once it is finished"
    assert trial(tmp_path, precision="auto", digest="other")["precision"] == "fp32"
    assert list(tmp_path.glob("precision-*")) == []


def test_gradient_checkpointing_changes_nothing_but_memory(tmp_path: Path) -> None:
    plain = trial(tmp_path / "a", load=lambda: toy_model("sequence_classification"))
    less = trial(
        tmp_path / "b", load=lambda: toy_model("sequence_classification"), gradient_checkpointing=True
    )
    assert [point["validation_loss"] for point in plain["curve"]] == pytest.approx(
        [point["validation_loss"] for point in less["curve"]], rel=1e-5
    )


def test_results_are_json(tmp_path: Path) -> None:
    result = trial(tmp_path)
    assert read_record(tmp_path / "result.json") == result
