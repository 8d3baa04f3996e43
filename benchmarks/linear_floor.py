"""The floor of few-shot transfer: two ridge regressions, no network, no evidence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

_PENALTIES = 10.0 ** np.arange(-3, 3)


def predict_linear(sources: Matrix, counts: Matrix, support: Sequence[int], latency_ms: Matrix) -> Matrix:
    """Predict all networks from predicted source latencies, and counts of operations if leave-one-out prefers it.

    Args:
        sources: float64, shape (n, devices), predicted log latencies on the known devices.
        counts: float64, shape (n, operations).
        support: The measured networks.
        latency_ms: float64, shape (len(support),).

    Returns:
        float64, shape (n,), milliseconds.
    """
    target = np.log(latency_ms)
    designs = [_standardised(sources), np.hstack([_standardised(sources), _standardised(counts)])]
    tried = [(*_ridge(design[support], target, penalty), design) for design in designs for penalty in _PENALTIES]
    _, weights, design = min(tried, key=lambda entry: entry[0])
    return np.exp(target.mean() + (design - design[support].mean(0)) @ weights)


def predict_in_folds(counts: Matrix, latency_ms: Matrix, n_folds: int = 5) -> Matrix:
    """Return what a linear fit to all networks of the other folds predicts, float64, shape (n,); the ceiling of linear transfer.

    Args:
        counts: float64, shape (n, operators).
        latency_ms: float64, shape (n,), finite.
        n_folds: Number of folds.
    """
    folds = np.random.default_rng(0).permutation(len(latency_ms)) % n_folds
    predicted = np.zeros(len(latency_ms))
    for fold in range(n_folds):
        kept, held = folds != fold, folds == fold
        middle = counts[kept].mean(0)
        _, weights = _ridge(counts[kept], latency_ms[kept], 1e-3)
        predicted[held] = latency_ms[kept].mean() + (counts[held] - middle) @ weights
    return predicted


def _standardised(x: Matrix) -> Matrix:
    scale = x.std(0)
    return np.asarray((x - x.mean(0)) / np.where(scale > 1e-9, scale, np.inf), dtype=np.float64)


def _ridge(x: Matrix, y: Matrix, penalty: float) -> tuple[float, Matrix]:
    """Return the leave-one-out error and the weights of a ridge regression of centred values."""
    centred, target = x - x.mean(0), y - y.mean()
    inverse = np.linalg.inv(centred.T @ centred + penalty * np.eye(x.shape[1]))
    weights = inverse @ centred.T @ target
    leverage = np.einsum("ij,jk,ik->i", centred, inverse, centred, optimize=True) + 1.0 / len(y)
    error = (target - centred @ weights) / np.maximum(1.0 - leverage, 1e-6)
    return float(np.mean(error**2)), weights
