"""The digest of a model's weights: written beside them, checked before they are read, part of what results depend on. No torch."""

from __future__ import annotations

from pathlib import Path

from ligero.common.errors import DataError
from ligero.common.files import write_text
from ligero.common.hashing import digest_files
from ligero.common.records import DamagedError
from ligero.tokenizers.fast_tokenizer import TokenizerInfo

WEIGHTS_DIGEST = "weights.digest"
REMEDY = "Delete the folder and start snakemake again, which makes it anew."
SELECTED_REMEDY = "Select it again: snakemake --forcerun select_trials select_trial."
"""For a model below RESULTS/models: jobs that read one have its selection as input, not its folder."""


def digest_weights(folder: Path) -> str:
    """Digest of the files that make a model: its configuration and its tensors.

    Raises:
        DataError: the folder holds no model.
    """
    names = sorted(path.name for path in folder.glob("model*.safetensors"))
    if not names or not (folder / "config.json").is_file():
        raise DataError(folder, None, "no config.json and model*.safetensors: not the folder of a model.")
    return digest_files(folder, ["config.json", *names])


def write_weights_digest(folder: Path) -> None:
    """Write `weights.digest` into a model's folder: what its readers check, and the input that tells jobs of other weights."""
    write_text(folder / WEIGHTS_DIGEST, f"{digest_weights(folder)}\n")


def check_weights(folder: Path, remedy: str | None = None) -> str:
    """The digest of a model's files, after a comparison with the one written beside them.

    Args:
        remedy: for whoever reads the error, of a folder that must hold a model.

    Raises:
        DamagedError: a file is missing or not what was written, or there is no digest.
        DataError: the folder holds no model, and no remedy is given.
    """
    path = folder / WEIGHTS_DIGEST
    try:
        found = digest_weights(folder)
    except DataError as error:
        if remedy is None and not path.is_file():  # it may never have been a model's
            raise
        raise DamagedError(folder, None, error.problem, remedy or REMEDY) from error
    remedy = remedy or REMEDY
    if not path.is_file():
        raise DamagedError(path, None, "no such file, so the weights beside it cannot be checked.", remedy)
    expected, end, _ = path.read_text(encoding="ascii", errors="replace").partition("\n")
    if not end:
        raise DamagedError(path, None, "it ends early: its line has no end.", remedy)
    if expected != found:
        names = ", ".join(["config.json", *sorted(file.name for file in folder.glob("model*.safetensors"))])
        problem = f"{names}: not what was written: their digest is {found}, {WEIGHTS_DIGEST} says {expected}."
        raise DamagedError(folder, None, problem, remedy)
    return found


def check_model(folder: Path, remedy: str = SELECTED_REMEDY) -> str:
    """The digest of a model's weights, after a check of them and of the tokenizer beside them.

    Args:
        remedy: for whoever reads the error; the default is for a selected model.

    Raises:
        DamagedError: a file of the weights or of the tokenizer is missing or not what was written.
    """
    digest = check_weights(folder, remedy)
    TokenizerInfo.read(folder, remedy).check(folder, remedy=remedy)
    return digest
