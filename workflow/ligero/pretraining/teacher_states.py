"""A teacher's states of a text, cached beside the token store that the student reads: what `objective: distil` learns from.

The folder of the states *is* a token store (token_store.py): passages of the corpus in the student's ids. Beside each split lie

| file | |
|---|---|
| `NAME.spans.npy` | int32 [tokens], the shared span (shared_spans.py) in which each token lies, -1 where there is none |
| `NAME.states.npy` | float16 [spans, D], the teacher's state of each span |

and once `projection.safetensors` (projection.py) and `states.json`, which records where they came from and the digest of every file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ligero.common.records import DamagedError, check_file
from ligero.pretraining.records import STATES_REMEDY, StatesInfo

Ints = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class TeacherStates:
    """The states of one split, opened for reading.

    Attributes:
        spans: int32 [tokens], memory-mapped.
        states: float16 [spans, D], memory-mapped.
    """

    spans: NDArray[np.int32]
    states: NDArray[np.float16]

    @classmethod
    def open(cls, folder: Path, info: StatesInfo, split: str) -> TeacherStates:
        """Open a split of the states that `info` describes; sizes are checked here, digests by `check_states`.

        Raises:
            DamagedError: a file is missing, cannot be read, or has another size.
        """
        spans = _mapped(folder / f"{split}.spans.npy", (info.tokens[split],), np.int32)
        shape = (info.spans[split], info.dimensions)
        return cls(spans, _mapped(folder / f"{split}.states.npy", shape, np.float16))

    @property
    def dimensions(self) -> int:
        return int(self.states.shape[1])

    def of_rows(self, starts: Ints, length: int) -> tuple[Tensor, Tensor]:
        """What rows [CLS] text [SEP] of `length` tokens are taught, whose text begins at `starts` [B].

        Returns:
            int64 [K], indices of the taught tokens in the flattened [B * length] rows, ascending; float16 [K, D], their states.
            All tokens of a span have the span's state.
        """
        spans = np.full((len(starts), length), -1, dtype=np.int64)
        spans[:, 1:-1] = self.spans[starts[:, None] + np.arange(length - 2)]
        flat = spans.reshape(-1)
        taught = np.flatnonzero(flat >= 0)
        return torch.from_numpy(taught), torch.from_numpy(self.states[flat[taught]])


def check_states(folder: Path, info: StatesInfo) -> None:
    """Compare all files with their digests.

    Raises:
        DamagedError: a file is not what was written.
    """
    for name, digest in info.files.items():
        check_file(folder / name, digest, STATES_REMEDY)


def _mapped(path: Path, shape: tuple[int, ...], dtype: Any) -> Any:
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DamagedError(path, None, f"cannot be read: {error}.", STATES_REMEDY) from error
    if found.shape != shape or found.dtype != dtype:
        problem = f"holds {found.dtype} {list(found.shape)}, expected {np.dtype(dtype)} {list(shape)}."
        raise DamagedError(path, None, problem, STATES_REMEDY)
    return found
