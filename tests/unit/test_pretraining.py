"""The pretraining loop: losses equal to transformers', repeatable, divergence."""

from __future__ import annotations

import json
import math
import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ligero.models import precision
from ligero.models.digests import digest_weights
from ligero.models.weights import read_weights
from ligero.pretraining.cost_estimate import plan
from ligero.pretraining.divergence import DivergenceError, DivergenceWatch
from ligero.pretraining.engine import Pretrainer
from ligero.pretraining.mlm_objective import PretrainingObjective
from ligero.pretraining.objectives import make_objective
from ligero.pretraining.records import read_metrics
from ligero.pretraining.run_state import RunState
from ligero.pretraining.validation import unigram_loss, validate
from ligero.settings.pretraining import Divergence
from ligero.training.checkpoints import Checkpoints
from tests.builders.pretraining import (
    CPU,
    Folders,
    lines,
    prepared,
    same,
    spoiled,
    spoiled_in_turn,
    train,
)


@pytest.mark.parametrize("kind", ["albert", "bert", "roberta", "distilbert"])
def test_loss_and_gradients_equal_the_plain_path(folders: Folders, kind: str) -> None:
    run = prepared(folders, kind)
    model = run.model.eval()
    batch = run.source.batch(0)
    labels = torch.full_like(batch.input_ids, -100).reshape(-1)
    labels[batch.positions] = batch.labels
    inputs: dict[str, Any] = {"input_ids": batch.input_ids, "labels": labels.reshape(batch.input_ids.shape)}
    if kind == "albert":
        inputs |= {"token_type_ids": batch.token_type_ids, "sentence_order_label": batch.swapped}
    expected = model(**inputs).loss
    expected.backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    outputs = PretrainingObjective(model)(
        batch.input_ids, batch.token_type_ids, batch.positions, batch.labels, batch.swapped
    )
    loss = outputs[0] / len(batch.labels) + (outputs[2] / len(batch) if kind == "albert" else 0)
    loss.backward()
    torch.testing.assert_close(loss, expected, rtol=0, atol=1e-5)
    for name, parameter in model.named_parameters():
        if name in gradients:
            torch.testing.assert_close(parameter.grad, gradients[name], rtol=1e-4, atol=1e-5)


def test_loss_of_words_at_cls_equals_the_plain_path(folders: Folders) -> None:
    """ALBERT's last layer is computed for the predicted tokens alone, of which [CLS] is one now."""
    run = prepared(folders, objective="mlm", cls_words=1)
    model = run.model.eval()
    batch = run.source.batch(0)
    labels = torch.full_like(batch.input_ids, -100).reshape(-1)
    labels[batch.positions] = batch.labels
    expected = model(input_ids=batch.input_ids, labels=labels.reshape(batch.input_ids.shape)).loss
    objective = make_objective(model, run.job.recipe)
    loss = objective(*batch.inputs())[0] / len(batch.labels)
    torch.testing.assert_close(loss, expected, rtol=0, atol=1e-5)


def test_a_run_writes_an_ordinary_model_and_learns(folders: Folders, tmp_path: Path) -> None:
    assert train(
        folders, tmp_path, total_steps=250, optimizer="adamw", batch_size=16, micro_batch_size=16, max_ngram=1
    )
    from transformers.models.albert.modeling_albert import AlbertForMaskedLM

    model = AlbertForMaskedLM.from_pretrained(tmp_path / "out")
    assert model.config.vocab_size == 50
    summary = json.loads((tmp_path / "log" / "summary.json").read_text())
    assert summary["steps"] == 250 and summary["parameters"] > 0 and summary["precision"] == "fp32"
    assert summary["validation"]["mlm_loss"] < summary["unigram_loss"]
    digest = (tmp_path / "out" / "weights.digest").read_text()
    assert digest == f"{digest_weights(tmp_path / 'out')}\n"
    assert (tmp_path / "out" / "fast_tokenizer.json").is_file() and not (tmp_path / "state").exists()
    assert {"start", "validation"} == {line["event"] for line in lines(tmp_path) if "event" in line}


