"""Reading YAML files: a mapping, whose keys are not repeated."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from ligero.common.errors import ConfigurationError, DataError
from ligero.common.text import read_text

# The C parser where PyYAML has it: a resolved configuration is long, and every job parses the Snakefile.
_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_SafeLoader):
    """Names the place of a value that is not what it looks like, or is marked as: 2024-13-45, `!!int abc`."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError) as error:
            kind = node.tag.rpartition(":")[2]
            problem = f"{str(node.value)[:100]!r} is no {kind}; correct it, or write text in quotes"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from error


def read_yaml(path: Path | str) -> dict[str, Any]:
    """Read a YAML mapping; anything else, a repeated key or a number that is another is a ConfigurationError with file and line."""
    try:
        loader = _Loader(read_text(path))
        node = loader.get_single_node()
        if problems := [*_repeated_keys(node, set()), *_odd_numbers(node, set())]:
            raise ConfigurationError("\n".join(f"{path}:{problem}" for problem in problems))
        value = loader.construct_document(node) if node else None
    except DataError as error:
        raise ConfigurationError(str(error)) from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path}: not valid YAML: {error}") from error
    except RecursionError as error:
        raise ConfigurationError(f"{path}: lists or mappings are nested too deeply") from error
    if not isinstance(value, dict):
        raise ConfigurationError(f"{path}: expected a mapping of keys to values")
    return value


def _odd_numbers(node: Any, seen: set[int]) -> Iterable[str]:
    """Every number that YAML 1.1 does not read as it looks (0400 is 256, 1:30 is 90), as 'line: problem'."""
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        is_number = node.tag.endswith((":int", ":float")) and not node.style
        if is_number and re.fullmatch(r"[-+]?(0[0-7_]+|[\d_.]+:.*)", node.value):
            yield f"{node.start_mark.line + 1}: {node.value} is an octal or sexagesimal number to YAML; write it without leading zeros and colons, or in quotes"
    else:
        parts = (
            node.value
            if isinstance(node, yaml.SequenceNode)
            else [one for pair in node.value for one in pair]
        )
        for part in parts:
            yield from _odd_numbers(part, seen)


def refuse_repeated_keys(paths: Iterable[Path | str]) -> None:
    """Refuse configuration files that repeat a key: of two `tasks:` blocks, YAML would silently drop the first.

    Raises:
        ConfigurationError: with the file and both lines.
    """
    for path in paths:
        read_yaml(path)


def _repeated_keys(node: Any, seen: set[int]) -> Iterable[str]:
    """Every key repeated within a mapping, as 'line: problem'; anchors are visited once."""
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated_keys(item, seen)
    elif isinstance(node, yaml.MappingNode):
        first: dict[tuple[str, str], int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode):
                before = first.get(name := (key.tag, key.value))
                first.setdefault(name, line)
                if before is not None:
                    yield (
                        f"{line}: the key '{key.value}' is already in line {before}, which YAML would drop; "
                        "merge the two"
                    )
            yield from _repeated_keys(value, seen)
