"""Where the weights of others came from: source.json in their folder. Needs no torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from ligero.common.records import DamagedError, read_record, write_record

SOURCE_FILE = "source.json"


@dataclass(frozen=True)
class WeightsSource:
    """A commit on the hub, or a folder, and what was noticed when it was prepared."""

    hub: str | None = None
    """OWNER/NAME that served it."""
    requested: str | None = None
    """Commit that the configuration pins."""
    revision: str | None = None
    """Commit that was fetched."""
    licence: str = ""
    citation: str = ""
    folder: str | None = None
    """Of local weights."""
    unused_task_head: tuple[str, ...] = ()
    """Weights of a task's head, which are not used."""
    repaired: tuple[str, ...] = ()
    """What was changed in its tokenizer."""

    def write(self, folder: Path) -> None:
        """Write source.json, with what is known."""
        write_record(folder / SOURCE_FILE, {name: value for name, value in asdict(self).items() if value})

    @classmethod
    def read(cls, folder: Path) -> WeightsSource:
        """Read source.json of a folder of weights.

        Raises:
            DataError: it is missing.
            DamagedError: it is not what was written.
        """
        values = read_record(folder / SOURCE_FILE)
        try:
            return cls(**values)
        except TypeError as error:
            problem = f"does not describe where weights came from: {error}."
            raise DamagedError(folder / SOURCE_FILE, None, problem) from error
