"""What the metrics file holds, as TensorBoard events."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ligero.common.errors import ConfigurationError
from ligero.pretraining.records import MetricsLine


class TensorBoard:
    """Event files in one folder, one scalar per value and step.

    Events cannot be taken back, so after a restart or a rollback they are written anew from the metrics file.

    Raises:
        ConfigurationError: tensorboardX is not installed.
        OSError: by every method, when the events cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writer = self._opened()

    def write(self, values: MetricsLine) -> None:
        """The numbers of one line of the metrics file; those of evaluations are under `validation/`."""
        self._must_be_alive()
        step, event = values.get("step"), values.get("event", "training")
        if event in ("training", "validation") and step is not None:
            for name, value in values.items():
                if name not in ("step", "event"):
                    self._writer.add_scalar(f"{event}/{name}", value, step)

    def rewrite(self, lines: Iterable[MetricsLine]) -> None:
        """Start anew with `lines`, without the steps that a rollback threw away."""
        kept: list[MetricsLine] = []
        for line in lines:
            if line.get("event") == "rollback":
                kept = [earlier for earlier in kept if earlier.get("step", 0) <= line["to_step"]]
            else:
                kept.append(line)
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        self._writer = self._opened()
        for line in kept:
            self.write(line)
        self._writer.flush()

    def close(self) -> None:
        self._must_be_alive()
        self._writer.close()

    def _must_be_alive(self) -> None:
        """tensorboardX writes in a thread that a full disk ends silently; its queue would then block for ever."""
        worker = getattr(self._writer.file_writer.event_writer, "_worker", None)
        if worker is not None and not worker.is_alive():
            raise OSError(
                errno.EIO, "the thread that writes TensorBoard's events has ended", str(self.folder)
            )

    def _opened(self) -> Any:
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise ConfigurationError(
                "pretraining.tensorboard: true needs the package tensorboardX: pip install tensorboardX"
            ) from error
        return SummaryWriter(str(self.folder))
