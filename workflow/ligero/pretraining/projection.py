"""Principal components of a teacher's states: fewer numbers a token to keep, and no few directions that outweigh all others.

Each component is divided by the fourth root of its variance (half of a whitening), so that the loss sees the smaller ones too and
noise is not blown up; then all together by one number that makes their mean variance 1, which is the loss of predicting the mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ligero.common.errors import DataError

_POWER = -0.25


@dataclass(frozen=True)
class Projection:
    """A linear map of states to their scaled principal components.

    Attributes:
        mean: [H], of the states.
        components: [H, D], scaled.
        kept: share of the variance that the components hold.
    """

    mean: Tensor
    components: Tensor
    kept: float

    @classmethod
    def fit(cls, states: Tensor, dimensions: int) -> Projection:
        """The projection of a sample of states [N, H] onto their first `dimensions` components, computed in float64."""
        mean = states.double().mean(0)
        centred = states.double() - mean
        variances, vectors = torch.linalg.eigh(centred.T @ centred / max(len(states) - 1, 1))
        variances, vectors = variances.flip(0).clamp(min=0), vectors.flip(1)
        largest = variances[:dimensions].clamp(min=float(variances[0]) * 1e-9)
        scales = largest**_POWER / (largest ** (1 + 2 * _POWER)).mean().sqrt()
        kept = float(variances[:dimensions].sum() / variances.sum())
        return cls(mean.float(), (vectors[:, :dimensions] * scales).float().contiguous(), kept)

    def __call__(self, states: Tensor) -> Tensor:
        """[..., H] to [..., D]."""
        return (states - self.mean) @ self.components

    def save(self, path: Path) -> None:
        from safetensors.torch import save_file

        save_file(
            {"mean": self.mean, "components": self.components, "kept": torch.tensor(self.kept)}, str(path)
        )

    @classmethod
    def load(cls, path: Path) -> Projection:
        """Read what `save` wrote.

        Raises:
            DataError: it cannot be read.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            found = load_file(str(path))
            return cls(found["mean"], found["components"], float(found["kept"]))
        except (SafetensorError, OSError, KeyError) as error:
            raise DataError(path, None, f"cannot be read: {error}.", "Delete it and start again.") from error
