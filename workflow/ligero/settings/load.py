"""From YAML (or Snakemake's dictionary) to a checked Study, with errors that name the key and the mend."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from ligero.common.errors import ConfigurationError
from ligero.settings.presets import with_preset
from ligero.settings.study import Study


def read_yaml(path: Path | str) -> dict[str, Any]:
    """Read a YAML mapping; anything else is a ConfigurationError with file and line."""
    try:
        value = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigurationError(f"{path}: no such file") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(value, dict):
        raise ConfigurationError(f"{path}: expected a mapping of keys to values")
    return value


def load_study(config: dict[str, Any], root: Path | str) -> Study:
    """Check a raw configuration; `root` is the project's folder, against which the registry of sources is found.

    Raises:
        ConfigurationError: every problem on a line of its own, with the key's path.
    """
    filled = with_preset(config)
    registry = filled.get("source_registry", Study.model_fields["source_registry"].default)
    if registry:
        known = read_yaml(Path(root) / registry)
        filled = {**filled, "sources": {**known.get("sources", {}), **(filled.get("sources") or {})}}
        filled = _with_known_models(filled, known.get("hub_models", {}))
    try:
        return Study.model_validate(filled)
    except ValidationError as error:
        raise ConfigurationError("the configuration has errors:\n" + "\n".join(_explain(error))) from error


def _with_known_models(config: dict[str, Any], known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Fill what the registry knows of the hub's models (revision, older names, licence, citation); given keys win."""
    models = config.get("models")
    if not isinstance(models, dict):
        return config
    filled = dict(models)
    for model_id, model in models.items():
        hub = model.get("hub") if isinstance(model, dict) else None
        if isinstance(hub, dict) and (entry := known.get(str(hub.get("id")))):
            filled[model_id] = {**model, "hub": {**entry, **hub}}
    return {**config, "models": filled}


def without_missing_weights(study: Study) -> Study:
    """The study with the models left out whose local weights are not there; each with its reason."""
    left_out = {
        model_id: f"its local weights {model.local} are not there; build them, see docs/local-weights.md"
        for model_id, model in study.models.items()
        if model.weights == "local"
        and model.local
        and not Path(model.local, "config.json").expanduser().exists()
    }
    if len(left_out) == len(study.models):
        raise ConfigurationError("models: no model is left, all local weights are missing")
    return study.model_copy(update={"left_out": left_out})


def _explain(error: ValidationError) -> list[str]:
    """One line a problem: key path, what is wrong, what was meant."""
    lines = []
    for problem in error.errors(include_url=False, include_context=False):
        location = [str(part) for part in problem["loc"] if part != "[key]"]
        path = ".".join(location) or "(study)"
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            message = "unknown key"
            known = _keys_at(Study, location[:-1])
            close = difflib.get_close_matches(location[-1], known, n=1)
            message += (
                f"; did you mean '{close[0]}'?" if close else f"; known keys: {', '.join(sorted(known))}"
            )
        elif problem["type"] == "missing":
            message = "this key is required"
        elif not path.startswith("(study)") and not isinstance(problem.get("input"), dict | list):
            message += f" (found {problem.get('input')!r})"
        lines += (
            [f"  {path}: {part}" if path != "(study)" else f"  {part}" for part in message.split("; ")]
            if path == "(study)"
            else [f"  {path}: {message}"]
        )
    return lines


def _keys_at(model: type[BaseModel], location: list[str]) -> list[str]:
    """Names of the keys allowed at a key path, found by walking the models; dictionaries take any key."""
    current: Any = model
    for part in location:
        if not (isinstance(current, type) and issubclass(current, BaseModel)):
            return []
        field = current.model_fields.get(part)
        if field is None:  # a key of a dictionary such as models.NAME: `current` is already its value's model
            continue
        current = _model_in(field.annotation)
    return list(current.model_fields) if isinstance(current, type) and issubclass(current, BaseModel) else []


def _model_in(annotation: Any) -> Any:
    """The settings model inside an annotation such as `dict[Identifier, Model]` or `Corpus | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _model_in(argument)
        if found is not None:
            return found
    return None
