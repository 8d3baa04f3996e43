"""How good an adaptation is, as its own few samples tell, and what more of them would bring."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

Times = NDArray[np.float64]
Rows = NDArray[np.int64]
Refit = Callable[[Rows, Rows], Times]
"""From rows to learn from and rows that are held out to milliseconds predicted for the latter."""

N_FOLDS = 5
N_MORE = 10
_N_BOOTSTRAP = 1000
_N_SUBSETS = 4
_SHARES = (0.4, 0.6)
_SHRINKING = (0.0, 1.0)


@dataclass(frozen=True, slots=True)
class SampleReport:
    """Errors of predictions for samples that were held out.

    Attributes:
        n_samples: Number of samples.
        mape: Mean absolute error, per cent.
        mape_interval: Its 90 % interval over samples drawn anew.
        spearman: Rank correlation; NaN where all latencies or all predictions are equal.
        spearman_interval: Its 90 % interval.
        learning_curve: MAPE, per cent, of learning from so many of the samples, by their number.
        mape_with_more: What :data:`N_MORE` further samples would probably bring the error to, per cent.
    """

    n_samples: int
    mape: float
    mape_interval: tuple[float, float]
    spearman: float
    spearman_interval: tuple[float, float]
    learning_curve: dict[int, float]
    mape_with_more: float

    @classmethod
    def of(cls, refit: Refit, latency_ms: Times, seed: int = 0) -> SampleReport:
        """Hold samples out, fold by fold and at smaller sizes.

        Args:
            refit: Learns anew from some rows and predicts others.
            latency_ms: float64, shape (n,), n >= 3.
            seed: Seed of folds and subsets.
        """
        n, rng = len(latency_ms), np.random.default_rng(seed)
        folds = rng.permutation(n) % min(N_FOLDS, n)
        held_out = np.zeros(n)
        for fold in range(folds.max() + 1):
            held_out[folds == fold] = refit(np.flatnonzero(folds != fold), np.flatnonzero(folds == fold))
        errors = 100.0 * np.abs(held_out / latency_ms - 1.0)
        drawn = rng.integers(0, n, (_N_BOOTSTRAP, n))
        ranks = [_spearman(held_out[rows], latency_ms[rows]) for rows in drawn]
        curve = _learning_curve(refit, latency_ms, rng)
        n_learned = round(n * (1.0 - 1.0 / (folds.max() + 1)))
        curve[n_learned] = float(errors.mean())
        return cls(
            n,
            float(errors.mean()),
            _interval(errors[drawn].mean(1)),
            _spearman(held_out, latency_ms),
            _interval(np.array(ranks)),
            curve,
            _extrapolate(curve, n + N_MORE),
        )

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary of JSON types."""
        return {
            "n_samples": self.n_samples,
            "mape": self.mape,
            "mape_interval": list(self.mape_interval),
            "spearman": self.spearman,
            "spearman_interval": list(self.spearman_interval),
            "learning_curve": {str(n): mape for n, mape in sorted(self.learning_curve.items())},
            f"mape_with_{N_MORE}_more": self.mape_with_more,
        }


def _learning_curve(refit: Refit, latency_ms: Times, rng: np.random.Generator) -> dict[int, float]:
    n = len(latency_ms)
    sizes = sorted({size for share in _SHARES if 3 <= (size := round(share * n)) < n - 1})
    curve = {}
    for size in sizes:
        errors = []
        for _ in range(_N_SUBSETS):
            order = rng.permutation(n)
            kept, held = np.sort(order[:size]), np.sort(order[size:])
            errors.append(np.abs(refit(kept, held) / latency_ms[held] - 1.0).mean())
        curve[size] = 100.0 * float(np.mean(errors))
    return curve


def _extrapolate(curve: dict[int, float], n: int) -> float:
    """Return the error at n samples by a power law through the curve, which falls, and no faster than 1/n."""
    sizes, errors = np.log(list(curve)), np.log(np.maximum(list(curve.values()), 1e-9))
    slope = float(np.polyfit(sizes, errors, 1)[0]) if len(curve) > 1 else -0.5
    slope = -float(np.clip(-slope, *_SHRINKING))
    last = max(curve)
    return float(curve[last] * (n / last) ** slope)


def _spearman(predicted: Times, truth: Times) -> float:
    if np.ptp(predicted) == 0 or np.ptp(truth) == 0:
        return float("nan")
    return float(spearmanr(predicted, truth)[0])


def _interval(values: Times) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return float("nan"), float("nan")
    low, high = np.quantile(finite, [0.05, 0.95])
    return float(low), float(high)
