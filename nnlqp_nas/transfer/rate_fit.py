"""Rates of work, fitted to latencies: of all operators together, and of groups of them around those."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

from .feature_group import Matrix

LEAST_SHARE = 0.001
"""Least share of the latency that each measure of work is given."""

RELATIVE_NOISE, PRIOR_DEVIATION, LEAST_FACTOR = 0.1, 0.5, 0.02
"""How far the rates miss a latency, how far a group's rates lie from those of all operators, and how far below at most."""


def fit_rates(relative: Matrix) -> tuple[Matrix, Matrix]:
    """Fit rates by non-negative least squares on the relative error.

    First one rate of each measure for all operators; then factors by group with a normal prior around 1, so that a group of
    which little was seen keeps the rates of all.

    Args:
        relative: float64, shape (n, groups, measures): work of n networks over their latencies in milliseconds.

    Returns:
        Milliseconds a unit, float64, shape (measures,), and the factors, float64, shape (groups, measures); all above 0.
    """
    total = relative.sum(1)
    scale = np.maximum(total.mean(0), 1e-30)
    common = np.maximum(nnls(total / scale, np.ones(len(total)))[0], LEAST_SHARE) / scale
    shares = (relative * common).reshape(len(relative), -1)
    stiffness = RELATIVE_NOISE / PRIOR_DEVIATION
    system = np.vstack([shares, stiffness * np.eye(shares.shape[1])])
    target = np.concatenate([np.ones(len(shares)), np.full(shares.shape[1], stiffness)])
    return common, np.maximum(nnls(system, target)[0], LEAST_FACTOR).reshape(relative.shape[1:])
