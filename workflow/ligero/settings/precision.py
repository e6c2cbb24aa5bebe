"""The precisions that a study may ask for, and those that a computation runs in."""

from typing import Literal

ResolvedPrecision = Literal["fp32", "bf16", "fp16"]
Precision = Literal["auto", ResolvedPrecision]
UnscaledPrecision = Literal["auto", "fp32", "bf16"]
"""Of pretraining, which does not scale its loss as fp16 needs."""
