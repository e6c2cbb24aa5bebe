"""Results folders and measured systems, as the commands read and print them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from ligero.common.errors import ConfigurationError, DataError
from ligero.common.files import user_path
from ligero.efficiency.truncation import truncate
from ligero.reporting.recommendation import Alternative, System
from ligero.reporting.results import Results
from ligero.settings.program import load_resolved
from ligero.settings.study import Study
from ligero.tasks.records import INFO_FILE, read_encoded_info


def results_folder(place: str | Path) -> Path:
    """The results folder at a place: itself, or its folder `results`.

    Raises:
        DataError: neither holds the resolved configuration of a study.
    """
    given = user_path(str(place))
    for folder in (given, given / "results"):
        if (folder / "config.json").is_file():
            return folder
    raise DataError(
        place, None, "contains no results: there is neither config.json nor results/config.json.",
        "Name the results of a study, or the folder that holds them; config.json is written when the workflow starts.",
    )  # fmt: skip


def open_results(place: str | Path) -> Results:
    """The artefacts of a study at a place, wherever it was made."""
    folder = results_folder(place)
    return Results(study_of(folder), folder)


def study_of(folder: Path) -> Study:
    """The study in a results folder, as its configuration has it.

    Raises:
        DataError: it is of another version.
    """
    try:
        return load_resolved(folder / "config.json")
    except ValidationError as error:
        raise DataError(
            folder / "config.json", None, f"not a study of this version ({error.errors()[0]['msg']}).",
            "Make the results again with this version, or read them with the one that made them.",
        ) from error  # fmt: skip


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


def printed_systems(systems: list[System]) -> str:
    """A table of systems for people; `tokens` is the length of the input that was timed."""
    width = max(len(system.label) for system in systems)
    lines = [f"{'':{width}}  {'score':>6}  {'95 % interval':>15}  {'MB':>8}  {'ms':>8}  {'tokens':>6}  as"]
    for s in systems:
        time = "-" if s.milliseconds is None else f"{s.milliseconds:.2f}"
        tokens = "-" if s.tokens is None else str(s.tokens)
        interval = f"{truncate(s.low)} to {truncate(s.high)}"
        lines.append(
            f"{s.label:{width}}  {truncate(s.score):6}  {interval:>15}  {s.megabytes:8.2f}  {time:>8}  {tokens:>6}  {s.engine}"
        )
    lines += [f"{s.label}, {s.engine}: {s.note}" for s in systems if s.note]
    return "\n".join(lines)


def printed_alternatives(alternatives: list[Alternative]) -> list[str]:
    """What classifies without a language model, for people."""
    lines = []
    for found in alternatives:
        known = f"not measured, {found.reason}"
        if found.score is not None:
            figures = (found.score, found.low, found.high)
            score, low, high = (truncate(one) for one in figures if one is not None)
            known = f"{score} ({low} to {high}), {found.megabytes:.2f} MB, {found.milliseconds:.2f} ms"
        lines.append(f"Without a language model ({found.name}): {known}.")
    return lines


@dataclass(frozen=True)
class Cut:
    """What a tokenizer cut off: examples by split that were longer than `max_length`, and words of theirs (tagging)."""

    tokenizer: str
    max_length: object
    examples: dict[str, int]
    lost_words: int

    def __str__(self) -> str:
        examples = ", ".join(f"{count:,} examples of {split}" for split, count in self.examples.items())
        words = f"; {self.lost_words:,} words are lost" if self.lost_words else ""
        return (
            f"Cut at {self.max_length} tokens of {self.tokenizer}: {examples}{words}. "
            "options.max_length in study.yaml raises it, up to what the models can read."
        )


def cut_examples(results: Results, task: str) -> list[Cut]:
    """What each tokenizer cut off, where it did."""
    folders = dict.fromkeys(results.layout.encoded(model) for model in results.study.models)
    found = []
    for folder in (Path(folder) / task for folder in folders):
        if not (folder / INFO_FILE).is_file():  # of a model that is left out, or removed since
            continue
        info = read_encoded_info(folder)
        cut = {split: count["truncated"] for split, count in info["counts"].items() if count.get("truncated")}
        words = sum(count.get("lost_words", 0) for count in info["counts"].values())
        if cut:
            found.append(Cut(info["vocabulary"], info["job"]["max_length"], cut, words))
    return found


def below_twin(systems: list[System]) -> list[tuple[System, System]]:
    """Students that score below their fine-tuned twin: the same model, learning from the labels instead of a teacher."""
    twins = {system.model: system for system in systems if system.regime == "fine-tuning"}
    return [
        (system, twins[system.model])
        for system in systems
        if system.regime == "distillation" and system.model in twins and system.initial == system.model
        and truncate(twins[system.model].score - system.score) > 0
    ]  # fmt: skip
