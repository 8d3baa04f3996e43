"""A Gaussian process that weighs groups of features by their evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from ..core import InvalidSettingError
from .amplitudes import LEAST_NOISE, AmplitudePosterior, covariances
from .feature_group import FeatureGroup, Features, Matrix, take

CONSTANT = "constant"
NOISE = "noise"
LENGTHS = (1.0, 3.0)
"""Lengths of the smooth kernels, in standard deviations of the samples' features."""
N_WEIGHED = 128
"""Most samples that the amplitudes are chosen with; all samples are conditioned on."""

Prior = Mapping[str, tuple[float, float]]
"""Prior median of each amplitude, and the standard deviation of its logarithm."""


def smooth_name(length: float) -> str:
    """Return the name under which the smooth kernel of a length has its prior."""
    return f"smooth_{length:g}"


@dataclass(frozen=True, eq=False)
class EvidenceGp:
    """Regression from few samples: a sum of linear kernels, one a group of features, and smooth ones.

    The prior is ``y ~ GP(mean(y), sum_g a_g^2 X_g X_g' + sum_l a_l^2 RBF_l(X_smooth) + a_c^2 + noise^2)``. The
    amplitudes are not chosen but averaged over, as their evidence and log-normal priors weigh
    them: a group which does not help is weighted down, one that does is used, and what few
    samples cannot tell widens the deviation. Features may be more than samples.

    Attributes:
        support: The n samples' features by group, centred.
        centre: Mean of each feature by group, float64, shape (d_g,).
        smooth: Groups whose features the smooth kernels see.
        log_amplitude: float64, shape (draws, kernels + 1): groups, smooth kernels, constant, noise.
        target: float64, shape (n,), centred.
        mean: Mean target.
    """

    support: Features
    centre: Mapping[str, Matrix]
    smooth: tuple[str, ...]
    log_amplitude: Matrix
    target: Matrix
    mean: float

    @classmethod
    def fit(cls, features: Features, target: Matrix, smooth: Sequence[str], prior: Prior, seed: int = 0) -> EvidenceGp:
        """Sample the amplitudes and condition on the samples.

        Args:
            features: Features of the n samples.
            target: float64, shape (n,).
            smooth: Groups whose features the smooth kernels see.
            prior: Of each group, each :func:`smooth_name`, ``constant`` and ``noise``.
            seed: Seed of the sampling; the same samples give the same process.

        Raises:
            InvalidSettingError: If there are fewer than 3 samples or the lengths differ.
        """
        n = len(target)
        if n < 3 or any(len(group) != n for group in features.values()):
            raise InvalidSettingError(f"expected features and targets of at least 3 samples, got {n}")
        used = {name: group.without_zeros() for name, group in features.items()}
        centre = {name: group.values.mean(0) for name, group in used.items()}
        support = {name: FeatureGroup(group.columns, group.values - centre[name]) for name, group in used.items()}
        weighed = np.sort(np.random.default_rng(seed).permutation(n)[:N_WEIGHED])
        process = cls(take(support, weighed), centre, tuple(smooth), np.zeros((0, 0)), target[weighed], 0.0)
        middle, width = np.array([prior[name] for name in (*features, *map(smooth_name, LENGTHS), CONSTANT, NOISE)]).T
        kernels = process._kernels({name: group.values for name, group in process.support.items()})
        posterior = AmplitudePosterior(kernels, target[weighed] - target[weighed].mean(), np.log(middle), width)
        return cls(support, centre, tuple(smooth), posterior.sample(seed), target - target.mean(), float(target.mean()))

    def predict(self, features: Features) -> tuple[Matrix, Matrix]:
        """Return mean and standard deviation (noise included) at m points, float64, shape (m,) each."""
        place, beyond = {}, {}
        for name, group in self.support.items():
            values, beyond[name] = features[name].aligned(group.columns)
            place[name] = values - self.centre[name]
        kernels = self._kernels(place)
        squared = np.exp(2.0 * self.log_amplitude)
        # (draws, kernels, n): what each kernel with each sample adds to the mean.
        weights = squared[:, :-1, None] * self._weights[:, None, :]
        means = np.tensordot(weights, kernels, axes=((1, 2), (0, 2)))
        own = np.stack([(place[name] ** 2).sum(1) + beyond[name] for name in self.support])
        variances = squared[:, : len(own)] @ own + squared[:, len(own) :].sum(1)[:, None] + LEAST_NOISE**2
        # What the samples explain, at the middle of the draws: at each of them it would cost their number of times more.
        middle = squared[:, :-1].mean(0)
        cross = np.tensordot(middle, kernels, 1)
        explained = np.einsum("ma,ab,mb->m", cross, self._middle_precision, cross, optimize=True)
        least = squared[:, -1].mean() + LEAST_NOISE**2
        variance = np.maximum(variances.mean(0) - explained, least) + means.var(0)
        return self.mean + means.mean(0), np.sqrt(variance)

    def coefficients(self, name: str) -> dict[str, float]:
        """Return the mean weight of each feature of a group, by column; columns that are zero in all samples have none."""
        group, at = self.support[name], list(self.support).index(name)
        of_sample = (np.exp(2.0 * self.log_amplitude[:, [at]]) * self._weights).mean(0)
        return dict(zip(group.columns, (of_sample @ group.values).tolist(), strict=True))

    @cached_property
    def _kernels_of_support(self) -> Matrix:
        return self._kernels({name: group.values for name, group in self.support.items()})

    @cached_property
    def _weights(self) -> Matrix:
        """Inverse covariances times the target, float64, shape (draws, n)."""
        draws = (covariances(self._kernels_of_support, draw[None])[0] for draw in self.log_amplitude)
        return np.stack([cho_solve(cho_factor(covariance), self.target) for covariance in draws])

    @cached_property
    def _middle_precision(self) -> Matrix:
        middle = 0.5 * np.log(np.exp(2.0 * self.log_amplitude).mean(0))
        return np.linalg.inv(covariances(self._kernels_of_support, middle[None])[0])

    def _kernels(self, place: Mapping[str, Matrix]) -> Matrix:
        """Return float64, shape (kernels, m, n): each kernel between m centred points and the samples, at amplitude 1."""
        linear = [place[name] @ group.values.T for name, group in self.support.items()]
        distance = self._distance(place)
        near = [np.exp(-0.5 * distance / length**2) for length in LENGTHS]
        return np.stack([*linear, *near, np.ones_like(distance)])

    def _distance(self, place: Mapping[str, Matrix]) -> Matrix:
        names = [name for name in self.smooth if name in self.support]
        scale = {name: np.sqrt((self.support[name].values ** 2).mean()) + 1e-9 for name in names}
        a = np.hstack([place[name] / scale[name] for name in names])
        b = np.hstack([self.support[name].values / scale[name] for name in names])
        squared = (a**2).sum(1)[:, None] + (b**2).sum(1)[None, :] - 2.0 * a @ b.T
        return np.maximum(squared, 0.0) / a.shape[1]
