"""The links of a chain, each read from the records of a results folder. Needs no torch and no pandas."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from ligero.common.errors import DataError
from ligero.common.files import read_json
from ligero.common.hashing import digest_file, sha256_file
from ligero.models.weights_source import WeightsSource
from ligero.reporting.provenance.records import (
    KeptFile,
    Measurement,
    SelectedTrial,
    SourceFile,
    StartingWeights,
    TaskData,
    Teaching,
    Vocabulary,
)
from ligero.reporting.results import Results, Row
from ligero.settings import plan
from ligero.settings.jobs import MeasuredSystem, efficiency_job
from ligero.settings.study import Regime
from ligero.tasks.records import read_encoded_info
from ligero.training.records import TrialRecord
from ligero.training.scoring import answers_file


def kept_file(path: Path | str, recorded: str | None) -> KeptFile:
    """A file compared with its recorded digest."""
    path = Path(path)
    if not path.is_file():
        return KeptFile(str(path), recorded, "missing")
    if recorded is None:
        return KeptFile(str(path), None, "no digest recorded")
    return KeptFile(str(path), recorded, "as recorded" if digest_file(path) == recorded else "changed")


class Links:
    """Reads the links of one study's numbers; what several numbers share is read once."""

    def __init__(self, results: Results) -> None:
        self.results, self.study, self.layout = results, results.study, results.layout
        self._data: dict[str, TaskData] = {}
        self._starts: dict[str, StartingWeights] = {}
        self._teachings: dict[str, Teaching] = {}

    def measurement(self, row: Row, task: str, metric: str) -> Measurement:
        """A metric of a system on a task's test split, with everything behind it.

        Raises:
            DataError: a record is missing.
            DamagedError: a record is not what was written.
        """
        record = self.results.score(row.regime, row.model, task)
        folder = Path(self.layout.root, "predictions", row.regime, row.model)
        initial = plan.initial_model(self.study, row.regime, row.model)
        answers = answers_file(folder, task, self.study.tasks[task].type)
        return Measurement(
            regime=row.regime,
            system=row.model,
            name=row.name,
            task=task,
            task_name=self.study.tasks[task].name,
            metric=metric,
            value=record["metrics"][metric],
            interval=record["intervals"].get(metric),
            examples=record["examples"],
            scores=self.layout.score(row.regime, row.model, task),
            predictions=kept_file(answers, record.get("predictions_digest")),
            data=self.data(task),
            vocabulary=self.vocabulary(initial, task),
            trial=self.trial(row.regime, row.model, task),
            start=self.start(initial),
            teaching=self.teaching(task) if row.regime == "distillation" else None,
        )

    def baseline(self, task: str, metric: str) -> Measurement:
        """A metric of a task's baseline."""
        record = self.results.baselines([task])[task]
        return Measurement(
            regime=None, system=None, name=record["name"], task=task, task_name=self.study.tasks[task].name, metric=metric,
            value=record["metrics"][metric], interval=record["intervals"].get(metric), examples=record["examples"],
            scores=self.layout.baseline(task), predictions=None, data=self.data(task),
        )  # fmt: skip

    def data(self, task: str) -> TaskData:
        """A task's examples and the files that they were read from."""
        if task not in self._data:
            info = self.results.task_info(task)
            sums = info.get("sources", {})
            sources = [
                self.source(source, sums.get(source)) for source in plan.task_sources(self.study, task)
            ]
            notes = [*info["notes"], *info["warnings"]]
            self._data[task] = TaskData(task, info["counts"], info.get("digests", {}), sources, notes)
        return self._data[task]

    def source(self, source_id: str, sha256: str | None = None) -> SourceFile:
        """An entry of the registry, with the checksum that a job, the registry or the lock file recorded; else that of the file."""
        source = self.study.sources[source_id]
        recorded = sha256 or source.sha256 or self._locked.get(source_id, {}).get("sha256")
        path = Path(self.layout.source(source_id))
        found = recorded or (sha256_file(path) if path.is_file() else None)
        return SourceFile(
            source_id,
            source.path,
            found,
            recorded is not None,
            source.licence,
            source.citation,
            source.generated,
        )

    @cached_property
    def _locked(self) -> dict[str, dict[str, str]]:
        path = Path(self.layout.root, "sources.lock.json")
        return read_json(path) if path.is_file() else {}

    def vocabulary(self, model: str, task: str) -> Vocabulary | None:
        """The tokenizer of a model and how it encoded a task; None where the encoded task is not there."""
        folder = Path(self.layout.encoded(model), task)
        if not (folder / "info.json").is_file():
            return None
        info = read_encoded_info(folder)
        longest = info["job"].get("max_length")
        return Vocabulary(
            info["vocabulary"],
            info["encoder"],
            longest if isinstance(longest, int) else None,
            info["digests"],
        )

    def trial(self, regime: Regime, model: str, task: str) -> SelectedTrial:
        """The trial that validation selected, and its own record."""
        chosen = self.results.selection(regime, model, task)
        record, settings = self._trial_record(regime, model, task, chosen["id"])
        places = [candidate["id"] for candidate in chosen["candidates"]]
        return SelectedTrial(
            id=chosen["id"],
            place=places.index(chosen["id"]) + 1,
            chosen_by=chosen.get("selection_metric", plan.selection_metric_of(self.study, regime, task)),
            loss=chosen["best"]["loss"],
            score=chosen["best"]["score"],
            epoch=chosen["best"]["epoch"],
            seed=chosen["trial"]["seed"],
            candidates=chosen["candidates"],
            digest=record.get("digest"),
            model_digest=chosen.get("model_digest", ""),
            device=chosen["device"],
            threads=record.get("threads"),
            precision=record.get("precision"),
            seconds=chosen["seconds_of_best"],
            versions=record.get("versions", {}),
            options=settings.get("options", {}),  # type: ignore[arg-type]
            distillation=settings.get("distillation"),  # type: ignore[arg-type]
        )

    def _trial_record(
        self, regime: Regime, model: str, task: str, trial_id: str
    ) -> tuple[TrialRecord, dict[str, object]]:
        """A trial as its shard recorded it, and the settings of its task."""
        for path in self.layout.trials(regime, model, task):
            shard = self.results.shard(path)
            for record in shard["trials"]:
                if record["trial"]["task"] == task and record.get("id", trial_id) == trial_id:
                    return record, dict(shard.get("settings", {}).get(task, {}))
        raise DataError(
            self.layout.shard(regime, model, 0), None, f"it has no trial {trial_id} of {model} on {task}.",
            "Select again: snakemake --forcerun select_trials select_trial.",
        )  # fmt: skip

    def start(self, model: str) -> StartingWeights:
        """The weights that a model starts from."""
        if model not in self._starts:
            kind = self.study.models[model].weights
            self._starts[model] = self._pretrained(model) if kind == "pretrain" else self._of_others(model)
        return self._starts[model]

    def _pretrained(self, model: str) -> StartingWeights:
        done = self.results.pretraining_summary(model)
        parts = self.study.corpus.parts if self.study.corpus else ()
        lesson = self.study.models[model].state_teacher
        return StartingWeights(
            model, "pretrained here", self._weights_digest(model), steps=done.steps, tokens=done.tokens,
            loss=done.validation.get("mlm_loss"), unigram_loss=done.unigram_loss, job=done.determined_by,
            fingerprint=done.fingerprint, sources=[self.source(part) for part in parts],
            teacher=self.start(lesson.model) if lesson else None,
        )  # fmt: skip

    def _of_others(self, model: str) -> StartingWeights:
        source = self.results.weights_source(model) or WeightsSource()
        hub = self.study.models[model].hub
        return StartingWeights(
            model, self.study.models[model].weights, self._weights_digest(model),
            hub=source.hub or (hub.id if hub else None), revision=source.revision or (hub.revision if hub else None),
            folder=source.folder, licence=source.licence or (hub.licence if hub else ""),
        )  # fmt: skip

    def _weights_digest(self, model: str) -> str | None:
        path = Path(self.layout.weights_digest(model))
        return path.read_text(encoding="ascii").strip() if path.is_file() else None

    def teaching(self, task: str) -> Teaching:
        """The teacher of a task and its cached logits."""
        if task not in self._teachings:
            chosen = self.results.teacher(task)
            folder = Path(self.layout.root, "logits", task)
            meta = self.results.logits(task)
            logits = kept_file(folder / "logits.arrow", meta.get("files", {}).get("logits.arrow"))
            self._teachings[task] = Teaching(
                chosen["teacher"], self.study.models[chosen["teacher"]].name, chosen["rule"], chosen["losses"],
                chosen.get("model_digest", ""), chosen["weights"], logits, meta["depends_on"],
            )  # fmt: skip
        return self._teachings[task]

    @cached_property
    def architectures(self) -> dict[tuple[Regime, str], MeasuredSystem]:
        """What was counted, by (regime, model)."""
        return {(one.regime, one.model_id): one for one in efficiency_job(self.study).systems}
