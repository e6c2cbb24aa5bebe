"""Settings of the export of selected models."""

from __future__ import annotations

from pydantic import Field

from ligero.settings.base import Settings


class Export(Settings):
    """How selected models become folders that answer without torch."""

    int8: bool = True
    """Try int8 products beside fp32; false exports fp32 only."""
    max_drop: float = Field(0.5, ge=0.0)
    """Points of the validation score that the int8 graph may lose against fp32; one that loses more is not offered."""
    calibration_examples: int = Field(256, ge=1)
    """Training examples whose activations set the ranges of int8 numbers."""
    qat_steps: int = Field(300, ge=0)
    """Steps of quantisation-aware training, tried only where no int8 graph passes without; 0 never trains."""
