"""From YAML (or Snakemake's dictionary) to a checked Study, with errors that name the key and how to fix it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError

from ligero.common.errors import ConfigurationError
from ligero.common.records import CHECKSUM
from ligero.settings.base import below_home
from ligero.settings.checks import problems_of
from ligero.settings.defaults import with_defaults, with_preset
from ligero.settings.error_messages import explain
from ligero.settings.plan import state_teachers_of
from ligero.settings.study import Study
from ligero.settings.yaml_files import read_yaml


def load_study(config: Mapping[str, object], root: Path | str, runs_in: Path | None = None) -> Study:
    """Check a raw configuration.

    Args:
        root: the project's folder, against which the registry of sources is found.
        runs_in: the folder in which the workflow will run; None where none will, so that nothing can be in the results' place.

    Raises:
        ConfigurationError: every problem on a line of its own, with the key's path.
    """
    if re.search(r"\s", str(root)):
        raise ConfigurationError(
            f"the project is in '{root}', a path with a space, which would break commands; "
            "move it to a path without spaces"
        )
    # A resolved configuration is a record; here it may be one of several files, and edited.
    given = {key: value for key, value in config.items() if key != CHECKSUM}
    filled = with_preset(with_defaults(given))
    registry = filled.get("source_registry", Study.model_fields["source_registry"].default)
    if registry and isinstance(registry, str):
        try:
            filled = _with_registry(filled, Path(root, below_home(registry)))
        except ValueError as error:
            raise ConfigurationError(f"source_registry: {error}") from error
        except OSError as error:
            raise ConfigurationError(f"source_registry: {error.strerror}; name another file") from error
    try:
        study = Study.model_validate(filled)
    except ValidationError as error:
        raise _errors(explain(error)) from error
    if problems := [
        *_truths(filled, study.model_dump(), ""),
        *(_shared_folder(study, Path(root), runs_in) if runs_in else ()),
        *problems_of(study),
    ]:
        raise _errors(f"  {problem}" for problem in problems)
    return study


OWN_FOLDERS = (
    *(".ci", ".git", ".snakemake", ".venv", "benchmarks", "config", "docs", "envs", "profiles"),
    *("resources", "rules", "tests", "workflow"),
)
"""The project's own, which no run may clean up."""


def _shared_folder(study: Study, root: Path, runs_in: Path) -> Iterator[str]:
    """A results folder that is or holds one with other things in it, or that lies in the project's own or where a file is."""
    try:
        results = Path(runs_in, study.results_dir).resolve()
        nearest = next(place for place in (results, *results.parents) if place.exists())
    except (OSError, RuntimeError) as error:  # a folder that may not be entered, links in a circle
        yield f"results_dir: {error}; name another folder"
        return
    own = [Path(root, name).resolve() for name in OWN_FOLDERS]
    others = [runs_in.resolve(), Path(os.environ.get("HOME", runs_in)).resolve(), *own]
    if not nearest.is_dir():
        yield f"results_dir: expected a folder of its own, such as results, but {nearest} is a file"
    elif any(results in (other, *other.parents) for other in others) or set(own) & set(results.parents):
        yield (
            f"results_dir: expected a folder of its own, such as results, not {results}: a run removes unfinished files in it"
        )


def _truths(given: object, read: object, place: str) -> Iterator[str]:
    """Every true and false that was read as the number 1 or 0."""
    if isinstance(given, Mapping) and isinstance(read, Mapping):
        for key, value in given.items():
            yield from _truths(value, read.get(key), f"{place}.{key}".lstrip("."))
    elif isinstance(given, list) and isinstance(read, tuple | list):
        for number, (one, other) in enumerate(zip(given, read, strict=False)):
            yield from _truths(one, other, f"{place}.{number}")
    elif isinstance(given, bool) and isinstance(read, int | float) and not isinstance(read, bool):
        yield f"{place}: expected a number, found {str(given).lower()} (YAML reads yes, no, on and off as true and false)"


def _errors(lines: Iterable[str]) -> ConfigurationError:
    return ConfigurationError("the configuration has errors:\n" + "\n".join(lines))


def _with_registry(config: Mapping[str, object], path: Path) -> dict[str, object]:
    """Fill in the known sources and models of the hub; what is no mapping is left for the checks to refuse."""
    try:
        known = read_yaml(path)
    except ConfigurationError as error:
        raise ConfigurationError(f"source_registry: {error}") from error
    sources, hub_models = known.get("sources", {}), known.get("hub_models", {})
    for key, section in (("sources", sources), ("hub_models", hub_models)):
        if not isinstance(section, dict):
            raise ConfigurationError(f"source_registry: {path}: {key}: expected a mapping of ids to entries")
    own = config.get("sources") or {}
    if isinstance(own, dict):
        config = {**config, "sources": {**sources, **own}}
    return _with_known_models(config, hub_models)


def _with_known_models(
    config: Mapping[str, object], known: Mapping[str, Mapping[str, object]]
) -> dict[str, object]:
    """Fill what the registry knows of the hub's models (architecture, revision, older names, licence, citation); given keys win."""
    models = config.get("models")
    if not isinstance(models, dict):
        return dict(config)
    filled = dict(models)
    for model_id, model in models.items():
        hub = model.get("hub") if isinstance(model, dict) else None
        if isinstance(hub, dict) and (entry := known.get(str(hub.get("id")))):
            known_hub = {key: value for key, value in entry.items() if key != "architecture"}
            known_architecture = {"architecture": entry["architecture"]} if "architecture" in entry else {}
            filled[model_id] = {**known_architecture, **model, "hub": {**known_hub, **hub}}
    return {**config, "models": filled}


def without_missing_weights(study: Study) -> Study:
    """The study with the models left out whose local weights are not there; each with its reason.

    With no model left the corpus and the tasks can still be prepared: a vocabulary may be trimmed to their words to make the weights.

    Raises:
        ConfigurationError: what is left out is needed by what is left, or the configuration leaves out models itself.
    """
    left_out = {
        model_id: f"its local weights {model.local} are not there; build them, see docs/local-weights.md"
        for model_id, model in study.models.items()
        if model.weights == "local" and model.local and not Path(model.local, "config.json").exists()
    }
    for model_id in study.models:
        if missing := next((one for one in state_teachers_of(study, model_id) if one in left_out), None):
            left_out.setdefault(model_id, f"it is pretrained on the states of {missing}: {left_out[missing]}")
    # A resolved configuration, from which the report is built, brings what the workflow found.
    if study.left_out and study.left_out != left_out:
        raise ConfigurationError(
            "left_out: the workflow itself fills this key; remove it, and the models that you do not want"
        )
    left = study.model_copy(update={"left_out": left_out})
    if left_out and len(left_out) < len(study.models) and (problems := problems_of(left)):
        raise _errors(f"  {problem}" for problem in problems)
    return left


def reasons_left_out(study: Study) -> dict[str, str]:
    """Everything that is left out, as it is called in messages, with the reason: models, and students that start from them."""
    students = study.distillation.students if study.distillation else {}
    return {
        **study.left_out,
        **{
            f"student {student_id}": f"it starts from {student.initial}: {study.left_out[student.initial]}"
            for student_id, student in students.items()
            if student.initial in study.left_out
        },
    }
