"""Numbers of channels to choose from."""

from __future__ import annotations

from functools import lru_cache

FACTORS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75)


@lru_cache(maxsize=1024)
def make_divisible(value: float, divisor: int = 8) -> int:
    """Round to a multiple of ``divisor``, never by more than a tenth downwards (as MobileNet's authors do)."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * value else rounded + divisor


def widths_around(channels: int, factors: tuple[float, ...] = FACTORS) -> tuple[int, ...]:
    """Return multiples of 8 near ``channels`` times each factor, each once; ``channels`` is among them where it is one.

    nn-Meter's data set (Zhang et al., MobiSys 2021, section 6.1) draws from a fifth to nine fifths of the published ones.

    >>> widths_around(64)
    (16, 32, 48, 64, 80, 96, 112)
    """
    return tuple(sorted({make_divisible(channels * factor) for factor in factors}))
