"""What a latency-constrained search is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..core import Architecture, InvalidSettingError, LatencyOracle, MeasurementFailure, ModelGraph, Platform, SearchSpace
from ..quality import Quality
from .budget import Budget, check_limit
from .candidate import Candidate
from .chance import DEFAULT_PROBABILITY, bound_ms, check_probability, probability_of_fit


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
        probability: With which a network has to fit the latency budget; see :mod:`nnlqp_nas.search.chance`. At the
            default the upper end of a 90 % interval has to.
        budgets: What else a network has to fit: latency on further platforms, MACs, parameters, size.

    Raises:
        InvalidSettingError: If a number is out of its range, or two budgets are of one thing.
    """

    space: SearchSpace
    oracle: LatencyOracle
    quality: Quality
    budget_ms: float
    n_trials: int = 1000
    max_priced: int = 5000
    batch_size: int = 1
    seed: int = 0
    probability: float = DEFAULT_PROBABILITY
    budgets: tuple[Budget, ...] = ()

    def __post_init__(self) -> None:
        check_limit("budget_ms", self.budget_ms)
        check_probability(self.probability)
        names = [f"{self.platform} latency_ms", *(budget.name for budget in self.budgets)]
        if len(set(names)) < len(names):
            raise InvalidSettingError(f"expected budgets of different things, got {', '.join(names)}; keep the tighter one of each")
        for name in ("n_trials", "max_priced", "batch_size"):
            if getattr(self, name) < 1:
                raise InvalidSettingError(f"expected {name} >= 1, got {getattr(self, name)}")
        if self.seed < 0:
            raise InvalidSettingError(f"expected seed >= 0, got {self.seed}")

    @property
    def platform(self) -> Platform:
        """Where the networks have to be fast."""
        return self.oracle.platform

    def price(self, architectures: Sequence[Architecture], graphs: Sequence[ModelGraph]) -> list[Candidate | None]:
        """Ask the oracle, and every budget, about networks.

        Args:
            architectures: n members of the space.
            graphs: Their n graphs, in the view of the platform.

        Returns:
            n candidates without accuracies; None where the oracle could not tell.
        """
        if not graphs:
            return []
        answers = self.oracle.query(graphs, self.batch_size)
        uses = [budget.price(self.space, architectures, self.batch_size) for budget in self.budgets]
        candidates: list[Candidate | None] = []
        for i, (architecture, answer) in enumerate(zip(architectures, answers, strict=True)):
            if isinstance(answer, MeasurementFailure):
                candidates.append(None)
                continue
            interval_ms = answer.interval_ms or (answer.latency_ms, answer.latency_ms)
            mine = {budget.name: use[i] for budget, use in zip(self.budgets, uses, strict=True)}
            candidates.append(
                Candidate(
                    architecture,
                    graphs[i].key,
                    answer.latency_ms,
                    interval_ms,
                    bound_ms=bound_ms(answer, self.probability),
                    fit_probability=probability_of_fit(answer, self.budget_ms),
                    uses={name: use.value for name, use in mine.items() if use is not None},
                    excess={budget.name: budget.excess(mine[budget.name]) for budget in self.budgets},
                )
            )
        return candidates

    def facts(self) -> dict[str, Any]:
        """Return what the search is about, JSON types only; what is as usual is not named."""
        facts = {"space": self.space.name, "platform": str(self.platform), "budget_ms": self.budget_ms, "seed": self.seed}
        if self.probability != DEFAULT_PROBABILITY:
            facts["probability"] = self.probability
        if self.budgets:
            facts["budgets"] = {budget.name: budget.limit for budget in self.budgets}
        return facts
