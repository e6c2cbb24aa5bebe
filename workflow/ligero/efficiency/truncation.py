"""The arithmetic of the thesis' tables: truncation to printed digits, and ratios of truncated MACs."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal

NOISE = Decimal("1e-9")
"""Differences below this come from binary floating point, not from a measurement (84.85 kept as 84.84999999999999)."""

GIGA = 10**9
SMALLEST_FOR_TWO_DECIMALS = GIGA
"""Below one GMAC two decimals keep fewer than three significant digits, and truncating first distorts the ratio."""


def truncate(value: float | int | Decimal, digits: int = 2) -> Decimal:
    """Cut `value` to `digits` decimals towards zero, as the thesis prints its figures (84.829 gives 84.82).

    Binary noise is removed first, so that 84.85 computed as 84.84999999999999 stays 84.85. Zero has no sign.
    """
    exact = (
        value if isinstance(value, Decimal) else Decimal(repr(value) if isinstance(value, float) else value)
    )
    clean = exact.quantize(NOISE, rounding=ROUND_HALF_EVEN)
    return clean.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_DOWN) + Decimal(0)


def truncated_gmacs(macs: int) -> Decimal:
    """MACs as billions, truncated to two decimals (43526457600 gives 43.52)."""
    return truncate(Decimal(macs) / GIGA)


def exact_speedup(macs: int, reference: int) -> float:
    """How many times fewer MACs a system takes than the reference, unrounded."""
    return reference / macs


def thesis_speedup(macs: int, reference: int) -> Decimal | None:
    """The thesis' speedup: both counts truncated to two decimals of a GMAC, their ratio truncated again.

    Returns None where the system takes less than 0.01 GMAC, for which this arithmetic would divide by zero.
    """
    divisor = truncated_gmacs(macs)
    return truncate(truncated_gmacs(reference) / divisor) if divisor else None


def thesis_arithmetic_applies(counts: Iterable[int]) -> bool:
    """Whether all MAC counts are large enough for the thesis' arithmetic to keep three significant digits."""
    return all(count >= SMALLEST_FOR_TWO_DECIMALS for count in counts)


def short_count(value: int) -> str:
    """A parameter count as the thesis prints it: rounded to millions ('110M'); to thousands below a million."""
    if value >= 999_500:
        return f"{(value + 500_000) // 1_000_000}M"
    return f"{(value + 500) // 1_000}K"
