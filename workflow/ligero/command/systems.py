"""The measured systems of a study: score with its interval, size and time, read from the files of a results folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from ligero.common.errors import ConfigurationError, DataError
from ligero.efficiency.records import Device
from ligero.reporting.results import Results
from ligero.serving.manifest import MANIFEST_FILE, Manifest
from ligero.settings import plan
from ligero.settings.program import load_resolved
from ligero.settings.study import Regime


@dataclass(frozen=True)
class System:
    """One system on one task.

    Attributes:
        score: headline metric on the test split, in percent, with its 95 % bootstrap interval.
        megabytes: of the weights, in 10^6 bytes.
        milliseconds: median of one input, or None where it was not measured. Exported: of median length, with one thread; else of
            the study's length, with its threads.
        engine: what was measured: `torch fp32`, or the graph of its export.
        folder: where it lies, below the results or exports.
        initial: id of the model that it starts from.
    """

    regime: Regime
    model: str
    name: str
    score: float
    low: float
    high: float
    megabytes: float
    milliseconds: float | None
    engine: str
    folder: str
    initial: str

    @property
    def label(self) -> str:
        """Its name, and whether it was distilled."""
        return f"{self.name} ({'distilled' if self.regime == 'distillation' else 'fine-tuned'})"


def results_folder(place: str | Path) -> Path:
    """The results folder at a place: itself, or its folder `results`.

    Raises:
        DataError: neither holds the resolved configuration of a study.
    """
    for folder in (Path(place).expanduser(), Path(place).expanduser() / "results"):
        if (folder / "config.json").is_file():
            return folder
    raise DataError(
        place, None, "contains no results: there is neither config.json nor results/config.json.",
        "Name a study's folder with --results; config.json is written when the workflow starts.",
    )  # fmt: skip


def open_results(place: str | Path) -> Results:
    """The artefacts of a study at a place, wherever it was made."""
    folder = results_folder(place)
    try:
        study = load_resolved(folder / "config.json")
    except ValidationError as error:
        raise DataError(
            folder / "config.json", None, f"not a study of this version ({error.errors()[0]['msg']}).",
            "Make the results again with this version, or read them with the one that made them.",
        ) from error  # fmt: skip
    return Results(study, folder)


def the_task(results: Results, task: str | None) -> str:
    """The id of the task that is asked for.

    Raises:
        ConfigurationError: no such task, or none was named and there are several.
    """
    known = ", ".join(results.study.tasks)
    if task is None:
        if len(results.study.tasks) > 1:
            raise ConfigurationError(
                f"--task: the study has {len(results.study.tasks)} tasks; name one of {known}"
            )
        return next(iter(results.study.tasks))
    if task not in results.study.tasks:
        raise ConfigurationError(f"--task {task}: the study has no such task; known: {known}")
    return task


def measured_systems(results: Results, task: str, device: Device = "cpu") -> list[System]:
    """Every system that was run, in the order of the tables; on a CPU as it was exported, where it was.

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
            1000 * timed["median_seconds"] if timed else None, "torch fp32",
            results.layout.selected_model(row.regime, row.model, task), plan.initial_model(study, row.regime, row.model),
        )  # fmt: skip
        systems.append(_as_exported(results, task, system) if device == "cpu" else system)
    return systems


def _score(
    results: Results, task: str, score: float, intervals: Mapping[str, Sequence[float]]
) -> tuple[float, float, float]:
    """The headline metric with its interval."""
    from ligero.tasks.metrics import HEADLINE

    low, high = intervals[HEADLINE[results.study.tasks[task].metric]]
    return score, low, high


def _as_exported(results: Results, task: str, system: System) -> System:
    """The system as the graph that its export answers with; as it is where it was not exported."""
    folder = Path(results.layout.export(system.regime, system.model, task))
    if not (folder / MANIFEST_FILE).is_file():
        return system
    manifest = Manifest.read(folder)
    graph = manifest.graphs[manifest.precision]
    answered = manifest.scores[manifest.precision]
    score, low, high = _score(results, task, answered["score"], answered["intervals"])
    return replace(
        system, score=score, low=low, high=high, megabytes=graph.bytes / 1e6, milliseconds=graph.milliseconds,
        engine=f"ONNX {manifest.precision}", folder=str(folder),
    )  # fmt: skip


def printed_systems(systems: list[System]) -> str:
    """A table of systems for people."""
    width = max(len(system.label) for system in systems)
    lines = [f"{'':{width}}  {'score':>6}  {'95 % interval':>15}  {'MB':>8}  {'ms':>8}  as"]
    for s in systems:
        time = "-" if s.milliseconds is None else f"{s.milliseconds:.2f}"
        interval = f"{s.low:.2f} to {s.high:.2f}"
        lines.append(
            f"{s.label:{width}}  {s.score:6.2f}  {interval:>15}  {s.megabytes:8.2f}  {time:>8}  {s.engine}"
        )
    return "\n".join(lines)


def below_twin(systems: list[System]) -> list[tuple[System, System]]:
    """Students that score below their fine-tuned twin: the same model, learning from the labels instead of a teacher."""
    twins = {system.model: system for system in systems if system.regime == "fine-tuning"}
    return [
        (system, twins[system.model])
        for system in systems
        if system.regime == "distillation" and system.model in twins and system.initial == system.model
        and system.score < twins[system.model].score
    ]  # fmt: skip
