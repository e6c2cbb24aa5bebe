"""A study's artefacts, read from its results folder. Every file asked for must be there: the workflow made it first."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar, cast

from ligero.common.errors import DataError, MismatchError
from ligero.common.records import REMEDY, DamagedError
from ligero.corpus.statistics import CorpusRecord, read_statistics
from ligero.distillation.records import (
    AblationRun,
    LogitsCost,
    LogitsMeta,
    SearchWorker,
    TeacherChoice,
    read_choice,
    read_cost,
    read_meta,
    read_run,
    read_search_summary,
    read_search_worker,
)
from ligero.efficiency.records import (
    CountingConditions,
    SystemCost,
    SystemLatency,
    TimingConditions,
    read_efficiency,
    read_speed,
)
from ligero.models.weights_source import WeightsSource
from ligero.pretraining.records import PretrainingSummary, StatesInfo
from ligero.reporting.records import Figure, Measured, read_tradeoff
from ligero.serving.manifest import Manifest
from ligero.settings import plan
from ligero.settings.layout import Layout
from ligero.settings.study import Regime, Study
from ligero.tasks.records import TaskInfo, read_task_info
from ligero.tokenizers.quality import QualityRecord
from ligero.training.records import (
    NGRAMS,
    ONE_LABEL,
    STATIC_EMBEDDINGS,
    BaselineRecord,
    LogisticRegressionRecord,
    SelectionRecord,
    ShardRecord,
    StaticEmbeddingsRecord,
    SystemScoreRecord,
    TrialRecord,
    read_baseline,
    read_scores,
    read_selection,
    read_shard,
    read_static_embeddings,
)

T = TypeVar("T")
TRADEOFF_REMEDY = "Measure again: snakemake --forcerun measure_tradeoff."


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

    workers: list[SearchWorker]
    seconds: list[float]

    @classmethod
    def read(cls, folder: Path) -> Search:
        """Read a search's folder, R/searches/STUDENT/TASK."""
        workers = [read_search_worker(path) for path in sorted(folder.glob("worker-*.json"))]
        summary = folder / "summary.json"
        rows = read_search_summary(summary)["rows"] if summary.is_file() else []
        return cls(workers, [row["seconds"] for row in rows if row["seconds"] is not None])


