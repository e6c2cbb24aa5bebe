"""A study's artefacts, read from its results folder. Every file asked for must be there: the workflow made it first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ligero.common.errors import DataError
from ligero.common.records import read_record
from ligero.corpus.statistics import CorpusRecord, read_statistics
from ligero.models.weights_source import WeightsSource
from ligero.pretraining.records import PretrainingSummary
from ligero.settings import plan
from ligero.settings.layout import Layout
from ligero.settings.study import Regime, Study

Record = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """A system as a row of a table."""

    regime: Regime
    model: str
    """Id of the model or student."""
    name: str
    left_out: str | None
    """Why it was not run, or None."""


@dataclass(frozen=True)
class Search:
    """What one search over hyper-parameters recorded.

    Attributes:
        workers: the record of each worker: seconds, device, threads.
        seconds: of each finished trial that recorded them.
    """

    workers: list[Record]
    seconds: list[float]

    @classmethod
    def read(cls, folder: Path) -> Search:
        """Read a search's folder, R/searches/STUDENT/TASK."""
        workers = [read_record(path) for path in sorted(folder.glob("worker-*.json"))]
        summary = folder / "summary.json"
        rows = read_record(summary)["rows"] if summary.is_file() else []
        return cls(workers, [float(row["seconds"]) for row in rows if row["seconds"] is not None])


class Results:
    """Reads artefacts by what they are; raises DataError where one is missing or malformed."""

    def __init__(self, study: Study, root: Path | str) -> None:
        self.study = study.model_copy(update={"results_dir": str(root)})
        self.layout = Layout(self.study)

    def rows(self) -> list[Row]:
        """Every system in the order of the configuration, those left out included."""
        study = self.study
        students = study.distillation.students if study.distillation else {}
        chosen: list[tuple[Regime, str, str]] = [("fine-tuning", model, model) for model in study.models]
        chosen += [("distillation", student, spec.initial) for student, spec in students.items()]
        return [
            Row(regime, model, plan.system_name(study, regime, model), study.left_out.get(initial))
            for regime, model, initial in chosen
        ]

    def scores(self, tasks: Iterable[str]) -> dict[tuple[Regime, str, str], Record]:
        """Test scores of all systems by (regime, model, task)."""
        wanted = list(tasks)
        return {
            (regime, model, task): self.score(regime, model, task)
            for regime, model in plan.systems(self.study)
            for task in wanted
        }

    def score(self, regime: Regime, model: str, task: str) -> Record:
        """Test score of one system on one task."""
        path = self.layout.score(regime, model, task)
        records: dict[tuple[str, str], Record] = {
            (record["model"], record["task"]): record for record in self._read(path)["scores"]
        }
        if (model, task) not in records:
            raise DataError(path, None, f"it has no score of '{model}' on '{task}'.", "Score it again.")
        return records[model, task]

    def ablation_run(self, task: str, method: str, seed: int) -> Record:
        """One run of the ablation."""
        return self._read(self.layout.ablation_run(task, method, seed))

    def baselines(self, tasks: Iterable[str]) -> dict[str, Record]:
        """Scores without a model, by task."""
        return {task: self._read(self.layout.baseline(task)) for task in tasks}

    @cached_property
    def efficiency(self) -> dict[tuple[Regime, str], Record]:
        """Parameters and MACs of every system that is run, by (regime, model)."""
        return self._of_all_systems(self.layout.efficiency)

    @cached_property
    def speed(self) -> dict[tuple[Regime, str], Record]:
        """Latency of every system that is run, by (regime, model)."""
        return self._of_all_systems(self.layout.inference_speed)

    def _of_all_systems(self, path: str) -> dict[tuple[Regime, str], Record]:
        found = {(row["regime"], row["model"]): row for row in self._read(path)["rows"]}
        for regime, model in plan.systems(self.study):
            if (regime, model) not in found:
                raise DataError(path, None, f"it has no row for {regime} of '{model}'.", "Measure again.")
        return found

    @property
    def tradeoff(self) -> list[Record]:
        """Score against cost for each task and each cost, in the shape of `ligero.reporting.tradeoff.Measured`."""
        found: list[Record] = self._read(self.layout.tradeoff)["measured"]
        return found

    @property
    def speed_conditions(self) -> Record:
        conditions: Record = self._read(self.layout.inference_speed)["conditions"]
        return conditions

    @property
    def efficiency_conditions(self) -> Record:
        conditions: Record = self._read(self.layout.efficiency)["conditions"]
        return conditions

    def task_info(self, task: str) -> Record:
        """Counts, leaks and notes of a task."""
        return self._read(self.layout.task_info(task))

    @property
    def corpus(self) -> CorpusRecord | None:
        """Counts of the corpus, or None where the study reads none."""
        return read_statistics(Path(self.layout.corpus_statistics)) if self.study.reads_corpus else None

    @property
    def tokenizer_quality(self) -> Record:
        """How well every vocabulary fits every text."""
        return self._read(self.layout.tokenizer_quality)

    def teacher(self, task: str) -> Record:
        return self._read(self.layout.teacher(task))

    def selection(self, regime: Regime, model: str, task: str) -> Record:
        return self._read(self.layout.selection(regime, model, task))

    def trials(self, regime: Regime, model: str) -> list[Record]:
        """The records of all trials of a system."""
        shards = range(len(plan.shards_of(self.study, regime, model)))
        paths = [self.layout.shard(regime, model, number) for number in shards]
        return [trial for path in paths for trial in self._read(path)["trials"]]

    def logits_cost(self, task: str) -> Record:
        return self._read(self.layout.logits_cost(task))

    def augmented_logits_cost(self, task: str) -> Record:
        return self._read(self.layout.augmented_logits_cost(task))

    def searches(self) -> list[Search]:
        """The searches over hyper-parameters that were run; no table waits for one."""
        folders = sorted(Path(self.layout.searches).glob("*/*"))
        return [Search.read(folder) for folder in folders if any(folder.glob("worker-*.json"))]

    def weights_source(self, model: str) -> WeightsSource | None:
        """Where the weights of others came from; None where they were not fetched yet, which no table waits for."""
        path = Path(self.layout.weights_source(model))
        return WeightsSource.read(path.parent) if path.is_file() else None

    def pretraining_summary(self, model: str) -> PretrainingSummary:
        return PretrainingSummary.read(Path(self.layout.pretraining_summary(model)).parent)

    @cached_property
    def _cache(self) -> dict[str, Record]:
        return {}

    def _read(self, path: str) -> Record:
        if path not in self._cache:
            self._cache[path] = read_record(path)
        return self._cache[path]
