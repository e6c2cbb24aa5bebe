"""The base of every settings model, and kinds of values that several settings share: ids, rates, precisions, lists."""

from __future__ import annotations

import math
from collections.abc import Callable
from os.path import normpath
from typing import Annotated, Any, Literal, TypeVar
from unicodedata import category

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

from ligero.common.errors import ConfigurationError
from ligero.common.files import user_path

Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=100)]
"""An id, which is used in paths: lower-case letters, digits and hyphens."""


def _on_one_line(name: str) -> str:
    if not name.strip() or any(category(character) in ("Cc", "Zl", "Zp") for character in name):
        raise ValueError("expected a name on one line, since tables show it")
    return name


Name = Annotated[str, AfterValidator(_on_one_line)]
"""What tables and figures call something."""
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


def below_home(value: Any) -> Any:
    """A path with `~` or `~USER` at its head replaced by that home folder; anything else as it is.

    Raises:
        ValueError: no such user.
    """
    if not isinstance(value, str) or not value.startswith("~"):
        return value
    try:
        return str(user_path(value))
    except ConfigurationError as error:
        raise ValueError(str(error)) from error


def _normal(folder: str) -> str:
    """A folder without `./` and `a/..`: Snakemake compares paths letter by letter."""
    shortest = normpath(short_parts(folder))
    if shortest.rpartition("/")[2] in ("", ".", ".."):
        raise ValueError(
            "expected a folder of its own, such as results: a run removes unfinished files in it"
        )
    return shortest


def short_parts(path: str) -> str:
    """The path itself, or ValueError where it, or one of its names with some letters more, such as `.part`, is too long for a
    file."""
    if long := next((part for part in path.split("/") if len(part.encode()) > 200), ""):
        raise ValueError(
            f"'{long[:20]}...' is too long for the name of a file or folder; shorten it to 200 bytes"
        )
    if len(path.encode()) > 2000:
        raise ValueError(f"'{path[:20]}...' is too long for a path; shorten it to 2000 bytes")
    return path


UserPath = Annotated[
    str, StringConstraints(min_length=1), BeforeValidator(below_home), AfterValidator(short_parts)
]
"""A file or folder of the user's, or a URL; `~` is the home folder."""

ResultsFolder = Annotated[
    str,
    BeforeValidator(below_home),
    StringConstraints(pattern=r"^/?[\w.@+][\w.@+-]*(/[\w.@+][\w.@+-]*)*$", max_length=1000),
    AfterValidator(_normal),
]
"""A folder whose name is used in paths and shell commands without quotes; as short as it can be written."""


ResolvedPrecision = Literal["fp32", "bf16", "fp16"]
Precision = Literal["auto", ResolvedPrecision]
UnscaledPrecision = Literal["auto", "fp32", "bf16"]
"""Of pretraining, which does not scale its loss as fp16 needs."""


class Settings(BaseModel):
    """Base class of all settings."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


def switched_off(value: object) -> bool:
    """For `exclude_if`: an option that is off is left out of a job, whose digest is then that of a job without the option."""
    return value is False or value is None


T = TypeVar("T")


def _as_written(value: Any) -> Any:
    if isinstance(value, int | float):
        raise ValueError(
            f"write learning rates as strings, e.g. '5e-5', not {value!r}: they name trials in paths"
        )
    return value


def _above_zero(rate: str) -> str:
    if not 0.0 < float(rate) < math.inf:
        raise ValueError("a learning rate must be above 0 and finite; '5e-5' is usual")
    return rate


LearningRate = Annotated[
    str,
    BeforeValidator(_as_written),
    StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)?(e-?[0-9]+)?$"),
    AfterValidator(_above_zero),
]
"""A learning rate as a string ('5e-5'): kept as written in configuration and paths, parsed once."""


def each_once(values: tuple[T, ...]) -> tuple[T, ...]:
    """The list itself, or ValueError if a value is listed twice."""
    for number, value in enumerate(values):
        if value in values[:number]:
            raise ValueError(f"{value!r} is listed twice; remove the duplicate")
    return values


def _each_rate_once(rates: tuple[str, ...]) -> tuple[str, ...]:
    for number, rate in enumerate(rates):
        for earlier in rates[:number]:
            if float(rate) == float(earlier):
                raise ValueError(f"{earlier!r} and {rate!r} are the same rate; keep one of them")
    return rates


Positive = Annotated[int, Field(ge=1)]
Counts = Annotated[tuple[Positive, ...], Field(min_length=1), AfterValidator(each_once)]
"""Numbers from 1, each once, at least one."""
LearningRates = Annotated[tuple[LearningRate, ...], Field(min_length=1), AfterValidator(_each_rate_once)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
"""What every generator of random numbers takes."""
Seeds = Annotated[tuple[Seed, ...], Field(min_length=1), AfterValidator(each_once)]
Ids = Annotated[tuple[Identifier, ...], AfterValidator(each_once)]
"""Ids, each once."""
SomeIds = Annotated[tuple[Identifier, ...], Field(min_length=1), AfterValidator(each_once)]
"""Ids, each once, at least one."""


def _a_number_or(*words: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if value not in words and not (whole and value >= 1):
            raise ValueError(f"expected a whole number from 1, or {' or '.join(words)}")
        return value

    return check


PerJob = Annotated[Positive | Literal["all"], BeforeValidator(_a_number_or("all"))]
"""How many things share a process. (Checked before the union, so that an error names the key alone.)"""
TrialsPerJob = Annotated[Positive | Literal["all", "auto"], BeforeValidator(_a_number_or("all", "auto"))]
"""How many trials share a process."""
