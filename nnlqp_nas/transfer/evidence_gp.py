"""A Gaussian process that weighs groups of features by their evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

from ..core import InvalidSettingError

_Matrix = NDArray[np.float64]

NOISE = "noise"
CONSTANT = "constant"
SMOOTH = "smooth"


@dataclass(frozen=True, eq=False)
class EvidenceGp:
    """Regression from few samples: a sum of linear kernels, one a group of features, and a smooth one.

    The prior is ``y ~ GP(mean(y), sum_g a_g^2 X_g X_g' / d_g + a_s^2 RBF(X_s) + a_c^2 + noise^2)`` with the
    amplitudes chosen by marginal likelihood (Rasmussen and Williams 2006, section 5.4.1) under a
    weak log-normal prior, so that a group which does not help is weighted down, and one that does is
    used without a choice by hand. The number of samples may be below the number of features.

    Attributes:
        centre: Mean and scale of each feature by group, float64, shape (2, d_g).
        support: The samples' scaled features by group, float64, shape (n, d_g).
        log_amplitude: Logarithm of a_g by kernel, of the noise, of the smooth kernel's length.
        weights: float64, shape (n,), the inverse covariance times the centred targets.
        factor: float64, shape (n, n), lower Cholesky factor of the covariance.
        mean: Mean target.
        groups: Names of the groups, in order.
        smooth: Groups whose features the smooth kernel sees.
    """

    centre: Mapping[str, _Matrix]
    support: Mapping[str, _Matrix]
    log_amplitude: Mapping[str, float]
    weights: _Matrix
    factor: _Matrix
    mean: float
    groups: tuple[str, ...]
    smooth: tuple[str, ...]

    @classmethod
    def fit(
        cls,
        features: Mapping[str, _Matrix],
        target: _Matrix,
        smooth: Sequence[str],
        prior: Mapping[str, float],
        prior_width: float = 1.5,
        n_starts: int = 3,
        seed: int = 0,
    ) -> EvidenceGp:
        """Choose the amplitudes and condition on the samples.

        Args:
            features: Features by group, float64, shape (n, d_g).
            target: float64, shape (n,).
            smooth: Groups whose features the smooth kernel sees.
            prior: Prior median of each group's amplitude, and of ``smooth``, ``noise``, ``constant``.
            prior_width: Standard deviation of the amplitudes' log-normal prior.
            n_starts: Starts of the optimisation; the best end is kept.
            seed: Seed of the starts after the first.

        Raises:
            InvalidSettingError: If there are fewer than 3 samples or the lengths differ.
        """
        n = len(target)
        if n < 3 or any(len(x) != n for x in features.values()):
            raise InvalidSettingError(f"expected features and targets of at least 3 samples, got {n}")
        centre = {name: _centre(x) for name, x in features.items()}
        support = {name: _scaled(x, centre[name]) for name, x in features.items()}
        groups = tuple(features)
        names = (*groups, SMOOTH, CONSTANT, NOISE, "length")
        start = np.log([*(prior[name] for name in (*groups, SMOOTH, CONSTANT, NOISE)), 1.0])
        problem = _Evidence(names, groups, support, tuple(smooth), target - target.mean(), start, prior_width)
        rng = np.random.default_rng(seed)
        starts = [start, *(start + rng.normal(0.0, prior_width, len(start)) for _ in range(n_starts - 1))]
        ends = [minimize(problem.loss, s, jac=True, method="L-BFGS-B", bounds=[(-12.0, 6.0)] * len(s)) for s in starts]
        log_amplitude = dict(zip(names, min(ends, key=lambda end: float(end.fun)).x.tolist(), strict=True))
        covariance = _covariance(groups, tuple(smooth), support, support, log_amplitude) + _noise(log_amplitude, n)
        factor = np.linalg.cholesky(covariance).astype(np.float64)
        weights = cho_solve((factor, True), target - target.mean())
        return cls(centre, support, log_amplitude, weights, factor, float(target.mean()), groups, tuple(smooth))

    def predict(self, features: Mapping[str, _Matrix]) -> tuple[_Matrix, _Matrix]:
        """Return mean and standard deviation (noise included) at m points, float64, shape (m,) each."""
        scaled = {name: _scaled(features[name], self.centre[name]) for name in self.groups}
        cross = _covariance(self.groups, self.smooth, scaled, self.support, self.log_amplitude)
        mean = self.mean + cross @ self.weights
        reduced = np.linalg.solve(self.factor, cross.T)
        own = self._own_variance(scaled)
        return mean, np.sqrt(np.maximum(own - (reduced**2).sum(0), 0.0) + np.exp(2 * self.log_amplitude[NOISE]))

    def _own_variance(self, scaled: Mapping[str, _Matrix]) -> _Matrix:
        total = np.exp(2 * self.log_amplitude[CONSTANT]) + np.exp(2 * self.log_amplitude[SMOOTH])
        own = np.full(len(next(iter(scaled.values()))), total)
        for name in self.groups:
            own += np.exp(2 * self.log_amplitude[name]) * (scaled[name] ** 2).mean(1)
        return own


@dataclass(frozen=True, eq=False)
class _Evidence:
    """The negative log posterior of the amplitudes, with its gradient."""

    names: tuple[str, ...]
    groups: tuple[str, ...]
    support: Mapping[str, _Matrix]
    smooth: tuple[str, ...]
    target: _Matrix
    prior: _Matrix
    prior_width: float

    def loss(self, theta: _Matrix) -> tuple[float, _Matrix]:
        n = len(self.target)
        amplitude = dict(zip(self.names, theta.tolist(), strict=True))
        parts = {name: np.exp(2 * amplitude[name]) * _linear(self.support[name], self.support[name]) for name in self.groups}
        distance = _distance(self.smooth, self.support, self.support)
        near = np.exp(2 * amplitude[SMOOTH] - 0.5 * distance * np.exp(-2 * amplitude["length"]))
        parts[SMOOTH] = near
        parts[CONSTANT] = np.full((n, n), np.exp(2 * amplitude[CONSTANT]))
        parts[NOISE] = _noise(amplitude, n)
        factor = cho_factor(sum(parts.values()) + 1e-10 * np.eye(n), lower=True)
        weights = cho_solve(factor, self.target)
        fit = 0.5 * self.target @ weights + np.log(np.diag(factor[0])).sum()
        pull = np.outer(weights, weights) - cho_solve(factor, np.eye(n))
        slopes = [-0.5 * np.sum(pull * 2 * parts[name]) for name in self.names[:-1]]
        slopes.append(-0.5 * np.sum(pull * near * distance * np.exp(-2 * amplitude["length"])))
        away = (theta - self.prior) / self.prior_width
        return float(fit + 0.5 * away @ away), np.array(slopes) + away / self.prior_width


def _centre(x: _Matrix) -> _Matrix:
    scale = x.std(0)
    return np.stack([x.mean(0), np.where(scale > 1e-9, scale, np.inf)])


def _scaled(x: _Matrix, centre: _Matrix) -> _Matrix:
    return (x - centre[0]) / centre[1]


def _linear(x: _Matrix, y: _Matrix) -> _Matrix:
    return x @ y.T / max(x.shape[1], 1)


def _distance(smooth: tuple[str, ...], x: Mapping[str, _Matrix], y: Mapping[str, _Matrix]) -> _Matrix:
    a = np.hstack([x[name] for name in smooth])
    b = np.hstack([y[name] for name in smooth])
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1)[None, :] - 2 * a @ b.T
    return np.maximum(squared, 0.0) / a.shape[1]


def _noise(amplitude: Mapping[str, float], n: int) -> _Matrix:
    return np.exp(2 * amplitude[NOISE]) * np.eye(n)


def _covariance(
    groups: tuple[str, ...], smooth: tuple[str, ...], x: Mapping[str, _Matrix], y: Mapping[str, _Matrix], amplitude: Mapping[str, float]
) -> _Matrix:
    near = np.exp(2 * amplitude[SMOOTH] - 0.5 * _distance(smooth, x, y) * np.exp(-2 * amplitude["length"]))
    linear = sum(np.exp(2 * amplitude[name]) * _linear(x[name], y[name]) for name in groups)
    return linear + near + np.exp(2 * amplitude[CONSTANT])
