"""What a search has to keep to besides its latency budget, from the command's settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..core import InvalidSettingError, LatencyPredictor, Platform

if TYPE_CHECKING:
    from ..search import Budget


def check_budgets(settings: Any) -> None:
    """Accept the settings ``probability``, ``limits`` and ``platforms_ms``.

    Raises:
        UnknownPlatformError: If a platform is not known.
        InvalidSettingError: If a number is out of its range.
    """
    from ..search.chance import check_probability

    if not _is_number(settings.probability):
        raise InvalidSettingError(f"expected a probability between 0 and 1, got {settings.probability}")
    check_probability(settings.probability)
    for name, limit in settings.limits.items():
        if limit is not None and not (_is_number(limit) and 0 < limit < float("inf")):
            raise InvalidSettingError(f"expected limits.{name} > 0, or null for none, got {limit}")
    further_ms(settings)


def make_budgets(settings: Any, predictor: LatencyPredictor) -> tuple[Budget, ...]:
    """Return the budgets besides latency on the platform of the search.

    Args:
        settings: Of the command.
        predictor: Tells latencies on the further platforms.

    Raises:
        UnknownPlatformError: If ``predictor`` does not know a further platform.
    """
    from ..oracles import PredictedOracle
    from ..search import CostBudget, LatencyBudget

    costs = [CostBudget(name, float(limit)) for name, limit in settings.limits.items() if limit is not None]
    times = [LatencyBudget(PredictedOracle(predictor, p), limit_ms, settings.probability) for p, limit_ms in further_ms(settings).items()]
    return (*costs, *times)


def further_ms(settings: Any) -> dict[Platform, float]:
    """Return the latency budgets on further platforms.

    Raises:
        UnknownPlatformError: If a platform is not known.
        InvalidSettingError: If a budget is not finite and positive.
    """
    from ..api import resolve_platform

    stated = settings.platforms_ms or {}
    if isinstance(stated, (str, int, float)):
        raise InvalidSettingError(f"expected platforms_ms={{PLATFORM: MILLISECONDS}}, got {stated}")
    for name, limit_ms in stated.items():
        if not (_is_number(limit_ms) and 0 < limit_ms < float("inf")):
            raise InvalidSettingError(f"expected platforms_ms.{name} > 0, got {limit_ms}")
    return {resolve_platform(name): float(limit_ms) for name, limit_ms in stated.items()}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
