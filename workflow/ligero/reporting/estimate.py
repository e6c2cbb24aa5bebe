"""What a study will cost, before anything runs: jobs, operations, device hours, downloads, disk. Every figure says what it rests on.

Operations are an upper bound: as many tokens as the configuration lets an input have, where batches are as long as their longest.
Seconds follow from them by a rate that was measured: on finished jobs of the study, of another study on the device in question
(`measured`), or by the benchmark of pretraining (resources/rates.csv). What none of these covers is unknown.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ligero.models.formulas import TRAINING, forward_macs, parameters, pretraining_macs
from ligero.reporting.planned import STAGES, PlannedJob, planned_jobs
from ligero.reporting.progress import HOUR, Progress
from ligero.reporting.published import read_table
from ligero.settings import plan
from ligero.settings.models import Architecture
from ligero.settings.pretraining import Pretraining
from ligero.settings.study import Regime, Study
from ligero.tasks.records import read_task_info

RATED = Pretraining(total_steps=1)
"""What resources/rates.csv was measured with: 512 tokens, 15 % of them predicted."""
LABELS = 3
FAR = 1000
"""Times: a rate that was measured on less work than that says little."""
FP32 = 4
MOMENTS = 3
"""Weights and the two moments of the optimiser, in weights."""
TRAINED = ("pretraining", "fine-tuning", "teachers", "distillation", "comparison")


@dataclass(frozen=True)
class StageEstimate:
    """A stage.

    Attributes:
        done: jobs that have ended, where the study has run before.
        operations: floating-point operations of all its jobs, at most; None where nothing is trained, or a count of examples is unknown.
        hours: device hours of all its jobs; None where unknown.
        rests_on: what `hours` rests on, or what is missing.
    """

    stage: str
    jobs: int
    done: int
    trials: int
    operations: float | None
    hours: float | None
    rests_on: str


@dataclass(frozen=True)
class Amount:
    """Bytes of something; None where they are unknown."""

    what: str
    bytes: int | None
    note: str = ""


@dataclass(frozen=True)
class Estimate:
    """What a study will cost."""

    stages: list[StageEstimate]
    downloads: list[Amount]
    disk: list[Amount]
    unknown: list[str]


class Estimator:
    """Estimates a study."""

    def __init__(self, study: Study, project: Path, measured: Progress | None = None) -> None:
        """
        Args:
            study: as its configuration has it; its results are looked for in the working folder.
            measured: another study, whose finished jobs give the rates.
        """
        self.study, self.project = study, project
        root = Path(study.results_dir)
        self.own = Progress(study, root, project) if (root / "config.json").is_file() else None
        self.measured = measured
        self._unknown: list[str] = []

    def estimate(self) -> Estimate:
        """Everything."""
        stages = [self._stage(stage) for stage in STAGES if any(job.stage == stage for job in self._jobs)]
        return Estimate(
            stages, list(self._downloads()), list(self._disk()), list(dict.fromkeys(self._unknown))
        )

    @cached_property
    def _jobs(self) -> list[PlannedJob]:
        return [one.job for one in self.own.jobs] if self.own else planned_jobs(self.study)

    # --- hours --------------------------------------------------------------------------------------------------------

    def _stage(self, stage: str) -> StageEstimate:
        members = [job for job in self._jobs if job.stage == stage]
        done = (
            [one for one in self.own.jobs if one.job.stage == stage and one.state == "done"]
            if self.own
            else []
        )
        trials = sum(job.trials for job in members)
        operations = self._operations(self.study, stage)
        if self.own and done:
            found = next(one for one in self.own.stages() if one.stage == stage)
            if found.spent and not found.unknown:  # a copy may have lost the times of its jobs
                rests_on = f"{len(done):,} finished jobs of this study"
                return StageEstimate(
                    stage,
                    len(members),
                    len(done),
                    trials,
                    operations,
                    found.spent + found.left,
                    rests_on,
                )
        hours, rests_on = self._by_rate(stage, operations)
        return StageEstimate(stage, len(members), len(done), trials, operations, hours, rests_on)

    def _by_rate(self, stage: str, operations: float | None) -> tuple[float | None, str]:
        """Hours by a measured rate, and what they rest on."""
        if stage not in TRAINED:
            return None, "not estimated: it needs processors alone"
        if operations is None:
            return (
                None,
                "unknown: the numbers of examples are (read them: snakemake fetch, then the targets tasks/TASK/info.json)",
            )
        if self.measured:
            return self._by_other(self.measured, stage, operations)
        published = self._published(stage)
        if stage == "pretraining":
            hours = sum(
                self._operations_of_pretraining(self.study, model) / self._known_rate(model)
                for model in plan.pretrained_models(self.study)
            )
            return (
                hours / HOUR,
                f"NVIDIA H200, by the benchmark of the closest width (resources/rates.csv); on processors unknown{published}",
            )
        return (
            None,
            f"unknown: run a small study on the device and name it with --measured{published}",
        )

    def _published(self, stage: str) -> str:
        """What the thesis spent on a stage, for its own study."""
        rows = (
            {row["stage"]: row for row in read_table("device_hours")} if self.study.scale == "thesis" else {}
        )
        return (
            f" (the thesis: {rows[stage]['device_hours']} hours of {rows[stage]['device']})"
            if stage in rows
            else ""
        )

    def _by_other(self, other: Progress, stage: str, operations: float) -> tuple[float | None, str]:
        """Hours by the operations per second that a device reached in a stage of another study."""
        found = next((one for one in other.stages() if one.stage == stage), None)
        whole = found is not None and found.jobs["done"] == sum(found.jobs.values())
        measured = Estimator.of(other, self.project)._operations(other.study, stage) if whole else None
        if not (measured and found and found.spent):
            return None, f"unknown: this stage has not finished in {other.root}"
        rate = measured / (found.spent * HOUR)
        rests_on = f"{rate / 1e9:,.0f} GFLOP/s in {other.root}"
        if operations > FAR * measured:
            rests_on += f", whose work was {operations / measured:.0e} times smaller: too slow a rate, as start-up counts"
        return operations / rate / HOUR, rests_on

    @classmethod
    def of(cls, progress: Progress, project: Path) -> Estimator:
        """An estimator of a study that has run."""
        made = cls.__new__(cls)
        made.study, made.project, made.own, made.measured, made._unknown = (
            progress.study,
            project,
            progress,
            None,
            [],
        )
        return made

    def _known_rate(self, model: str) -> float:
        """Operations per second of pretraining a model, by the rate of the closest width; of the narrower where two are as close."""
        width = self.study.models[model].architecture.hidden_size
        rates = []
        with (self.project / "resources" / "rates.csv").open(encoding="utf-8", newline="") as handle:
            for row in csv.DictReader(handle):
                hidden = int(row["hidden_size"])
                shape = Architecture(
                    type="albert", vocab_size=31_000, hidden_size=hidden, num_hidden_layers=int(row["num_hidden_layers"]),
                    num_attention_heads=1, intermediate_size=4 * hidden, embedding_size=128,
                )  # fmt: skip
                rates.append(
                    (
                        abs(math.log(hidden / width)),
                        hidden,
                        float(row["tokens_per_second"]) * TRAINING * 2 * pretraining_macs(shape, RATED),
                    )
                )
        return min(rates)[2]

    # --- operations ---------------------------------------------------------------------------------------------------

    def _operations(self, study: Study, stage: str) -> float | None:
        if stage == "pretraining":
            return float(
                sum(self._operations_of_pretraining(study, model) for model in plan.pretrained_models(study))
            )
        if stage in ("fine-tuning", "distillation"):
            return self._sum(
                self._of_system(study, regime, model)
                for regime, model in plan.systems(study)
                if regime == stage
            )
        if stage == "teachers":
            return self._sum(self._of_logits(study, task) for task in study.tasks)
        if stage == "comparison":
            return self._sum(self._of_run(study, *run) for run in plan.ablation_runs(study))
        return None

    def _sum(self, values: Iterable[float | None]) -> float | None:
        found = list(values)
        return None if any(value is None for value in found) else float(sum(filter(None, found)))

    def _operations_of_pretraining(self, study: Study, model: str) -> float:
        recipe, shape = study.models[model].pretraining, self._shape(study, model)
        assert recipe
        tokens = recipe.total_steps * recipe.tokens_per_step
        total = TRAINING * 2 * tokens * pretraining_macs(shape, recipe)
        if lesson := study.models[model].state_teacher:
            # It reads its part of the corpus once, up to the last layer that is asked for.
            depth = max(lesson.layers_of(self._shape(study, lesson.model).num_hidden_layers))
            theirs = self._shape(study, lesson.model, depth)
            total += lesson.tokens / recipe.sequence_length * _forward(theirs, recipe.sequence_length)
        return total

    def _of_system(self, study: Study, regime: Regime, model: str) -> float | None:
        """Training of all trials, a validation after each epoch, and one pass over the test split."""
        shape = self._shape(
            study, plan.initial_model(study, regime, model), self._depth(study, regime, model)
        )
        total = 0.0
        for task in study.tasks:
            counts = self._counts(study, task)
            if counts is None:
                return None
            one = _forward(shape, self._length(study, task))
            trials = [trial for trial in plan.trials_of(study, regime, model) if trial.task == task]
            epochs = plan.epochs_of(trials, plan.stage_of(study, regime).halving)
            total += one * (epochs * (TRAINING * counts["train"] + counts["validation"]) + counts["test"])
            if regime == "distillation" and study.distillation and study.distillation.relations != "none":
                total += epochs * counts["train"] * self._teachers(study, task)[0]
        return total

    def _of_logits(self, study: Study, task: str) -> float | None:
        """The teachers once over the training split."""
        counts = self._counts(study, task)
        return None if counts is None else counts["train"] * sum(self._teachers(study, task))

    def _teachers(self, study: Study, task: str) -> list[float]:
        """Forward passes of a task's teachers; which ones is not known before: the dearest candidates, the dearest first."""
        shapes = [self._shape(study, model) for model in plan.teacher_candidates(study, task)]
        passes = sorted((_forward(shape, self._length(study, task)) for shape in shapes), reverse=True)
        return passes[: study.teachers.number]

    def _of_run(self, study: Study, task: str, method: str, seed: int) -> float | None:
        counts = self._counts(study, task)
        ablation, distillation = plan.ablation_sections(study)
        if counts is None:
            return None
        how = ablation.methods[method]
        more = distillation.augmentation.ratio if how.augmented and distillation.augmentation else 0.0
        epochs = plan.ablation_trial(ablation, task, method, seed).epochs
        shape = self._shape(
            study,
            distillation.students[ablation.student].initial,
            self._depth(study, "distillation", ablation.student),
        )
        seen = epochs * (TRAINING * counts["train"] * (1 + more) + counts["validation"]) + counts["test"]
        total = _forward(shape, self._length(study, task)) * seen
        if how.objective == "distilled" and (how.relations or distillation.relations) != "none":
            total += epochs * counts["train"] * (1 + more) * self._teachers(study, task)[0]
        return total

    def _length(self, study: Study, task: str) -> int:
        return study.tasks[task].max_length or study.fine_tuning.options.max_length

    def _depth(self, study: Study, regime: Regime, model: str) -> int | None:
        return (
            study.distillation.students[model].num_hidden_layers
            if regime == "distillation" and study.distillation
            else None
        )

    def _shape(self, study: Study, model: str, layers: int | None = None) -> Architecture:
        """A model's shape; where its vocabulary's size is open, that of its tokenizer's settings, or a usual one."""
        shape, tokenizer = study.models[model].architecture, study.models[model].tokenizer
        size = shape.vocab_size or (study.tokenizers[tokenizer].vocabulary_size if tokenizer else 32_000)
        return shape.model_copy(
            update={"vocab_size": size, "num_hidden_layers": layers or shape.num_hidden_layers}
        )

    def _counts(self, study: Study, task: str) -> dict[str, float] | None:
        """Examples of each split: as they were read, else as the configuration expects them; None where neither is known."""
        if self.own:
            folder = self.own.root / "tasks" / task
            if (folder / "info.json").is_file():
                return dict(read_task_info(folder)["counts"])
        found: dict[str, float] = {}
        for name, split in study.tasks[task].splits:
            if split.expected is None and split.limit is None:
                self._unknown.append(f"examples of {task}")
                return None
            share = split.share[1] - split.share[0] if split.share else 1.0
            count = split.expected * share if split.expected is not None else math.inf
            found[name] = min(count, split.limit or math.inf)
        return found

    # --- bytes --------------------------------------------------------------------------------------------------------

    def _downloads(self) -> Iterable[Amount]:
        """Sources that are neither generated, nor in the mirror or the results, and weights of the hub."""
        for job in self._jobs:
            if job.rule == "fetch_source":
                source = self.study.sources[plan.source_at(self.study, job.name)]
                there = Path(job.outputs[0]).is_file() or (
                    self.study.mirror and Path(self.study.mirror, source.path).is_file()
                )
                if not source.generated and not there and not source.archive:
                    yield Amount(source.path, source.bytes, source.licence)
        for model in plan.models_of_others(self.study):
            spec = self.study.models[model]
            if spec.hub and not Path(self.study.results_dir, "weights", model, "weights.digest").is_file():
                size = FP32 * parameters(self._shape(self.study, model), LABELS)
                yield Amount(f"{spec.hub.id} (hub)", size, "by its parameters in fp32")

    def _paused(self) -> Iterable[int]:
        """Checkpoints of all trials of a system and task, where halving compares them: weights, moments and the best weights."""
        study = self.study
        for regime, model in plan.systems(study):
            if plan.stage_of(study, regime).halving:
                depth = self._depth(study, regime, model)
                shape = self._shape(study, plan.initial_model(study, regime, model), depth)
                trials = Counter(trial.task for trial in plan.trials_of(study, regime, model))
                yield FP32 * parameters(shape, LABELS) * (MOMENTS + 1) * max(trials.values())

    def _disk(self) -> Iterable[Amount]:
        """What the largest artefacts take."""
        study = self.study
        sizes = {model: FP32 * parameters(self._shape(study, model), LABELS) for model in study.models}
        pretrained = plan.pretrained_models(study)
        if pretrained:
            kept = [(sizes[model], study.models[model].pretraining) for model in pretrained]
            checkpoints = sum(
                size * MOMENTS * (recipe.keep_checkpoints if recipe else 0) for size, recipe in kept
            )
            yield Amount("checkpoints of pretraining", checkpoints, "at most, all models at once")
        yield Amount("weights that training starts from", sum(sizes.values()))
        selected = 0
        for regime, model in plan.systems(study):
            shape = self._shape(
                study, plan.initial_model(study, regime, model), self._depth(study, regime, model)
            )
            selected += FP32 * parameters(shape, LABELS) * len(study.tasks)
        yield Amount(
            "selected models", selected, "one for each system and task; other trials keep no weights"
        )
        if paused := list(self._paused()):
            yield Amount("paused trials of halving", max(paused), "at most, for each job that runs at once")
        if study.distillation:
            logits = [self._logits_bytes(task) for task in study.tasks]
            known = [size for size in logits if size is not None]
            note = "at most, all tokens" + (
                ""
                if len(known) == len(logits)
                else f"; without {len(logits) - len(known)} tasks of unknown size"
            )
            yield Amount("logits of the teachers", sum(known) if known else None, note)
        sources = [
            study.sources[source].bytes
            for source in plan.wanted_sources(study)
            if not study.sources[source].generated
        ]
        if sources:
            unknown = sum(size is None for size in sources)
            yield Amount(
                "sources",
                sum(filter(None, sources)),
                f"without {unknown} files of unknown size" if unknown else "",
            )
        if study.reads_corpus:
            yield Amount(
                "cleaned corpus and token stores",
                None,
                "2 bytes per token for each vocabulary, beside the compressed text",
            )

    def _logits_bytes(self, task: str) -> int | None:
        counts, spec = self._counts(self.study, task), self.study.tasks[task]
        if counts is None:
            return None
        each = {
            "sequence_classification": len(spec.labels),
            "token_classification": len(spec.labels) * self._length(self.study, task),
            "question_answering": 2 * self._length(self.study, task),
        }
        return int(FP32 * counts["train"] * each[spec.type] * len(self._teachers(self.study, task)))


def _forward(shape: Architecture, length: int) -> float:
    """Floating-point operations of a forward pass over one input."""
    return 2.0 * forward_macs(shape, length)
