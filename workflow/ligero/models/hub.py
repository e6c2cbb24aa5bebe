"""A checkpoint from the Hugging Face hub: its commit and checksums are recorded at the first download and then enforced."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ligero.common.errors import LigeroError
from ligero.common.hashing import sha256_file
from ligero.models.weights_source import WeightsSource
from ligero.settings.models import HubModel
from ligero.sources.checksums import Expectation, LockedFile, SourcesLock

WANTED = ("*.json", "*.txt", "*.model", "model*.safetensors", "NOTICE*", "LICENSE*", "README.md")
OLD_FORMAT = "pytorch_model.bin"


class HubError(LigeroError):
    """A model could not be fetched from the hub."""


def fetch_from_hub(hub: HubModel, cache: Path, lock: SourcesLock) -> tuple[Path, WeightsSource]:
    """The folder of a checkpoint in `cache`, downloaded where needed, and where it came from.

    Which commit: the one that the settings pin; else the one that the lock file recorded at the first download; else the
    newest, which is recorded now. A commit that is in the cache needs no network.

    Raises:
        HubError: the hub has it under none of its names, or there is no network and the cache may be incomplete.
        ChecksumError: a file is not the one of the first download.
    """
    key = f"{hub.id}@{hub.revision or 'newest'}"
    known = lock.hub_entry(key)
    # The name that served it first comes first: with the commit in the cache, no other is then asked for.
    names = [known["hub"], hub.id, *hub.aliases] if known else [hub.id, *hub.aliases]
    folder, name = _downloaded(names, known["revision"] if known else hub.revision, cache)
    if known is None and not _listing(folder).is_file():
        raise HubError(
            f"{hub.id}: the hub could not be reached, and {folder} may be incomplete: the hub's list of its files is not "
            f"there. Run this job once on a machine with network to fill {cache}; a folder that is complete can be given "
            "with 'weights: local'."
        )
    files = {
        path.name: LockedFile(sha256=sha256_file(path), bytes=path.stat().st_size)
        for path in used_files(folder)
    }
    if known is None:
        lock.record_hub(key, {"hub": name, "revision": folder.name, "files": files})
        print(
            f"{hub.id}: revision not known before; recorded commit {folder.name} of {name} and the checksums of "
            f"{len(files)} files in {lock.path}",
            file=sys.stderr,
        )
    else:
        _check(key, files, known["files"], folder, lock)
    return folder, WeightsSource(name, hub.revision, folder.name, hub.licence, hub.citation)


def _listing(folder: Path) -> Path:
    """Where huggingface_hub keeps the list of a commit's files; what has one and lacks a file it refuses by itself."""
    return folder.parents[1] / "trees" / f"{folder.name}.json"


def used_files(folder: Path) -> list[Path]:
    """The files of a checkpoint that are used: the old format only where there are no safetensors."""
    names = WANTED if list(folder.glob("model*.safetensors")) else (*WANTED, OLD_FORMAT)
    return sorted({path for pattern in names for path in folder.glob(pattern)})


def _check(
    key: str, found: dict[str, LockedFile], known: dict[str, LockedFile], folder: Path, lock: SourcesLock
) -> None:
    origin = f"recorded at the first download in {lock.path}; remove '{key}' there to accept another"
    for name in sorted(found.keys() | known.keys()):
        one, other = known.get(name), found.get(name)
        expected = Expectation(
            one["sha256"] if one else "none: the file is new", one["bytes"] if one else None, origin
        )
        sha256, size = (other["sha256"], other["bytes"]) if other else ("no such file", 0)
        expected.check(str(folder / name), sha256, size)


def _downloaded(names: list[str], revision: str | None, cache: Path) -> tuple[Path, str]:
    """The first of `names` that the hub has at `revision`, as its folder and that name."""
    os.environ.pop("HF_HUB_OFFLINE", None)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    problems = []
    for name in dict.fromkeys(names):
        for old in (False, True):  # the old format is only fetched where there is no other
            patterns = [*WANTED, *([OLD_FORMAT] if old else [])]
            try:
                folder = Path(
                    snapshot_download(name, revision=revision, cache_dir=cache, allow_patterns=patterns)
                )
            except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
                problems.append(f"{name}: {str(error).splitlines()[0]}")
                break
            if old or list(folder.glob("model*.safetensors")):
                return folder, name
    raise HubError(
        f"the hub has the model under none of its names at revision {revision or '(newest)'}:\n  "
        + "\n  ".join(problems)
        + f"\nRun this job once on a machine with network to fill {cache}; after that it works offline."
    )
