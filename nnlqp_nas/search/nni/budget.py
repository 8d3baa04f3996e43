"""A latency budget for NNI's strategies, of one shot and of many trials."""

from __future__ import annotations

import math
from typing import Any

from nni.nas.oneshot.pytorch.profiler import RangeProfilerFilter
from nni.nas.profiler import Profiler
from nni.nas.strategy import Strategy
from nni.nas.strategy.middleware import Chain, Filter

from ...core import InvalidSettingError


def within_budget(profiler: Profiler, budget_ms: float) -> RangeProfilerFilter:
    """Return the filter of samples that one-shot strategies take, such as ``RandomOneShot(filter=...)``.

    A one-shot strategy looks at the filter while it trains; look at what it exports again.

    Raises:
        InvalidSettingError: If ``budget_ms`` is not a finite number above 0.
    """
    if not (math.isfinite(budget_ms) and budget_ms > 0):
        raise InvalidSettingError(f"expected budget_ms > 0, got {budget_ms}")
    return RangeProfilerFilter(profiler, max=budget_ms)


def keep_within_budget(strategy: Strategy, profiler: Profiler, budget_ms: float, patience: int = 1000) -> Chain:
    """Return a strategy of many trials whose models above the budget are never evaluated.

    They do not count towards the number of models either.

    Args:
        strategy: Any multi-trial strategy, such as ``RegularizedEvolution``; an object runs once.
        profiler: Tells latencies of samples.
        budget_ms: Largest latency allowed.
        patience: The search ends when so many models in a row were above the budget.

    Raises:
        InvalidSettingError: If ``budget_ms`` is not a finite number above 0.
    """
    return Chain(strategy, Filter(_BudgetOfModels(within_budget(profiler, budget_ms)), patience=patience))


class _BudgetOfModels:
    """The filter of samples, asked about models: NNI writes it into its logs, so it has a name."""

    def __init__(self, of_samples: RangeProfilerFilter) -> None:
        self._of_samples = of_samples

    def __call__(self, model: Any) -> bool:
        return bool(self._of_samples(model.sample))

    def __repr__(self) -> str:
        return f"latency <= {self._of_samples.max_value:g} ms"
