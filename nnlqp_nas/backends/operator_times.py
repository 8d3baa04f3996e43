"""From the times of repeated runs to one time a node."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

N_WARMUP, N_PROFILED = 5, 30


def middle_mean(values: Sequence[float]) -> float:
    """Return the mean of the values between the quartiles: finer than a profiler's whole microseconds, blind to outliers."""
    ordered = np.sort(values)
    return float(ordered[len(ordered) // 4 : len(ordered) - len(ordered) // 4].mean())
