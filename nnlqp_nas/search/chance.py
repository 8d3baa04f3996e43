"""Chance constraints: how probable it is that a network fits a budget.

A predictor states the latency ``m`` and an interval ``(l, h)`` that holds the truth with probability ``c``. Latencies
are positive and their errors multiply, so the truth is taken to be log-normal with median ``m``, each side
as wide as its end of the interval says: with ``z`` the standard normal quantile,

    sigma = ln(h / m) / z((1 + c) / 2)  above m,    ln(m / l) / z((1 + c) / 2)  below.

The network takes at most ``m * exp(z(p) * sigma)`` with probability ``p``, which is the bound that a chance
constraint (Charnes and Cooper, Management Science 1959) holds against the budget. At ``p = (1 + c) / 2`` the bound is ``h``
itself: the upper end of a 90 % interval holds with probability 0.95. A network that was measured takes what it took.
"""

from __future__ import annotations

import math
from statistics import NormalDist

from ..core import InvalidSettingError, Measurement

DEFAULT_PROBABILITY = 0.95
DEFAULT_COVERAGE = 0.9
_NORMAL = NormalDist()


def check_probability(probability: float) -> float:
    """Return a probability that a constraint can ask for.

    Raises:
        InvalidSettingError: If it is not between 0 and 1, both excluded.
    """
    if not 0.0 < probability < 1.0:
        raise InvalidSettingError(
            f"expected a probability between 0 and 1, got {probability}; 0.95 is usual, 0.5 takes the prediction as it is"
        )
    return probability


def bound_ms(answer: Measurement, probability: float = DEFAULT_PROBABILITY) -> float:
    """Return the latency, milliseconds for the whole batch, that a network stays within with a probability.

    Args:
        answer: A prediction with its interval, of 90 % where it states no coverage; one without an interval is taken
            as exact, and so is a measurement.
        probability: Between 0 and 1; 0.5 gives the prediction itself.

    Raises:
        InvalidSettingError: If ``probability`` is out of its range.
    """
    z = _NORMAL.inv_cdf(check_probability(probability))
    return answer.latency_ms * math.exp(z * _sigma(answer, is_above=z > 0))


def probability_of_fit(answer: Measurement, budget_ms: float) -> float:
    """Return the probability that a network takes at most ``budget_ms``; 0 or 1 where its latency is exact."""
    sigma = _sigma(answer, is_above=budget_ms > answer.latency_ms)
    if sigma == 0.0:
        return float(answer.latency_ms <= budget_ms)
    return _NORMAL.cdf(math.log(budget_ms / answer.latency_ms) / sigma)


def _sigma(answer: Measurement, is_above: bool) -> float:
    """Return the standard deviation of log latency on one side of the median."""
    if answer.is_measured or answer.interval_ms is None:
        return 0.0
    low_ms, high_ms = answer.interval_ms
    width = math.log(high_ms / answer.latency_ms) if is_above else math.log(answer.latency_ms / low_ms)
    coverage = DEFAULT_COVERAGE if answer.coverage is None else answer.coverage
    return width / _NORMAL.inv_cdf((1.0 + coverage) / 2.0)
