"""Rates of work, fitted to latencies: of all operators together, and of groups of them around those."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from .feature_group import Matrix

LEAST_SHARE = 0.001
"""Least share of the latency that each measure of work is given."""

RELATIVE_NOISE, PRIOR_DEVIATION, LEAST_FACTOR = 0.1, 0.5, 0.02
"""How far the rates miss a latency, how far a group's rates lie from those of all operators, and how far below at most."""

KIN_DEVIATION = 0.3
"""How far a group's rates lie from those of its kin."""


def fit_rates(relative: Matrix, kin: NDArray[np.int64] | None = None) -> tuple[Matrix, Matrix]:
    """Fit rates by non-negative least squares on the relative error.

    First one rate of each measure for all operators; then factors by group with a normal prior, so that a group of
    which little was seen keeps the rates of its kin, and kin of which little was seen those of all.

    Args:
        relative: float64, shape (n, groups, measures): work of n networks over their latencies in milliseconds.
        kin: int64, shape (groups,), from 0 without gaps: which groups are kin; each is alone unless given.

    Returns:
        Milliseconds a unit, float64, shape (measures,), and the factors, float64, shape (groups, measures); all above 0.
    """
    total = relative.sum(1)
    scale = np.maximum(total.mean(0), 1e-30)
    common: Matrix = np.maximum(nnls(total / scale, np.ones(len(total)))[0], LEAST_SHARE) / scale
    shares = (relative * common).reshape(len(relative), -1)
    prior, mean = _prior(np.arange(relative.shape[1]) if kin is None else kin, relative.shape[2])
    system = np.vstack([np.pad(shares, ((0, 0), (0, prior.shape[1] - shares.shape[1]))), prior])
    target = np.concatenate([np.ones(len(shares)), mean])
    factors: Matrix = nnls(system, target)[0][: shares.shape[1]]
    return common, np.asarray(np.maximum(factors, LEAST_FACTOR).reshape(relative.shape[1:]), dtype=np.float64)


def _prior(kin: NDArray[np.int64], n_measures: int) -> tuple[Matrix, Matrix]:
    """Return the equations of the prior on the factors of all groups, then of all kin: what they weigh, and what they come to."""
    n_groups, n_kin = len(kin), int(kin.max()) + 1
    if n_kin == n_groups:
        stiffness = RELATIVE_NOISE / PRIOR_DEVIATION
        return stiffness * np.eye(n_groups * n_measures), np.full(n_groups * n_measures, stiffness)
    near, far = RELATIVE_NOISE / KIN_DEVIATION, RELATIVE_NOISE / PRIOR_DEVIATION
    to_kin = np.hstack([np.eye(n_groups), -np.eye(n_kin)[kin]]) * near
    to_all = np.hstack([np.zeros((n_kin, n_groups)), np.eye(n_kin)]) * far
    mean = np.concatenate([np.zeros(n_groups * n_measures), np.full(n_kin * n_measures, far)])
    weights: Matrix = np.kron(np.vstack([to_kin, to_all]), np.eye(n_measures)).astype(np.float64)
    return weights, mean
