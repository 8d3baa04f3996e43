"""Split-conformal calibration: how many standard deviations an interval has to reach."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

COVERAGE = 0.9
LEAST_BY_DOMAIN = 40
"""Scores below which a domain's quantile is that of all domains on the platform: fewer tell a 0.9 quantile too badly."""

SPREAD_FLOOR = 0.02
"""Noise of a measurement, log milliseconds: members that agree are not surer than this."""

EVERY_DOMAIN = ""

Score = tuple[str, int, str, float]
"""Platform, batch size, domain, and error over deviation."""


def deviation(log_ms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return float64, shape (graphs,): how far members disagree, from their predictions of shape (graphs, members)."""
    return np.asarray(np.hypot(log_ms.std(1), SPREAD_FLOOR))


def conformal_quantile(scores: ArrayLike, otherwise: float | None = None) -> float:
    """The split-conformal quantile of :data:`COVERAGE` (Vovk et al. 2005; Lei et al., JASA 2018, section 2.2).

    Fewer than 9 values do not determine it; ``otherwise`` stands for it then, or twice the largest.
    """
    ordered = np.sort(np.asarray(scores, dtype=np.float64))
    rank = int(np.ceil((len(ordered) + 1) * COVERAGE))
    if rank <= len(ordered):
        return float(ordered[rank - 1])
    return 2.0 * float(ordered[-1]) if otherwise is None else otherwise


def mondrian_quantiles(scores: Iterable[Score]) -> dict[tuple[str, int, str], float]:
    """Return the quantile of every platform and batch size, and of each of its domains that has scores enough.

    One class of networks gets one quantile, so that the stated coverage holds within it (Vovk et al., Mondrian
    confidence machine, 2003); the key of all domains together is :data:`EVERY_DOMAIN`.
    """
    classes: dict[tuple[str, int, str], list[float]] = defaultdict(list)
    for platform, batch_size, domain, score in scores:
        classes[platform, batch_size, domain].append(score)
        classes[platform, batch_size, EVERY_DOMAIN].append(score)
    return {key: conformal_quantile(values) for key, values in classes.items() if key[2] == EVERY_DOMAIN or len(values) >= LEAST_BY_DOMAIN}


def nearest_quantile(quantiles: Mapping[tuple[str, int, str], float], platform: str, batch_size: int, domain: str) -> float | None:
    """Return the quantile of a domain, or of all, at the nearest calibrated batch size; None where the platform has none."""
    sizes = {size for known, size, _ in quantiles if known == platform}
    if not sizes:
        return None
    nearest = min(sizes, key=lambda size: (abs(np.log(size / batch_size)), size))
    return quantiles.get((platform, nearest, domain), quantiles[platform, nearest, EVERY_DOMAIN])