@dataclass(frozen=True)
class Instead:
    """A way of classifying without a language model.

    Attributes:
        scored: by task.
        missing: why it was not scored, by task.
    """

    name: str
    scored: dict[str, LogisticRegressionRecord]
    missing: dict[str, str]


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

    def scores(self, tasks: Iterable[str]) -> dict[tuple[Regime, str, str], SystemScoreRecord]:
        """Test scores of all systems by (regime, model, task)."""
        wanted = list(tasks)
        return {
            (regime, model, task): self.score(regime, model, task)
            for regime, model in plan.systems(self.study)
            for task in wanted
        }

    def score(self, regime: Regime, model: str, task: str) -> SystemScoreRecord:
        """Test score of one system on one task."""
        path = self.layout.score(regime, model, task)
        shard = self._read(read_scores, path)
        _refuse_other(path, shard, regime=regime)
        records = {(record["model"], record["task"]): record for record in shard["scores"]}
        if (model, task) not in records:
            raise DataError(path, None, f"it has no score of '{model}' on '{task}'.", "Score it again.")
        return records[model, task]

    def logits(self, task: str) -> LogitsMeta:
        """What the cached logits of a task's teachers are of."""
        folder = Path(self.layout.root, "logits", task)
        found = read_meta(folder)
        _refuse_other(str(folder / "meta.json"), found, task=task)
        return found

    def ablation_run(self, task: str, method: str, seed: int) -> AblationRun:
        """One run of the ablation."""
        path = self.layout.ablation_run(task, method, seed)
        found = self._read(read_run, path)
        _refuse_other(path, found, task=task, method=method, seed=seed)
        return found

    def baselines(self, tasks: Iterable[str]) -> dict[str, BaselineRecord]:
        """Scores without a model, by task."""
        found = {task: self._read(read_baseline, self.layout.baseline(task)) for task in tasks}
        for task, record in found.items():
            _refuse_other(self.layout.baseline(task), record, task=task)
        return found

    def static_embeddings(self, task: str) -> StaticEmbeddingsRecord:
        """Score of the static embeddings of a task's teacher, or the reason why there is none."""
        if task not in plan.tasks_with_static_embeddings(self.study):
            return {"scored": None, "reason": "without distillation no task has a teacher"}
        path = self.layout.static_embeddings(task)
        found = self._read(read_static_embeddings, path)
        if found["scored"]:
            _refuse_other(path, found["scored"], task=task)
        return found

    def without_a_model(self, tasks: Iterable[str]) -> list[Instead]:
        """What a user might take instead of a language model, on tasks of classification: n-grams and static embeddings."""
        chosen = [task for task in tasks if self.study.tasks[task].type == "sequence_classification"]
        ngrams = {task: record["ngrams"] for task, record in self.baselines(chosen).items()}
        static = {task: self.static_embeddings(task) for task in chosen}
        return [
            Instead(
                NGRAMS,
                {task: record for task, record in ngrams.items() if record},
                {task: ONE_LABEL for task, record in ngrams.items() if not record},
            ),
            Instead(
                STATIC_EMBEDDINGS,
                {task: record["scored"] for task, record in static.items() if record["scored"]},
                {task: record["reason"] for task, record in static.items() if not record["scored"]},
            ),
        ]

    @cached_property
    def efficiency(self) -> dict[tuple[Regime, str], SystemCost]:
        """Parameters and MACs of every system that is run, by (regime, model)."""
        path = self.layout.efficiency
        found = {(row["regime"], row["model"]): row for row in self._read(read_efficiency, path)["rows"]}
        self._refuse_missing(path, found.keys())
        return found

    @cached_property
    def speed(self) -> dict[tuple[Regime, str], SystemLatency]:
        """Latency of every system that is run, by (regime, model)."""
        path = self.layout.inference_speed
        found = {(row["regime"], row["model"]): row for row in self._read(read_speed, path)["rows"]}
        self._refuse_missing(path, found.keys())
        return found

    def _refuse_missing(self, path: str, found: Collection[tuple[Regime, str]]) -> None:
        for regime, model in plan.systems(self.study):
            if (regime, model) not in found:
                raise DataError(path, None, f"it has no row for {regime} of '{model}'.", "Measure again.")

    @property
    def tradeoff(self) -> list[Measured]:
        """Score against cost for each task and each cost.

        Raises:
            DataError: it is of other tasks or systems.
        """
        path = self.layout.tradeoff
        found = self._read(read_tradeoff, path)
        tasks = {*self.study.tasks, *([None] if len(self.study.tasks) > 1 else [])}
        if (measured := {part["task"] for part in found}) != tasks:
            names = [", ".join(sorted(task or "all" for task in some)) for some in (measured, tasks)]
            raise DataError(
                path, None, f"it is of the tasks {names[0]}; expected {names[1]}.", TRADEOFF_REMEDY
            )
        for part in found:
            systems = {(system["regime"], system["model"]) for system in part["systems"]}
            self._refuse_missing(path, systems)
            for regime, model in systems.difference(plan.systems(self.study)):
                said = f"it has a row for {regime} of '{model}', which is not run here."
                raise DataError(path, None, said, TRADEOFF_REMEDY)
        return found

    def intervals(self, task: str | None) -> dict[tuple[Regime, str], Figure]:
        """Scores with their intervals on a task, or of their mean over all tasks, by (regime, model)."""
        if len(self.study.tasks) == 1:
            task = next(iter(self.study.tasks))
        measured = next(found for found in self.tradeoff if found["task"] == task)
        return {(system["regime"], system["model"]): system["score"] for system in measured["systems"]}

    @property
    def speed_conditions(self) -> TimingConditions:
        return self._read(read_speed, self.layout.inference_speed)["conditions"]

    @property
    def efficiency_conditions(self) -> CountingConditions:
        return self._read(read_efficiency, self.layout.efficiency)["conditions"]

    def task_info(self, task: str) -> TaskInfo:
        """Counts, leaks and notes of a task."""
        found = self._read(lambda path: read_task_info(path.parent), self.layout.task_info(task))
        _refuse_other(self.layout.task_info(task), found, task=task)
        return found

    @property
    def corpus(self) -> CorpusRecord | None:
        """Counts of the corpus, or None where the study reads none."""
        return read_statistics(Path(self.layout.corpus_statistics)) if self.study.reads_corpus else None

    @property
    def tokenizer_quality(self) -> QualityRecord:
        """How well every vocabulary fits every text."""
        return self._read(QualityRecord.read, self.layout.tokenizer_quality)

    def teacher(self, task: str) -> TeacherChoice:
        found = self._read(read_choice, self.layout.teacher(task))
        _refuse_other(self.layout.teacher(task), found, task=task)
        return found

    def selection(self, regime: Regime, model: str, task: str) -> SelectionRecord:
        path = self.layout.selection(regime, model, task)
        found = self._read(read_selection, path)
        _refuse_other(path, found, regime=regime, model=model, task=task)
        return found

    def trials(self, regime: Regime, model: str) -> list[TrialRecord]:
        """The records of all trials of a system."""
        shards = range(len(plan.shards_of(self.study, regime, model)))
        found = []
        for path in (self.layout.shard(regime, model, number) for number in shards):
            shard = self.shard(path)
            for settings in shard.get("settings", {}).values():
                trained = "fine-tuning" if settings["distillation"] is None else "distillation"
                _refuse_other(path, {"regime": trained}, regime=regime)
            for trial in shard["trials"]:
                _refuse_other(path, trial["trial"], model=model)
                found.append(trial)
        return found

    def export(self, regime: Regime, model: str, task: str) -> Manifest:
        """What the export of a system says of itself.

        Raises:
            MismatchError: it is of another model than the one that is selected: of an earlier one, or of another system's.
        """
        folder = Path(self.layout.export(regime, model, task))
        found = Manifest.read(folder)
        if found.model_digest != self.selection(regime, model, task)["model_digest"]:
            raise MismatchError(
                f"{folder}: it is not of the model that is selected now; export that: snakemake {self.target(folder)}"
            )
        return found

    def shard(self, path: str) -> ShardRecord:
        """The trials that shared a process."""
        return self._read(read_shard, path)

    def logits_cost(self, task: str) -> LogitsCost:
        return self._cost(self.layout.logits_cost(task), task)

    def augmented_logits_cost(self, task: str) -> LogitsCost:
        return self._cost(self.layout.augmented_logits_cost(task), task)

    def target(self, path: Path | str) -> str:
        """A file as snakemake is asked for it, whose paths begin with the key `results_dir`, wherever the results are now."""
        return (
            f"RESULTS/{Path(path).relative_to(self.layout.root).as_posix()} (RESULTS is the key results_dir)"
        )

    def _cost(self, path: str, task: str) -> LogitsCost:
        found = self._read(read_cost, path)
        _refuse_other(path, found, task=task)
        return found

    def searches(self) -> list[Search]:
        """The searches over hyper-parameters that were run; no table waits for one."""
        folders = sorted(Path(self.layout.searches).glob("*/*"))
        return [Search.read(folder) for folder in folders if any(folder.glob("worker-*.json"))]

    def weights_source(self, model: str) -> WeightsSource | None:
        """Where the weights of others came from; None where they were not fetched yet, which no table waits for."""
        path = Path(self.layout.weights_source(model))
        return WeightsSource.read(path.parent) if path.is_file() else None

    def pretraining_summary(self, model: str) -> PretrainingSummary:
        path = self.layout.pretraining_summary(model)
        found = PretrainingSummary.read(Path(path).parent)
        _refuse_other(path, vars(found), model=model)
        return found

    def teacher_states(self, model: str) -> StatesInfo:
        return StatesInfo.read(Path(self.layout.pretraining_tokens(model)))

    @cached_property
    def _cache(self) -> dict[str, object]:
        return {}

    def _read(self, reader: Callable[[Path], T], path: str) -> T:
        """What a reader reads from a file, which it does once."""
        if path not in self._cache:
            self._cache[path] = reader(Path(path))
        return cast(T, self._cache[path])


def _refuse_other(path: str, record: Mapping[str, object], **expected: object) -> None:
    """Refuse a record that lies in the place of another, whole as it may be.

    Raises:
        DamagedError: it does.
    """
    for key, value in expected.items():
        if record.get(key) != value:
            raise DamagedError(path, None, f"its {key} is {record.get(key)!r}, expected {value!r}.", REMEDY)
