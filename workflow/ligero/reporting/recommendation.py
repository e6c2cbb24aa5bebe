"""Which system to take: the measured systems of a study, and the rule that ranks them within limits of time, size and score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ligero.common.errors import MismatchError
from ligero.efficiency.records import Device
from ligero.efficiency.truncation import truncate
from ligero.reporting.results import Results
from ligero.serving.manifest import MANIFEST_FILE
from ligero.settings import plan
from ligero.settings.study import Regime
from ligero.tasks.metrics import HEADLINE
from ligero.training.records import NGRAMS, ONE_LABEL, STATIC_EMBEDDINGS, LogisticRegressionRecord

TORCH = "torch fp32"
"""The engine of a system that is measured as it was trained."""


@dataclass(frozen=True)
class System:
    """One system on one task.

    Attributes:
        score: headline metric on the test split, in percent, with its 95 % bootstrap interval; NaN where a mean has none.
        megabytes: of the weights, in 10^6 bytes.
        milliseconds: median of one input, or None where it was not measured. Exported: of median length, with one thread; else of
            the study's length, with its threads.
        tokens: length of that input; None where it was not measured, or where those of several tasks differ.
        engine: what was measured: TORCH, or the graph of its export.
        folder: where it lies, below the results or exports.
        initial: id of the model that it starts from.
        macs: multiply-accumulate operations of one input of the study's length.
        note: what else is to be known of it, e.g. why it does not leave early.
    """

    regime: Regime
    model: str
    name: str
    score: float
    low: float
    high: float
    megabytes: float
    milliseconds: float | None
    tokens: int | None
    engine: str
    folder: str
    initial: str
    macs: int
    note: str = ""

    @property
    def exported(self) -> bool:
        """Whether its figures are those of its export."""
        return self.engine != TORCH

    @property
    def label(self) -> str:
        """Its name, and whether it was distilled."""
        return f"{self.name} ({'distilled' if self.regime == 'distillation' else 'fine-tuned'})"


def measured_systems(
    results: Results,
    task: str,
    device: Device = "cpu",
    as_exported: bool = True,
    at_full_depth: bool = False,
) -> list[System]:
    """Every system that was run, in the order of the tables; on a CPU as it was exported, where it was.

    An export whose texts leave early is measured as it answers by itself, leaving early.

    Args:
        as_exported: False takes every system as it was trained.
        at_full_depth: add such an export at full depth too, behind itself.

    Raises:
        DataError: something was not made yet.
    """
    study = results.study
    systems = []
    for row in results.rows():
        if row.left_out:
            continue
        cost, timed = results.efficiency[row.regime, row.model], results.speed[row.regime, row.model][device]
        record = results.score(row.regime, row.model, task)
        system = System(
            row.regime, row.model, row.name, *_score(results, task, record["score"], record["intervals"]), cost["bytes"] / 1e6,
            1000 * timed["median_seconds"] if timed else None, study.speed.sequence_length if timed else None, TORCH,
            results.layout.selected_model(row.regime, row.model, task), plan.initial_model(study, row.regime, row.model), cost["macs"],
        )  # fmt: skip
        exported = _as_exported(results, task, system) if device == "cpu" and as_exported else [system]
        systems += exported if at_full_depth else exported[:1]
    return systems


def _score(
    results: Results, task: str, score: float, intervals: Mapping[str, Sequence[float]]
) -> tuple[float, float, float]:
    """The headline metric with its interval."""
    low, high = intervals[HEADLINE[results.study.tasks[task].metric]]
    return score, low, high


def _as_exported(results: Results, task: str, system: System) -> list[System]:
    """The system as the graph that its export answers with, leaving early and at full depth; as it is where it was not exported, or
    another model was.
    """
    folder = Path(results.layout.export(system.regime, system.model, task))
    if not (folder / MANIFEST_FILE).is_file():
        return [system]
    try:
        manifest = results.export(system.regime, system.model, task)
    except MismatchError as error:
        return [replace(system, note=f"its export does not count: {error}")]
    graph = manifest.graphs[manifest.precision]
    answered = manifest.scores[manifest.precision]
    score, low, high = _score(results, task, answered["score"], answered["intervals"])
    engine, exits = f"ONNX {manifest.precision}", manifest.exits.get(manifest.precision)
    whole = replace(
        system, score=score, low=low, high=high, megabytes=graph.bytes / 1e6, milliseconds=graph.milliseconds,
        tokens=graph.timed_tokens, engine=engine, folder=str(folder),
    )  # fmt: skip
    if exits is None:
        return [whole]
    if not exits["accepted"]:
        return [replace(whole, note=f"early exit is not offered: {exits['reason']}")]
    score, low, high = _score(results, task, exits["test"]["score"], exits["test"]["intervals"])
    early = replace(
        whole, score=score, low=low, high=high, milliseconds=exits["milliseconds"], tokens=round(exits["timed_tokens"]),
        engine=f"{engine}, early exit",
        note=f"leaves after {exits['test_repetitions']:.1f} of {exits['depth']} repetitions of its layer on average; --full-depth reads all",
    )  # fmt: skip
    return [early, replace(whole, engine=f"{engine}, full depth")]


@dataclass(frozen=True)
class Alternative:
    """What a user might take instead of a language model.

    Attributes:
        name: of its features.
        score: headline metric on the test split, in percent, with its 95 % bootstrap interval; None where it was not measured.
        milliseconds: median processor time of one text of its own length.
        reason: why it was not measured.
    """

    name: str
    score: float | None = None
    low: float | None = None
    high: float | None = None
    megabytes: float | None = None
    milliseconds: float | None = None
    reason: str = ""


def alternatives(results: Results, task: str) -> list[Alternative]:
    """N-grams and static embeddings on a task of classification; none on others.

    Raises:
        DataError: the baselines were not scored yet.
    """
    study, path = results.study, results.layout.static_embeddings(task)
    if study.tasks[task].type != "sequence_classification":
        return []
    ngrams = results.baselines([task])[task]["ngrams"]
    found = [_alternative(results, task, NGRAMS, ngrams, ONE_LABEL)]
    if task in plan.tasks_with_static_embeddings(study) and not Path(path).is_file():
        return [*found, Alternative(STATIC_EMBEDDINGS, reason=f"run snakemake {results.target(path)}")]
    static = results.static_embeddings(task)
    return [*found, _alternative(results, task, STATIC_EMBEDDINGS, static["scored"], static["reason"])]


def _alternative(
    results: Results, task: str, name: str, record: LogisticRegressionRecord | None, reason: str
) -> Alternative:
    if record is None:
        return Alternative(name, reason=reason)
    score = _score(results, task, record["score"], record["intervals"])
    return Alternative(record["name"], *score, record["bytes"] / 1e6, record["milliseconds"])


@dataclass(frozen=True)
class Limits:
    """What a system must keep; None is no limit."""

    milliseconds: float | None = None
    megabytes: float | None = None
    score: float | None = None
    macs: float | None = None

    def broken_by(self, system: System) -> list[str]:
        """What the system does not keep, in words; a time that was not measured is not kept."""
        broken = []
        if self.milliseconds is not None:
            if system.milliseconds is None:
                broken.append("its time was not measured on this device")
            elif system.milliseconds > self.milliseconds:
                broken.append(f"{system.milliseconds:.2f} ms is more than {self.milliseconds:g}")
        if self.megabytes is not None and system.megabytes > self.megabytes:
            broken.append(f"{system.megabytes:.2f} MB is more than {self.megabytes:g}")
        if self.macs is not None and system.macs > self.macs:
            broken.append(f"{system.macs:,} MACs are more than {self.macs:,.0f}")
        if self.score is not None and system.score < self.score:
            broken.append(f"{truncate(system.score)} points are less than {self.score:g}")
        return broken


def ranked(systems: Sequence[System], limits: Limits) -> list[System]:
    """The systems that keep all limits: highest score first, of equal ones the smaller."""
    kept = [system for system in systems if not limits.broken_by(system)]
    return sorted(kept, key=lambda system: (-system.score, system.megabytes))
