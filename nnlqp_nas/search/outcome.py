"""What a search found, as it is written to ``outcome.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

from ..core import InvalidSettingError, Measurement, MeasurementFailure, SearchSpace
from .candidate import Candidate, find_front, find_hypervolume, rank_distinct
from .chance import DEFAULT_PROBABILITY
from .problem import SearchProblem


@dataclass(frozen=True, slots=True)
class Finding:
    """One network that a search found.

    Attributes:
        architecture: In the published notation of its space.
        key: Its key, as ``Architecture.from_key`` reads it.
        accuracy: Its quality, as the search was told.
        predicted_ms: Latency the oracle told, milliseconds for the whole batch.
        interval_ms: ``(low, high)`` the oracle told.
        measured_ms: True latency, or None where it was not measured.
        within_budget: By the true latency where there is one, else by the upper end of the interval.
        is_pareto: True where no network found is at least as accurate and faster by prediction.
        uses: What it takes of further budgets, by their names.
        fit_probability: That it is within the latency budget, by prediction.
        failure: Why it could not be measured, where that was tried.
    """

    architecture: Any
    key: str
    accuracy: float
    predicted_ms: float
    interval_ms: tuple[float, float]
    measured_ms: float | None
    within_budget: bool
    is_pareto: bool
    uses: Mapping[str, float] = field(default_factory=dict, hash=False)
    fit_probability: float | None = None
    failure: str | None = None

    @classmethod
    def of(
        cls,
        candidate: Candidate,
        space: SearchSpace,
        budget_ms: float,
        is_pareto: bool,
        answer: Measurement | MeasurementFailure | None = None,
    ) -> Finding:
        """Return the finding of a rated candidate, with what measuring it told."""
        if candidate.accuracy is None:
            raise InvalidSettingError(f"expected a candidate with an accuracy, got {candidate.architecture.key} without one")
        return cls(
            architecture=space.encode(candidate.architecture),
            key=candidate.architecture.key,
            accuracy=candidate.accuracy,
            predicted_ms=candidate.predicted_ms,
            interval_ms=candidate.interval_ms,
            measured_ms=candidate.true_ms(answer),
            within_budget=candidate.is_within(budget_ms, answer),
            is_pareto=is_pareto,
            uses=dict(candidate.uses),
            fit_probability=candidate.fit_probability,
            failure=f"{answer.stage}: {answer.reason}" if isinstance(answer, MeasurementFailure) else None,
        )

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary of JSON types; what was not asked for is left out."""
        document = {**asdict(self), "interval_ms": list(self.interval_ms)}
        usual: dict[str, Any] = {"uses": {}, "fit_probability": None, "failure": None}
        return {name: value for name, value in document.items() if name not in usual or value != usual[name]}


@dataclass(frozen=True, slots=True)
class SearchOutcome:
    """The result of a search: what was asked, what it took, what it found.

    Guarantees: ``from_json(to_json())`` gives the same value; the front is in order of
    predicted latency and holds the Pareto-optimal networks, the most accurate ones and all that were measured.

    Attributes:
        space: Name of the search space.
        platform: Platform of the latencies.
        budget_ms: Largest latency allowed.
        seed: Seed of the search.
        n_priced: Candidates that the oracle was asked about.
        n_evaluated: Candidates whose accuracy was evaluated.
        front: The findings.
        seconds: Wall-clock seconds by phase.
        probability: With which a network had to fit the latency budget.
        budgets: Limits of further budgets, by their names.
        hypervolume: Area that the front dominates, accuracy times milliseconds, down to accuracy 0 at ``budget_ms``; None where
            it was not computed.
        unverified: Why nothing was measured; None where something was, or nothing was to be.
    """

    space: str
    platform: str
    budget_ms: float
    seed: int
    n_priced: int
    n_evaluated: int
    front: tuple[Finding, ...]
    seconds: Mapping[str, float] = field(default_factory=dict)
    probability: float = DEFAULT_PROBABILITY
    budgets: Mapping[str, float] = field(default_factory=dict)
    hypervolume: float | None = None
    unverified: str | None = None

    @classmethod
    def of(
        cls,
        problem: SearchProblem,
        candidates: Sequence[Candidate],
        k: int,
        seconds: Mapping[str, float],
        measured: Mapping[str, Measurement | MeasurementFailure] = MappingProxyType({}),
        unverified: str | None = None,
    ) -> SearchOutcome:
        """Summarise the candidates of a search: Pareto front, the ``k`` most accurate networks, and those measured.

        Args:
            problem: What was searched.
            candidates: All that was priced.
            k: Number of networks besides the front; those that are within the budget, by measurement or prediction.
            seconds: Wall-clock seconds by phase.
            measured: What measuring told, by graph key.
            unverified: Why nothing was measured though it should have been.
        """
        rated = rank_distinct(candidates)
        within = [c for c in rated if c.is_within(problem.budget_ms, measured.get(c.graph_key))]
        optimal = {candidate.architecture for candidate in find_front(within)}
        tried = [candidate for candidate in rated if candidate.graph_key in measured]
        chosen = {c.architecture: c for c in [*(c for c in within if c.architecture in optimal), *within[:k], *tried]}
        ordered = sorted(chosen.values(), key=lambda c: (c.predicted_ms, c.architecture.code))
        front = tuple(
            Finding.of(c, problem.space, problem.budget_ms, c.architecture in optimal, measured.get(c.graph_key)) for c in ordered
        )
        return cls(
            space=problem.space.name,
            platform=str(problem.platform),
            budget_ms=problem.budget_ms,
            seed=problem.seed,
            n_priced=len(candidates),
            n_evaluated=len(rated),
            front=front,
            seconds=dict(seconds),
            probability=problem.probability,
            budgets={budget.name: budget.limit for budget in problem.budgets},
            hypervolume=find_hypervolume(within, problem.budget_ms),
            unverified=unverified,
        )

    @property
    def verified(self) -> tuple[Finding, ...]:
        """The findings with a true measurement, most accurate first."""
        measured = [finding for finding in self.front if finding.measured_ms is not None]
        return tuple(sorted(measured, key=lambda finding: -finding.accuracy))

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary of JSON types; what stands as usual, and was not in the first version, is left out."""
        document = asdict(self)
        document["front"] = [finding.to_json() for finding in self.front]
        document["seconds"] = {phase: round(seconds, 3) for phase, seconds in self.seconds.items()}
        usual = {"probability": DEFAULT_PROBABILITY, "budgets": {}, "hypervolume": None, "unverified": None}
        return {name: value for name, value in document.items() if name not in usual or value != usual[name]}

    @classmethod
    def from_json(cls, document: dict[str, Any] | str) -> SearchOutcome:
        """Read what :meth:`to_json` wrote, or its text.

        Raises:
            InvalidSettingError: If a field is missing or unknown.
        """
        try:
            fields = dict(json.loads(document) if isinstance(document, str) else document)
            front = tuple(Finding(**{**finding, "interval_ms": tuple(finding["interval_ms"])}) for finding in fields.pop("front"))
            return cls(**fields, front=front)
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidSettingError(f"expected the outcome.json of a search, got something else: {error}") from error
