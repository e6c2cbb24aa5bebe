"""The base of every settings model: unknown keys are refused, values cannot be changed after reading."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$")]
"""An id that stands in paths: lower-case letters, digits and hyphens."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]

ResultsFolder = Annotated[str, StringConstraints(pattern=r"^/?[\w.@+][\w.@+-]*(/[\w.@+][\w.@+-]*)*$")]
"""A folder whose name stands in paths and shell commands as it is."""


class Settings(BaseModel):
    """Base class of all settings."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
