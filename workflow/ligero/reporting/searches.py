"""Tables of a search over distillation's hyper-parameters."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from ligero.distillation.records import SearchRow
from ligero.reporting.frames import table

COLUMNS = (
    "number",
    "state",
    "validation_loss",
    "epochs",
    "loss",
    "alpha",
    "temperature",
    "learning_rate",
    "seconds",
)


def trials_table(rows: Sequence[SearchRow], scale: str) -> pd.DataFrame:
    """One row per finished trial; hyper-parameters as tried, seconds empty if a trial recorded none."""
    return table(COLUMNS, rows, scale)


def best_table(rows: Sequence[SearchRow], scale: str) -> pd.DataFrame:
    """The best completed trial of each loss function, best first; numbers as a reader can compare them."""
    printed = [
        {
            **row,
            "validation_loss": f"{row['validation_loss']:.4f}",
            "alpha": f"{row['alpha']:.3f}",
            "temperature": f"{row['temperature']:g}",
            "learning_rate": f"{row['learning_rate']:.2e}",
            "notes": None if row["loss"] != "mse" else "mse ignores the temperature",
        }
        for row in rows
    ]
    columns = ("loss", "validation_loss", "alpha", "temperature", "learning_rate", "epochs", "number")
    return table(columns, printed, scale)
