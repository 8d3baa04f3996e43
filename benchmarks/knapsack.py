"""The most that can be had within a budget, where value and price are sums over choices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def most_within(value: Matrix, price: Matrix, budget: float, n_steps: int = 20_000) -> float:
    """Return the largest sum of values, one choice a row, whose prices sum to at most ``budget``.

    Multiple-choice knapsack by dynamic programming over the price in steps of ``budget / n_steps``; prices are rounded to the
    nearest step, which is off by at most half a step a row.

    Args:
        value: float64, shape (rows, choices).
        price: float64, shape (rows, choices); rows may share a constant in any way, negative prices included.
        budget: The most that may be paid.
        n_steps: Steps of the budget.
    """
    least = price.min(axis=1)
    left = budget - least.sum()
    if left < 0:
        return float("-inf")
    steps = np.rint((price - least[:, None]) / (budget / n_steps)).astype(int)
    n_left = int(left / (budget / n_steps))
    best = np.full(n_left + 1, 0.0)
    for values, costs in zip(value, steps, strict=True):
        fresh = np.full(n_left + 1, -np.inf)
        for worth, cost in zip(values, costs, strict=True):
            if cost <= n_left:
                fresh[cost:] = np.maximum(fresh[cost:], best[: n_left + 1 - cost] + worth)
        best = fresh
    return float(best.max())
