"""The digest of a model's weights: written beside them, checked before they are read, part of what results depend on. No torch."""

from __future__ import annotations

from pathlib import Path

from ligero.common.errors import DataError
from ligero.common.files import write_text
from ligero.common.hashing import digest_files
from ligero.common.records import DamagedError

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


def check_weights(folder: Path, remedy: str = REMEDY) -> str:
    """The digest of a model's files, after a comparison with the one written beside them.

    Raises:
        DamagedError: a file is missing or not what was written, or there is no digest.
        DataError: the folder holds no model.
    """
    path = folder / WEIGHTS_DIGEST
    try:
        found = digest_weights(folder)
    except DataError as error:
        if path.is_file():  # of a model that was whole once
            raise DamagedError(folder, None, error.problem, remedy) from error
        raise
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
