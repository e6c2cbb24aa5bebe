"""Validation errors of a configuration in plain English: one line per problem, with its key path and how to correct it."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from ligero.settings.study import Study

A_MAPPING = "expected a mapping of keys to values"
MESSAGES = {
    "missing": "this key is required",
    "invalid_key": "a key must be text; write it in quotes",
    "string_type": "expected text; write it in quotes",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
    "finite_number": "expected a finite number",
    "tuple_type": "expected a list, such as [a, b]",
    "dict_type": A_MAPPING,
    "model_type": A_MAPPING,
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be above {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be below {lt}",
    "too_short": "expected at least {min_length}, found {actual_length}",
    "string_too_short": "must not be empty",
    "string_too_long": "expected at most {max_length} characters",
    "too_long": "expected at most {max_length} entries",
    "literal_error": "expected one of {expected}",
}
"""Our message for each of pydantic's error types; other types keep pydantic's."""

PATTERNS = {
    "^[a-z0-9][a-z0-9-]*$": "an id consists of lower-case letters, digits and hyphens",
    "^[0-9a-f]{64}$": "expected the 64 hexadecimal digits of a SHA-256 sum",
    "^[a-z]{2,3}$": "expected a language code of two or three lower-case letters, such as es",
    r"^\w[\w.-]*(/\w[\w.-]*)?$": "expected a repository of the hub, OWNER/NAME",
    r"^[0-9]+(\.[0-9]+)?(e-?[0-9]+)?$": "expected a learning rate in quotes, such as '5e-5'",
    r"^/?[\w.@+][\w.@+-]*(/[\w.@+][\w.@+-]*)*$": (
        "expected a folder such as results/my, of letters, digits and ._-@+ (it is used in shell commands: no spaces), "
        "without a slash at the end"
    ),
}


def explain(error: ValidationError) -> list[str]:
    """One line per problem: key path, what is wrong, what was meant."""
    problems = error.errors(include_url=False)
    places = [problem["loc"] for problem in problems]
    lines: list[str] = []
    for problem in problems:
        place = problem["loc"]
        # A list one of whose entries is refused is called too short as well.
        if problem["type"] == "too_short" and any(
            len(other) > len(place) and other[: len(place)] == place for other in places
        ):
            continue
        lines += _lines(problem)
    return lines


def _lines(problem: Any) -> Iterator[str]:
    location = [str(part) for part in problem["loc"] if part != "[key]"]
    message = _message(problem, location)
    if not location:  # A check of the whole study names its keys itself.
        yield from (f"  {line}" for line in message.splitlines())
    else:
        found = problem["input"]
        shown = f" (found {_cut(repr(found))})" if _is_worth_showing(problem["type"], found) else ""
        yield f"  {'.'.join(map(_cut, location))}: {message}{shown}"


def _cut(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:100]}..."


def _is_worth_showing(kind: str, found: Any) -> bool:
    if kind in ("missing", "extra_forbidden"):
        return False
    return not isinstance(found, dict | list | tuple | BaseModel) or kind.endswith("_type")


def _message(problem: Any, location: list[str]) -> str:
    kind, context = problem["type"], problem.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_key(location)
    if kind == "string_pattern_mismatch" and context["pattern"] in PATTERNS:
        return PATTERNS[context["pattern"]]
    if kind in MESSAGES:
        return MESSAGES[kind].format(**context)
    return str(problem["msg"]).removeprefix("Value error, ")


def _unknown_key(location: list[str]) -> str:
    known = _keys_at(Study, location[:-1])
    close = difflib.get_close_matches(location[-1], known, n=1)
    return "unknown key; " + (
        f"did you mean '{close[0]}'?" if close else f"known keys: {', '.join(sorted(known))}"
    )


def _keys_at(model: type[BaseModel], location: list[str]) -> list[str]:
    """Names of the keys allowed at a key path, found by walking the models; dictionaries take any key."""
    current: Any = model
    for part in location:
        if not (isinstance(current, type) and issubclass(current, BaseModel)):
            return []
        field = current.model_fields.get(part)
        if field is None:  # a key of a dictionary such as models.NAME: `current` is already its value's model
            continue
        current = model_in(field.annotation)
    return list(current.model_fields) if isinstance(current, type) and issubclass(current, BaseModel) else []


def model_in(annotation: Any) -> Any:
    """The settings model inside an annotation such as `dict[Identifier, Model]` or `Corpus | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = model_in(argument)
        if found is not None:
            return found
    return None
