"""Checks and vocabulary sizes that measuring needs before any model is built. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from ligero.common.errors import ConfigurationError
from ligero.settings import plan
from ligero.settings.jobs import MeasuredSystem
from ligero.settings.layout import Layout
from ligero.settings.models import Architecture
from ligero.settings.study import Study
from ligero.tokenizers.fast_tokenizer import TokenizerInfo


def sizes_for(study: Study, results: Path | None) -> dict[str, int]:
    """Sizes of the vocabularies that a study's configuration leaves open.

    Args:
        results: folder whose encoders are read; the study's own where it is None.

    Raises:
        DataError: a vocabulary is not there.
    """
    layout = Layout(study.model_copy(update={"results_dir": str(results)}) if results else study)
    return vocabulary_sizes({name: layout.tokenizer(name) for name in plan.tokenizers_of_open_size(study)})


def vocabulary_sizes(folders: Mapping[str, Path | str]) -> dict[str, int]:
    """Sizes of vocabularies, with special tokens, from the `tokenizer_info.json` in each folder.

    Raises:
        DataError: a folder has no such file, or the file was changed.
    """
    return {
        tokenizer: TokenizerInfo.read(Path(folder)).vocabulary_size for tokenizer, folder in folders.items()
    }


def with_vocabulary(system: MeasuredSystem, sizes: Mapping[str, int]) -> Architecture:
    """A system's architecture with its vocabulary size filled in.

    Raises:
        ConfigurationError: the size is neither in the configuration nor among `sizes`.
    """
    if system.architecture.vocab_size is not None:
        return system.architecture
    if system.tokenizer not in sizes:
        raise ConfigurationError(
            f"models.{system.model_id}.architecture.vocab_size: it is null, so tokenizer "
            f"'{system.tokenizer}' must exist first; train it or set the size"
        )
    return system.architecture.model_copy(update={"vocab_size": sizes[system.tokenizer]})


def check_length(systems: Iterable[MeasuredSystem], length: int, key: str) -> None:
    """Refuse to measure at a length that a model cannot read.

    Raises:
        ConfigurationError: `key` (the configuration's key path) asks for more tokens than a model has positions.
    """
    for system in systems:
        limit = system.architecture.longest_input
        if length > limit:
            raise ConfigurationError(
                f"{key}: {length} tokens are more than the {limit} positions of '{system.model_id}'; lower it"
            )
