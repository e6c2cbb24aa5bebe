"""The pretraining loop: from batches to a trained model, resumable to the bit.

Everything random is a function of (seed, step), so the state of a run is its weights, its optimiser's moments and a few
numbers. A run that is killed at any step and started again writes the weights and losses of one that was not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ligero.common.counter_rng import seed_of
from ligero.common.progress import progress
from ligero.models.precision import autocast, resolve_once
from ligero.pretraining.batches import BatchSource, PretrainingBatch, batches_of
from ligero.pretraining.compiled import compiled_for
from ligero.pretraining.distributed import DistributedContext
from ligero.pretraining.divergence import (
    DivergenceError,
    DivergenceWatch,
    advice,
    refuse_repetition,
    remember,
)
from ligero.pretraining.interruption import Interruption
from ligero.pretraining.metrics import MetricsFile, Position
from ligero.pretraining.mlm_objective import Counts
from ligero.pretraining.objectives import make_objective
from ligero.pretraining.records import METRICS_FILE, MetricsLine
from ligero.pretraining.run_state import Progress, RunState
from ligero.pretraining.speed import Speed
from ligero.pretraining.validation import validate
from ligero.settings.pretraining import Pretraining
from ligero.training.checkpoints import CheckpointError, Checkpoints
from ligero.training.optimizers import make_optimizer, set_learning_rate
from ligero.training.schedules import linear_warmup_decay

_DROPOUT = 31


class Pretrainer:
    """Trains `model` in place by `recipe`.

    Args:
        model: a transformers pretraining model on the CPU, freshly initialised.
        source: batches of the training text.
        held_out: one batch of held-out text, or None.
        state_folder: checkpoints and the metrics file of the running training.
        placement: device and process.
        label: who trains, at the start of messages.
        data_check: of the training text, running in the background; where it fails, training ends with its error.
    """

    def __init__(
        self,
        model: nn.Module,
        recipe: Pretraining,
        source: BatchSource,
        held_out: PretrainingBatch | None,
        state_folder: Path,
        placement: DistributedContext,
        label: str = "pretraining",
        data_check: Future[None] | None = None,
    ) -> None:
        self.recipe, self.source, self.held_out, self.placement = recipe, source, held_out, placement
        self.label, self.data_check = label, data_check
        self.precision = resolve_once(
            recipe.precision, placement.device, state_folder / "precision.json", loss_scaling=False
        )
        self.objective = make_objective(model, recipe).to(placement.device)
        self.model = self.objective.model
        self.depth = int(
            getattr(model.config, "num_hidden_layers", 0)
        )  # of all architectures but DistilBERT's
        compiled = compiled_for(recipe, self.objective) if recipe.compile else self.objective
        self.parallel = placement.wrapped(compiled, recipe.sharding, self.precision)
        self.sharded = recipe.sharding == "fsdp" and placement.world > 1
        self.rate = float(recipe.learning_rate)
        self.optimizer = make_optimizer(
            self.model, recipe.optimizer, self.rate, recipe.weight_decay, recipe.bias_correction
        )
        self.share = placement.share(recipe.batch_size, recipe.micro_batch_size)
        self.state_folder = state_folder
        self.checkpoints = Checkpoints(state_folder / "checkpoints", recipe.keep_checkpoints)
        self.metrics = MetricsFile(
            state_folder / METRICS_FILE if placement.is_first else None, recipe.tensorboard
        )
        self.watch = DivergenceWatch(recipe.divergence)
        self.done = Progress()
        self.interruption = Interruption()
        self.speed = Speed(self.model.config, recipe, placement, self.precision)
        self._stopping = False
        self._saved_step = -1
        self._initial: RunState | None = None

    def run(self) -> bool:
        """Train to the end of the recipe; False when an interruption stopped it after a checkpoint.

        Raises:
            DamagedError: the check of the training text failed.
            DivergenceError: the run diverged and may not roll back (any more).
            CheckpointError: a checkpoint could not be written.
        """
        recipe = self.recipe
        refuse_repetition(self.state_folder, recipe.divergence)
        if recipe.divergence.on_divergence == "rollback":
            self._initial = self._beginning()
        self._resume()
        with self._bar() as bar:
            batches = self._batches()
            clock = time.monotonic()
            while self.done.step < recipe.total_steps and not self._stopping:
                begun = time.monotonic()
                batch = next(batches)
                step = self.done.step
                result = self._step(step, batch)
                if result is None:
                    break
                now = time.monotonic()
                self.done.seconds, clock = self.done.seconds + now - clock, now
                self._count(batch.tokens * self.placement.world, now - begun)
                if problem := self.watch.problem(result["loss"], result["gradient_norm"]):
                    self._diverged(step, problem)
                    batches = self._batches()
                    bar.n = self.done.tokens
                    continue
                if self.data_check is not None and self.data_check.done():
                    self.data_check.result()
                self._finish_step(step, batch, result, bar)
            completed = self.done.step >= recipe.total_steps
        if completed and self.data_check is not None:
            self.data_check.result()
        if not completed and self._saved_step != self.done.step:
            self._save()
        self.metrics.close()
        return completed

    def measured_steps(self) -> Iterator[int]:
        """Steps one after another, of which nothing is written: the tokens of each, in all processes together."""
        for number, batch in enumerate(self._batches()):
            self._step(number, batch)
            yield batch.tokens * self.placement.world

    # One step

    def _step(self, step: int, batch: PretrainingBatch) -> dict[str, float] | None:
        """Forward, backward and update on the batch of `step`; None when interrupted before the update."""
        recipe, device = self.recipe, self.placement.device
        rate = self.rate * self.done.rate_scale
        rate *= linear_warmup_decay(step, recipe.warmup_steps, recipe.decay_end)
        set_learning_rate(self.optimizer, rate)
        if recipe.shallow_steps:
            self._set_depth(recipe.shallow_layers if step < recipe.shallow_steps else self.depth)
            if step == recipe.shallow_steps:
                # A model of another depth: that its loss is far above the shallow one's best is no divergence.
                self.watch = DivergenceWatch(recipe.divergence)
        self.model.train()
        counts = self._counts(batch)
        sums = torch.zeros(5, device=device)
        self.optimizer.zero_grad(set_to_none=True)
        first_micro = self.share[0] // recipe.micro_batch_size
        parts = list(batch.micro_batches(recipe.micro_batch_size))
        for number, part in enumerate(parts):
            # Dropout too is a function of place, so it does not depend on how rows are dealt to processes.
            torch.manual_seed(seed_of(recipe.seed, _DROPOUT, step, first_micro + number))
            with self.placement.synchronised(self.parallel, number == len(parts) - 1):
                outputs = self._forward(part.to(device))
                loss = self.objective.mean(outputs, counts)
                # Processes average their gradients; the loss is a sum over the whole batch.
                (loss * self.placement.world).backward()
            sums[: len(outputs)] += torch.stack([value.detach().float() for value in outputs])
            if self.interruption.requested and self.placement.world == 1:
                return None
        # Several processes agree to stop along with their losses, at the end of a step.
        sums[4] = float(self.interruption.requested)
        norm: Any = torch.nn.utils.clip_grad_norm_(
            self.model.parameters(), recipe.max_grad_norm, foreach=True
        )
        norm = norm.full_tensor() if self.sharded else norm
        *totals, interrupted = self.placement.summed(sums).tolist()
        self._stopping = interrupted > 0
        readings = self.objective.readings(totals, counts)
        result = {
            "loss": self.objective.total(readings),
            **readings,
            "gradient_norm": float(norm),
            "learning_rate": rate,
        }
        if math.isfinite(result["gradient_norm"]):
            self.optimizer.step()
        return result

    def _set_depth(self, layers: int) -> None:
        """How often ALBERT's shared layer is applied from now on; saved weights do not depend on it."""
        self.model.config.num_hidden_layers = layers  # type: ignore[union-attr]
        self.speed.computes(self.model.config)

    def _forward(self, part: PretrainingBatch) -> tuple[Tensor, ...]:
        with autocast(self.precision, self.placement.device):
            return self.parallel(*part.inputs())

    def _count(self, tokens: int, seconds: float) -> None:
        self.speed.add(tokens, seconds)
        self.done.computed_tokens += tokens
        self.done.computing_seconds += seconds

    def _finish_step(self, step: int, batch: PretrainingBatch, result: dict[str, float], bar: Any) -> None:
        """Count, log, validate and save after a good step."""
        recipe, done = self.recipe, self.done
        tokens = batch.tokens * self.placement.world
        done.step, done.tokens = step + 1, done.tokens + tokens
        done.last = {name: value for name, value in result.items() if name != "gradient_norm"}
        bar.update(tokens)
        last = done.step == recipe.total_steps
        if done.step % recipe.log_every == 0 or done.step == 1 or last:
            speed = self.speed.read()
            bar.set_postfix_str(
                f"step {done.step}/{recipe.total_steps}, loss {result['loss']:.3f}, rate {result['learning_rate']:.2e}, "
                f"{speed['tokens_per_second']:,.0f} tokens/s, {speed['share_of_peak']:.0%} of peak",
                refresh=False,
            )
            self.metrics.write(step=done.step, **result, tokens=done.tokens, **speed)
        if self.held_out is not None and (done.step % recipe.validate_every == 0 or last):
            with autocast(self.precision, self.placement.device):
                done.validation = validate(
                    self.objective, self.held_out, recipe.micro_batch_size, self.placement.device
                )
            if self.sharded:
                self.parallel.reshard()  # type: ignore[operator]
            self.metrics.write(step=done.step, event="validation", **done.validation)
            self._agree_to_stop()
        # At the end too: should writing the model fail, what was trained is not lost.
        if done.step % recipe.checkpoint_every == 0 or last:
            self._save()
            self._agree_to_stop()

    # State

    def _state(self) -> RunState:
        """What a checkpoint holds; every process must call it, and only the first gets the tensors."""
        from ligero.pretraining.sharding import whole_state

        weights, moments = whole_state(self.model, self.optimizer)
        return RunState(weights, moments, self.watch.state(), replace(self.done), self.metrics.position())

    def weights(self) -> dict[str, Tensor]:
        """The model's weights, whole, tied ones once, in the first process; every process must call it."""
        from ligero.pretraining.sharding import whole_weights

        tensors = [*self.model.named_parameters(), *self.model.named_buffers()]
        named = {name for name, _ in tensors}
        return {name: value for name, value in whole_weights(self.model).items() if name in named}

    def _beginning(self) -> RunState:
        """The state before the first step, in every process, to roll back to where there is no checkpoint yet."""
        from ligero.pretraining.sharding import whole_weights

        weights = whole_weights(self.model, everywhere=True)
        copied = {name: value.detach().to("cpu", copy=True) for name, value in weights.items()}
        return RunState(copied, None, self.watch.state(), replace(self.done), Position(0, ""))

    def _save(self) -> None:
        """Write a checkpoint, none before the text is known to be whole: a later start would go on from what damage taught.

        Raises:
            DamagedError: the check of the training text failed.
            CheckpointError: it could not be written.
        """
        if self.data_check is not None:
            self.data_check.result()
        if self.done.first_saved is None:
            self.done.first_saved = self.done.step
        state = self._state()
        if self.placement.is_first:
            self.checkpoints.save(self.done.step, state.plain())
        self._saved_step = self.done.step
        self.placement.barrier()

    def _restore(self, state: RunState) -> None:
        from ligero.pretraining.sharding import load_whole_state

        load_whole_state(self.model, self.optimizer, state.model, state.optimizer)
        self.watch.restore(state.watch)
        self.done = replace(state.progress)

    def _resume(self) -> None:
        """Continue from the latest intact checkpoint, or start."""
        found = self._agreed(None)
        if found is None:
            self.metrics.rewind(Position(0, ""))
            self.metrics.write(
                step=0, event="start", parameters=sum(p.numel() for p in self.model.parameters())
            )
            return
        self._restore(found[1])
        self._saved_step = found[0]
        self.metrics.rewind(found[1].metrics)

    def _agreed(self, passed_over: int | None) -> tuple[int, RunState] | None:
        """The latest intact checkpoint, the same in all processes: the first one chooses.

        Args:
            passed_over: where the latest is of this step, an earlier one is taken.

        Raises:
            CheckpointError: a process cannot read what the first one chose.
        """
        found = self.checkpoints.load_latest() if self.placement.is_first else None
        if found is not None and found[0] == passed_over:
            found = self.checkpoints.load_latest(before=passed_over)
        step = self.placement.from_first(found[0] if found else -1)
        if not self.placement.is_first and step >= 0:
            found = self.checkpoints.load_latest(before=step + 1)
        if step >= 0 and (found is None or found[0] != step):
            raise CheckpointError(
                f"{self.checkpoints.folder}: process {self.placement.rank} cannot read the checkpoint of step {step} that the first "
                "process reads; the state folder must be on a file system that all processes share"
            )
        return (found[0], RunState.of(found[1])) if found else None

    def _diverged(self, step: int, problem: str) -> None:
        """Stop, or go back to an earlier checkpoint with a lower rate, as the authors did for large and xlarge."""
        settings, done = self.recipe.divergence, self.done
        message = f"{self.label}: diverged at step {step + 1}: {problem}"
        if settings.on_divergence == "stop" or len(done.rollbacks) >= settings.maximum_rollbacks:
            self.metrics.write(step=step + 1, event="diverged", problem=problem)
            self.metrics.close()
            used = f" after {len(done.rollbacks)} rollbacks" if done.rollbacks else ""
            message = (
                f"{message}{used}. {advice(settings)}, or start anew with a lower learning_rate or more warmup_steps. "
                f"Checkpoints: {self.checkpoints.folder}"
            )
            if self.placement.is_first:
                remember(self.state_folder, settings, message)
            raise DivergenceError(message)
        rollbacks, scale = done.rollbacks, done.rate_scale * settings.learning_rate_scale
        target, state = self._rollback_target() or (0, self._initial)
        assert state is not None  # kept where a recipe rolls back
        self._restore(state)
        rolled: MetricsLine = {
            "step": step + 1,
            "to_step": target,
            "learning_rate_scale": scale,
            "problem": problem,
        }
        self.done.rollbacks = [*rollbacks, rolled]
        self.done.rate_scale, self.done.seconds = scale, done.seconds
        self.done.computed_tokens, self.done.computing_seconds = done.computed_tokens, done.computing_seconds
        self.metrics.write(event="rollback", **rolled)
        self.placement.barrier()  # nothing is removed while another process may still read it
        self._save()  # and the checkpoints after it go
        print(f"{message}; back to step {target} with the learning rate times {scale:.3f}")

    def _rollback_target(self) -> tuple[int, RunState] | None:
        """The checkpoint to go back to; None is the beginning.

        A second divergence before a new checkpoint means that the last one was already on its way out, so the one before is
        taken. Where that was pruned it stays with the oldest, at the lower rate: days of training are not given up for it.
        """
        rollbacks = self.done.rollbacks
        found = self._agreed(rollbacks[-1]["to_step"] if rollbacks else None)
        if found is None and (oldest := self._agreed(None)) is not None:
            first = oldest[1].progress.first_saved
            assert first is not None  # set before the first checkpoint is written
            return oldest if oldest[0] > first else None
        return found

    # Surroundings

    def _batches(self) -> Iterator[PretrainingBatch]:
        steps = range(self.done.step, self.recipe.total_steps)
        return batches_of(self.source, self.share, steps, self.recipe.micro_batch_size, self.placement.device)

    def _counts(self, batch: PretrainingBatch) -> Counts:
        """Of the whole batch: the same share of predictions in every process without whole words; else, and of lessons, added up."""
        counts = [len(batch.labels), 0 if batch.taught is None else len(batch.taught)]
        world = self.placement.world
        if world == 1 or not (self.recipe.whole_word or self.recipe.teacher):
            return Counts(counts[0] * world, self.recipe.batch_size, counts[1] * world)
        counts = self.placement.summed(
            torch.tensor(counts, dtype=torch.float64, device=self.placement.device)
        ).tolist()
        return Counts(int(counts[0]), self.recipe.batch_size, int(counts[1]))

    def _agree_to_stop(self) -> None:
        """Hear of an interruption that came while a step was evaluated or saved, before another one begins."""
        self._stopping = self.placement.any(self._stopping or self.interruption.requested)

    def _bar(self) -> Any:
        bar = progress(
            total=round(self.recipe.tokens_per_step * self.recipe.total_steps),
            label=self.label,
            unit="token",
            disable=not self.placement.is_first,
        )
        bar.initial = bar.n = self.done.tokens
        return bar
