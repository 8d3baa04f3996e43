"""What a latency-constrained search is asked."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..core import InvalidSettingError, LatencyOracle, Platform, SearchSpace
from ..quality import Quality


@dataclass(frozen=True)
class SearchProblem:
    """Find the most accurate members of a space that run within a budget on a platform.

    Attributes:
        space: Where to search.
        oracle: Tells latencies of model graphs; its platform is the problem's.
        quality: Tells what to maximise; it may be as slow as training.
        budget_ms: Largest latency allowed, milliseconds for the whole batch.
        n_trials: Number of evaluations of ``quality``; candidates above the budget do not count.
        max_priced: The search ends when this many candidates have been proposed and priced.
        batch_size: Inputs per run of a network.
        seed: Seed of every random choice.
    """

    space: SearchSpace
    oracle: LatencyOracle
    quality: Quality
    budget_ms: float
    n_trials: int = 1000
    max_priced: int = 5000
    batch_size: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.budget_ms) and self.budget_ms > 0):
            raise InvalidSettingError(f"expected budget_ms > 0, got {self.budget_ms}")
        for name in ("n_trials", "max_priced", "batch_size"):
            if getattr(self, name) < 1:
                raise InvalidSettingError(f"expected {name} >= 1, got {getattr(self, name)}")
        if self.seed < 0:
            raise InvalidSettingError(f"expected seed >= 0, got {self.seed}")

    @property
    def platform(self) -> Platform:
        """Where the networks have to be fast."""
        return self.oracle.platform
