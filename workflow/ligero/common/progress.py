"""Progress on long work: a bar on a terminal, a line now and then in a log file."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

SECONDS_BETWEEN_LOG_LINES = 30.0


def progress(
    items: Iterable[Any] | None = None,
    *,
    total: float | None = None,
    label: str,
    unit: str = "it",
    disable: bool = False,
) -> tqdm[Any]:
    """A tqdm bar with rate and remaining time; where standard error is no terminal it writes a line every 30 s."""
    interactive = sys.stderr.isatty()
    return tqdm(
        items,
        total=total,
        desc=label,
        unit=unit,
        unit_scale=True,
        disable=disable,
        mininterval=0.1 if interactive else SECONDS_BETWEEN_LOG_LINES,
        maxinterval=10.0 if interactive else SECONDS_BETWEEN_LOG_LINES,
        ascii=not interactive,
        dynamic_ncols=interactive,
    )
