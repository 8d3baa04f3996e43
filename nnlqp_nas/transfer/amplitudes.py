"""Amplitudes of a sum of kernels, sampled as the evidence weighs them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

N_DRAWS = 700
N_ROUNDS = 3
N_KEPT = 32
LEAST_NOISE = 1e-3
"""Standard deviation of log latency below which no measurement is trusted."""
_CHUNK_NUMBERS = 4_000_000


@dataclass(frozen=True, eq=False)
class AmplitudePosterior:
    """The posterior of log amplitudes under independent normal priors.

    Attributes:
        kernels: float64, shape (kernels, n, n), each at amplitude 1.
        target: float64, shape (n,), centred.
        middle: float64, shape (kernels + 1,), prior mean of the log amplitudes; the last is the noise's.
        width: float64, shape (kernels + 1,), prior standard deviation.
    """

    kernels: Matrix
    target: Matrix
    middle: Matrix
    width: Matrix

    def sample(self, seed: int = 0) -> Matrix:
        """Return equally likely log amplitudes, float64, shape (N_KEPT, kernels + 1).

        Adaptive importance sampling (Bugallo et al., IEEE Signal Processing Magazine 2017): drawn from the prior
        first, then from a normal fitted to what has been found, tempered as long as few draws dominate.
        """
        rng = np.random.default_rng(seed)
        drawn = self.middle + self.width * rng.standard_normal((N_DRAWS, len(self.middle)))
        fit, proposal = self.log_evidence(drawn), self._log_prior(drawn)
        for _ in range(N_ROUNDS - 1):
            weights = _tempered(fit + self._log_prior(drawn) - proposal)
            centre = weights @ drawn
            spread = 1.2 * np.sqrt(weights @ (drawn - centre) ** 2) + 0.05 * self.width
            fresh = centre + spread * rng.standard_normal(drawn[:N_DRAWS].shape)
            near = _log_normal(fresh, centre, spread)
            drawn, fit = np.vstack([drawn, fresh]), np.concatenate([fit, self.log_evidence(fresh)])
            # Half of the draws stand for the prior: no region of it is left without weight.
            proposal = np.concatenate([proposal, np.logaddexp(near, self._log_prior(fresh)) - np.log(2.0)])
        weights = _normalised(fit + self._log_prior(drawn) - proposal)
        return drawn[np.searchsorted(np.cumsum(weights), (np.arange(N_KEPT) + 0.5) / N_KEPT * (1.0 - 1e-9))]

    def log_evidence(self, log_amplitude: Matrix) -> Matrix:
        """Return float64, shape (draws,): the marginal likelihood of the target (Rasmussen and Williams 2006, section 5.4.1)."""
        step = max(1, _CHUNK_NUMBERS // len(self.target) ** 2)
        return np.concatenate([self._evidence(log_amplitude[i : i + step]) for i in range(0, len(log_amplitude), step)])

    def _evidence(self, log_amplitude: Matrix) -> Matrix:
        # The factor's last row, of the covariance bordered by the target, is the whitened target: one factorisation tells both.
        n = len(self.target)
        bordered = np.empty((len(log_amplitude), n + 1, n + 1))
        bordered[:, :n, :n] = covariances(self.kernels, log_amplitude)
        bordered[:, n, :n] = self.target
        bordered[:, n, n] = 1.0 + self.target @ self.target / LEAST_NOISE**2
        factor = np.linalg.cholesky(bordered)
        return -0.5 * (factor[:, n, :n] ** 2).sum(1) - np.log(np.einsum("saa->sa", factor)[:, :n]).sum(1)

    def _log_prior(self, log_amplitude: Matrix) -> Matrix:
        return _log_normal(log_amplitude, self.middle, self.width)


def covariances(kernels: Matrix, log_amplitude: Matrix) -> Matrix:
    """Return float64, shape (draws, n, n): the covariance of n samples, noise included, for each draw."""
    squared = np.exp(2.0 * log_amplitude)
    n = kernels.shape[1]
    total = (squared[:, :-1] @ kernels.reshape(len(kernels), -1)).reshape(-1, n, n)
    total[:, np.arange(n), np.arange(n)] += squared[:, -1:] + LEAST_NOISE**2
    return total


def _log_normal(x: Matrix, middle: Matrix, width: Matrix) -> Matrix:
    return -0.5 * (((x - middle) / width) ** 2).sum(1) - np.log(width).sum()


def _normalised(log_weights: Matrix) -> Matrix:
    weights = np.exp(log_weights - log_weights.max())
    return weights / weights.sum()


def _tempered(log_weights: Matrix) -> Matrix:
    """Return weights flattened until at least N_KEPT draws count."""
    for temperature in 2.0 ** np.arange(12):
        weights = _normalised(log_weights / temperature)
        if 1.0 / (weights**2).sum() >= N_KEPT:
            break
    return weights
