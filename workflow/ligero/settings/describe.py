"""The configuration's JSON schema and its page in the documentation, both generated from the models."""

from __future__ import annotations

import json
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from ligero.settings.base import Identifier, LearningRate, ResultsFolder, Sha256
from ligero.settings.defaults import FILLED, PROTOCOLS, SELECTED_BY_SCORE, StagePreset
from ligero.settings.error_messages import model_in
from ligero.settings.study import Study
from ligero.settings.tasks import Label

NOT_FOR_USERS = {(Study, "left_out")}
"""Keys of the resolved configuration that the workflow fills in."""


def json_schema() -> str:
    """The JSON schema of a configuration file, for editors and other programs."""
    schema = Study.model_json_schema()
    for _, key in NOT_FOR_USERS:
        del schema["properties"][key]
    for name, keys in FILLED.items():
        described = schema if name == "Study" else schema["$defs"][name]
        described["required"] = [key for key in described["required"] if key not in keys]
    return json.dumps(schema, ensure_ascii=False, indent=1) + "\n"


def sections() -> dict[type[BaseModel], list[str]]:
    """Every class of settings in the configuration's order, with the key paths at which it is found; the study's own has none."""
    found: dict[type[BaseModel], list[str]] = {Study: []}

    def visit(model: type[BaseModel], path: str) -> None:
        for name, field in model.model_fields.items():
            if inner := model_in(field.annotation):
                below = f"{path}{name}" + (".ID" if get_origin(field.annotation) is dict else "")
                found.setdefault(inner, []).append(below)
                visit(inner, f"{below}.")

    visit(Study, "")
    return found


def reference_page() -> str:
    """docs/configuration.md: every key with its type, default and meaning."""
    parts = [
        "# Configuration, key by key",
        "",
        "Generated from `workflow/ligero/settings/` by `make schema`; a test fails when this page and the models differ.",
        "Keys that are not listed here are rejected, with the nearest known key as a suggestion. LW and SG are the authors' published code for",
        "fine-tuning (`dccuchile/lightweight-spanish-language-models`) and for distillation (`dccuchile/speedy-gonzales`).",
    ]
    for model, paths in sections().items():
        parts += [
            "",
            f"## {', '.join(f'`{path}`' for path in paths) or 'Study (the top level)'}",
            "",
            _first_paragraph(model),
            "",
            "| key | type | default | meaning |",
            "|---|---|---|---|",
        ]
        types = _types(model)
        parts += [
            f"| `{name}` | {_type(types[name])} | {_default(model, name, field)} | {_clean(field.description)} |"
            for name, field in model.model_fields.items()
            if (model, name) not in NOT_FOR_USERS
        ]
    parts += [
        "",
        "## Protocols",
        "",
        "`protocol` sets keys that a study leaves out; keys that it sets take precedence. An empty cell leaves the key at its own default.",
        "",
    ]
    parts += ["| stage | key | thesis | recommended |", "|---|---|---|---|"]
    for stage in PROTOCOLS["thesis"]:
        options, other = (_by_path(PROTOCOLS[name][stage]) for name in ("thesis", "recommended"))
        parts += [
            f"| {stage} | `{key}` | {_preset(options, key)} | {_preset(other, key)} |"
            for key in dict.fromkeys([*options, *other])
        ]
    parts += [
        f"| {stage} | `selection` of tasks of {kind.replace('_', ' ')} | `score` | `loss` |"
        for stage, kind in [SELECTED_BY_SCORE["thesis"]]
    ]
    return "\n".join(parts) + "\n"


def _by_path(section: StagePreset) -> dict[str, object]:
    """Keys of a section's preset with those of its options, as 'options.KEY'."""
    others = {key: value for key, value in section.items() if key != "options"}
    return {**others, **{f"options.{key}": value for key, value in section["options"].items()}}


def _preset(options: dict[str, object], key: str) -> str:
    """The value that a preset gives a key; empty where it gives none, which is not null."""
    return _show(options[key]) if key in options else ""


def _first_paragraph(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split("\n\n")[0].split())


def _clean(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


def _type(annotation: Any) -> str:
    """An annotation in words, such as "list of ids" or "mapping of ids to Model"."""
    for known, word in _WORDS:
        if annotation == known:
            return word
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0])
    if origin is Literal:
        return ", ".join(f"`{_plain(value)}`" for value in arguments)
    if origin in (Union, UnionType):
        return " or ".join(_type(argument) for argument in arguments)
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return f"list of {_plural(_type(arguments[0]))}"
        return f"list of {len(arguments)} {_plural(_type(arguments[0]))}"
    if origin is dict:
        return f"mapping of {_plural(_type(arguments[0]))} to {_type(arguments[1])}"
    return str(annotation.__name__)


_WORDS: tuple[tuple[Any, str], ...] = (
    (LearningRate, "learning rate"),
    (Identifier, "id"),
    (Sha256, "SHA-256 sum"),
    (ResultsFolder, "folder"),
    (Label, "label"),
    (str, "text"),
    (int, "whole number"),
    (float, "number"),
    (bool, "`true` or `false`"),
    (NoneType, "`null`"),
)


def _plural(words: str) -> str:
    return words if words == "text" else f"{words}s"


def _plain(value: Any) -> str:
    """A choice as YAML has it in quotes, in a cell of a table."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text.replace("\t", "\\t").replace("|", "\\|")


def _types(model: type[BaseModel]) -> dict[str, object]:
    """Annotations of a model's keys, with what pydantic would strip of them."""
    return get_type_hints(model, include_extras=True)


def _default(model: type[BaseModel], name: str, field: Any) -> str:
    if filled := FILLED.get(model.__name__, {}).get(name):
        return filled
    if field.is_required():
        return "required"
    value = field.default_factory() if field.default_factory else field.default
    return "" if value is PydanticUndefined else _show(value)


def _show(value: Any) -> str:
    if isinstance(value, BaseModel):
        needed = {
            name: getattr(value, name)
            for name, field in type(value).model_fields.items()
            if field.is_required()
        }
        return _show(needed) if needed else "see below"
    return f"`{json.dumps(value, ensure_ascii=False)}`"