def test_validation_is_without_dropout_and_training_goes_on_with_it(folders: Folders) -> None:
    run = prepared(folders, dropout=0.5)
    objective, batch = make_objective(run.model, run.job.recipe).train(), run.source.batch(0)
    first, again = (validate(objective, batch, rows, CPU.device) for rows in (4, 8))
    assert first == pytest.approx(again, rel=1e-5)
    assert objective.training and all(module.training for module in objective.modules())


def test_the_plateau_is_that_of_all_sources(folders: Folders) -> None:
    """They follow each other in the text; a sample of its beginning would be of the first one alone."""
    store = prepared(folders).source.store
    tokens = np.repeat(np.arange(4, dtype=store.tokens.dtype), [6000, 2000, 1000, 1000])
    labels = torch.from_numpy(tokens.astype(np.int64))
    whole = unigram_loss(replace(store, tokens=tokens), labels, 4)
    assert whole == pytest.approx(1.0889, abs=1e-3)  # entropy of 0.6, 0.2, 0.1, 0.1 in nats
    assert unigram_loss(replace(store, tokens=tokens), labels, 4, sample=1000) == pytest.approx(
        whole, abs=1e-2
    )


def test_auto_takes_what_the_device_computes_in(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a run that is resumed elsewhere goes on in it."""
    recipe = prepared(folders, precision="auto").job.recipe
    for slower, expected in ((False, "bf16"), (True, "bf16")):
        monkeypatch.setattr(precision, "bf16_is_slower", lambda device, slower=slower: slower)
        run = prepared(folders, precision="auto")
        trainer = Pretrainer(run.model, recipe, run.source, run.held_out, tmp_path / "state", CPU)
        assert trainer.precision == expected
    run = prepared(folders, precision="auto")
    assert Pretrainer(run.model, recipe, run.source, run.held_out, tmp_path / "new", CPU).precision == "fp32"


def test_two_runs_are_equal_to_the_bit(folders: Folders, tmp_path: Path) -> None:
    for name in "ab":
        assert train(folders, tmp_path / name)
    assert same(tmp_path / "a", tmp_path / "b")


def test_accumulation_does_not_change_the_loss(folders: Folders, tmp_path: Path) -> None:
    finals = []
    for micro in (8, 2):
        run = prepared(folders, micro_batch_size=micro)
        for module in run.model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        trainer = Pretrainer(run.model, run.job.recipe, run.source, run.held_out, tmp_path / str(micro), CPU)
        assert trainer.run()
        finals.append(trainer.done.last["loss"])
    assert math.isclose(finals[0], finals[1], rel_tol=1e-4)


def test_divergence_stops(folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoiled(monkeypatch, {4}, 1)
    with pytest.raises(DivergenceError, match="diverged at step 5: the loss is nan"):
        train(folders, tmp_path)
    metrics = next((tmp_path / "state").glob("*/metrics.jsonl"))
    assert read_metrics(metrics)[-1]["event"] == "diverged"


@pytest.mark.parametrize(("times", "targets"), [(1, [3]), (2, [3, 0])])
def test_divergence_rolls_back(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int, targets: list[int]
) -> None:
    spoiled(monkeypatch, {4}, times)
    settings = {"on_divergence": "rollback", "learning_rate_scale": 0.5}
    assert train(folders, tmp_path, divergence=settings)
    summary = json.loads((tmp_path / "log" / "summary.json").read_text())
    assert [entry["to_step"] for entry in summary["rollbacks"]] == targets
    rates = {line["step"]: line["learning_rate"] for line in lines(tmp_path) if "learning_rate" in line}
    assert rates[8] == pytest.approx(3e-3 * 0.5**times / 6)
    assert sum(line.get("event") == "rollback" for line in lines(tmp_path)) == times
    # The figure shades what was thrown away and draws every step of the final model once.
    from ligero.reporting.curves import curve_of

    metrics = tmp_path / "log" / "metrics.jsonl"
    curve = curve_of(read_metrics(metrics), metrics)
    assert curve.restarts == [(5, target) for target in targets]
    assert [step for step, _ in curve.kept] == list(range(1, 9))
    assert [step for step, _ in curve.lost[0]] == [4] and len(curve.lost) == times


def _killed_after_rollback(finish: Any) -> Any:
    def killed(self: Pretrainer, *arguments: Any) -> None:
        if self.done.rollbacks:
            raise KeyboardInterrupt
        finish(self, *arguments)

    return killed


@pytest.mark.parametrize("killed", [False, True])
def test_after_a_rollback_to_the_beginning_nothing_is_left_of_the_steps_before_it(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: bool
) -> None:
    """Nor of the optimiser's moments, nor of LAMB's count of steps; also where the run is killed right after."""
    spoiled(monkeypatch, {1}, 1)
    settings = {"on_divergence": "rollback", "learning_rate_scale": 0.5}
    if killed:
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Pretrainer, "_finish_step", _killed_after_rollback(Pretrainer._finish_step))
            train(folders, tmp_path / "rolled", divergence=settings)
    assert train(folders, tmp_path / "rolled", divergence=settings)
    assert train(folders, tmp_path / "lower", learning_rate="1.5e-3")
    weights, expected = (read_weights(tmp_path / name / "out") for name in ("rolled", "lower"))
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def test_the_watch_goes_back_with_the_weights(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four steps were good; the checkpoint is of the third."""
    spoiled(monkeypatch, {4}, 1)
    restore, seen = Pretrainer._restore, []

    def watched(self: Pretrainer, state: RunState) -> None:
        seen.append(self.watch.steps)
        restore(self, state)
        seen.append(self.watch.steps)

    monkeypatch.setattr(Pretrainer, "_restore", watched)
    assert train(folders, tmp_path, divergence={"on_divergence": "rollback"})
    assert seen == [4, 3]


def test_repeated_divergence_stays_with_the_oldest_checkpoint(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the checkpoints at 2, 4, 6 and 8 two stay: the third divergence must not throw away what the first six steps gave."""
    spoiled_in_turn(monkeypatch, [8, 8, 7])
    settings = {"on_divergence": "rollback", "learning_rate_scale": 0.5}
    assert train(folders, tmp_path, total_steps=10, checkpoint_every=2, divergence=settings)
    summary = json.loads((tmp_path / "log" / "summary.json").read_text())
    assert [entry["to_step"] for entry in summary["rollbacks"]] == [8, 6, 6]
    assert [entry["learning_rate_scale"] for entry in summary["rollbacks"]] == [0.5, 0.25, 0.125]


def test_the_oldest_checkpoint_is_kept_when_rollbacks_run_out(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoiled_in_turn(monkeypatch, [8, 8, 7, 7])
    with pytest.raises(DivergenceError, match="after 3 rollbacks"):
        train(folders, tmp_path, total_steps=10, checkpoint_every=2, divergence={"on_divergence": "rollback"})
    folder = next((tmp_path / "state").glob("*/checkpoints"))
    assert Checkpoints(folder).steps() == [6]


def test_tokens_that_were_thrown_away_are_not_counted_as_seen(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"divergence": {"on_divergence": "rollback"}}
    assert train(folders, tmp_path / "smooth", **settings)
    spoiled(monkeypatch, {4}, 1)
    assert train(folders, tmp_path / "rolled", **settings)
    smooth, rolled = (
        json.loads((tmp_path / name / "log" / "summary.json").read_text()) for name in ("smooth", "rolled")
    )
    assert rolled["tokens"] == smooth["tokens"]


def test_a_collapse_to_the_plateau_is_seen_and_noise_is_not() -> None:
    """From 3.0 to 7.5 nats, as ALBERT large fell; noise of a fifth, and steps of short rows that are harder by a half."""
    generator = random.Random(1)
    watch = DivergenceWatch(Divergence(spike_factor=1.5))
    falling = [3.0 + 5.0 * math.exp(-step / 300) for step in range(2000)]
    for loss in falling:
        harder = 1.5 if generator.random() < 0.1 else 1.0
        assert watch.problem(loss * harder * generator.uniform(0.8, 1.2), 1.0) is None
    collapsed = [watch.problem(7.5 * generator.uniform(0.8, 1.2), 1.0) for _ in range(30)]
    assert any(problem and "1.5 times its best" in problem for problem in collapsed)
    watch.settings = Divergence(spike_factor=3.0)
    assert watch.problem(7.5, 1.0) is None, "a factor of 3 never sees it"


def test_a_loss_that_stays_as_it_was_is_no_divergence() -> None:
    """Not even to a factor that the mean's own beginning, from nothing, would exceed."""
    watch = DivergenceWatch(Divergence(spike_factor=1.3))
    assert [watch.problem(2.0, 1.0) for _ in range(200)] == [None] * 200


def test_the_same_divergence_is_not_computed_again(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scheduler tries failed jobs again; only other settings can help."""
    spoiled(monkeypatch, {4}, 1)
    with pytest.raises(DivergenceError, match="diverged at step 5"):
        train(folders, tmp_path)
    with monkeypatch.context() as patch, pytest.raises(DivergenceError, match=r"step 5.*nothing was changed"):
        patch.setattr(Pretrainer, "_step", None)
        train(folders, tmp_path)
    assert train(folders, tmp_path, divergence={"spike_factor": 2.5})


def test_rollbacks_run_out(folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoiled(monkeypatch, {4}, 100)
    with pytest.raises(DivergenceError, match="after 2 rollbacks"):
        train(folders, tmp_path, divergence={"on_divergence": "rollback", "maximum_rollbacks": 2})


def test_a_run_that_stopped_on_divergence_goes_on_with_rollback(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoiled(monkeypatch, {4}, 2)
    with pytest.raises(DivergenceError, match="on_divergence: rollback and start it again"):
        train(folders, tmp_path)
    assert train(folders, tmp_path, divergence={"on_divergence": "rollback"})
    summary = json.loads((tmp_path / "log" / "summary.json").read_text())
    assert [entry["to_step"] for entry in summary["rollbacks"]] == [3]
    # The steps before the checkpoint were not repeated.
    assert [line["step"] for line in lines(tmp_path) if line.get("event") == "start"] == [0]
    assert prepared(folders).fingerprint == prepared(folders, divergence={"spike_factor": 2.0}).fingerprint


def test_plan_states_the_cost(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ligero.pretraining.cost_estimate._SECONDS", 0.1)
    run = prepared(folders)
    before = [parameter.detach().clone() for parameter in run.model.parameters()]
    text = plan(run.model, run.job.recipe, run.source, CPU)
    after = list(run.model.parameters())
    assert not all(torch.equal(one, other) for one, other in zip(before, after, strict=True)), "real steps"
    assert "tokens/s" in text and "% of" in text and "minutes" in text


def test_the_planned_time_counts_steps_of_few_layers_by_their_work(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = prepared(folders)
    half = run.job.recipe.model_copy(
        update={"shallow_steps": run.job.recipe.total_steps // 2, "shallow_layers": 1}
    )
    tokens = half.total_steps * half.tokens_per_step
    for seconds, said in ((6_000, "minutes"), (100 * 86_400, "days")):
        monkeypatch.setattr(
            "ligero.pretraining.cost_estimate._tokens_per_second", lambda *_, s=seconds: tokens / s
        )
        times = [
            re.search(rf"^time +([\d.]+) {said}$", plan(run.model, recipe, run.source, CPU), re.MULTILINE)
            for recipe in (run.job.recipe, half)
        ]
        # Of two layers the last is computed for the predicted tokens alone: the other is most of the work.
        whole, shorter = (float(found[1]) for found in times if found)
        assert whole == 100.0 and 50 < shorter < 75
