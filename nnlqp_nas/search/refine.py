"""Verify, refine, search on: the best networks are measured, and what was measured improves the predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..core import InvalidSettingError, LatencyOracle, LatencyPredictor, LatencyTable, Measurement, MeasurementFailure, ModelGraph, Source
from ..oracles import PredictedOracle
from .candidate import Candidate, find_front
from .optuna_search import OptunaSearch
from .problem import SearchProblem
from .search_run import OnProgress
from .study_storage import StudyStorage

Answer = Measurement | MeasurementFailure
LEAST_CHANCE = 0.05
"""A network that fits less probably is not worth a measurement."""


@dataclass(frozen=True)
class Refined:
    """What is known after verification.

    Attributes:
        problem: The problem, its oracle the last predictions.
        candidates: All that was priced, by the last predictions.
        measured: What measuring told, by graph key, in the order of measuring; failures too, and the samples among the
            candidates, which were measured before.
        n_rounds: How often the search went on from refined predictions.
        is_steady: True where nothing that may fit is more accurate than the best verified network; False where
            the measurements were spent before.
    """

    problem: SearchProblem
    candidates: list[Candidate]
    measured: Mapping[str, Answer]
    n_rounds: int
    is_steady: bool

    @property
    def best(self) -> Candidate | None:
        """The most accurate network that truly fits, the fastest of equals; None where none was verified to fit."""
        return _best_verified(self.candidates, self.measured, self.problem)


@dataclass(frozen=True)
class RefiningSearch:
    """Searches, measures the best, learns from that, and searches on.

    In each round the networks with the largest expected gain are measured: the gain in accuracy over the best that was
    verified, times the probability that they fit (constrained expected improvement, Gardner et al., ICML 2014, where
    the accuracy is known). Then the predictor adapts to everything measured so far, all candidates are priced
    anew, and as long as something more can be measured the search goes on from there. It ends when the measurements
    are spent, or when no network that may fit is more accurate than the best verified one; then the measurements left
    go to the rest of the predicted front, the most accurate first.

    Args:
        search: Searches.
        truth: Measures model graphs on the platform.
        n_measurements: Most networks to measure; 0 leaves all unverified.
        n_at_once: Networks measured before the predictions are refined.
        n_more: Further evaluations of accuracy in each round.

    Raises:
        InvalidSettingError: If a number is out of its range.
    """

    search: OptunaSearch
    truth: LatencyOracle
    n_measurements: int = 10
    n_at_once: int = 3
    n_more: int = 50

    def __post_init__(self) -> None:
        if self.n_measurements < 0 or self.n_at_once < 1 or self.n_more < 0:
            raise InvalidSettingError(
                "expected n_measurements >= 0, n_at_once >= 1 and n_more >= 0, "
                f"got {self.n_measurements}, {self.n_at_once} and {self.n_more}"
            )

    def run(
        self,
        problem: SearchProblem,
        predictor: LatencyPredictor | None = None,
        samples: LatencyTable | None = None,
        storage: StudyStorage | None = None,
        on_progress: OnProgress | None = None,
        on_result: Callable[[Answer], None] | None = None,
    ) -> Refined:
        """Search until the best verified network is steady or the measurements are spent.

        Started again on the same storage it goes through the same rounds, reads what was evaluated from there, and ``truth``,
        if it keeps what it measures, measures nothing again.

        Args:
            problem: Its oracle tells the first predictions.
            predictor: Adapts to what was measured; None keeps the predictions, and only verifies.
            samples: What the first predictions were adapted to; adapted to again, with what is measured. Without them
                a refined predictor would know less than the first one: then the predictions are kept too.
            storage: Keeps the trials of each round in a study of its own.
            on_progress: Called with the numbers of candidates priced and rated so far.
            on_result: Called with each measurement.
        """
        storage = storage or StudyStorage()
        candidates = self.search.run(problem, storage, on_progress)
        measured: dict[str, Answer] = {}
        n_rounds = n_spent = 0
        while (n_left := self.n_measurements - n_spent) > 0:
            measured |= _already_measured(candidates, samples)
            chosen = choose_to_measure(candidates, measured, problem)[: min(self.n_at_once, n_left)]
            if not chosen:
                chosen = _rest_of_front(candidates, measured, problem)[:n_left]
                self._measure(chosen, problem, measured, on_result)
                break
            self._measure(chosen, problem, measured, on_result)
            n_spent += len(chosen)
            if predictor is not None and samples is not None and len(samples):
                problem = replace(problem, oracle=_refined(predictor, samples, measured, problem, candidates))
                candidates = reprice(candidates, problem)
                if n_spent < self.n_measurements:
                    n_rounds += 1
                    candidates = self._search_on(problem, candidates, storage, n_rounds, on_progress)
        is_steady = not choose_to_measure(candidates, measured, problem)
        return Refined(problem, candidates, measured, n_rounds, is_steady)

    def _measure(
        self,
        chosen: Sequence[Candidate],
        problem: SearchProblem,
        measured: dict[str, Answer],
        on_result: Callable[[Answer], None] | None,
    ) -> None:
        for candidate in chosen:
            answer = self.truth.query([_graph(candidate, problem)], problem.batch_size)[0]
            measured[candidate.graph_key] = answer
            if on_result is not None:
                on_result(answer)

    def _search_on(
        self, problem: SearchProblem, known: Sequence[Candidate], storage: StudyStorage, n_rounds: int, on_progress: OnProgress | None
    ) -> list[Candidate]:
        n_rated = sum(candidate.accuracy is not None for candidate in known)
        n_trials, max_priced = max(1, n_rated + self.n_more), len(known) + 4 * self.n_more
        further = replace(problem, n_trials=n_trials, max_priced=max_priced)
        round_storage = replace(storage, name=f"{storage.name}-{n_rounds}")
        return self.search.run(further, round_storage, on_progress, known)


def choose_to_measure(candidates: Sequence[Candidate], measured: Mapping[str, Answer], problem: SearchProblem) -> list[Candidate]:
    """Return the rated candidates worth a measurement, the largest expected gain first; of equals, the one that fits most probably."""
    best = _best_verified(candidates, measured, problem)
    floor = 0.0 if best is None or best.accuracy is None else best.accuracy
    gains = []
    for candidate in candidates:
        if candidate.accuracy is None or candidate.graph_key in measured or any(excess > 0.0 for excess in candidate.excess.values()):
            continue
        chance = float(candidate.fits(problem.budget_ms)) if candidate.fit_probability is None else candidate.fit_probability
        gain = chance * (candidate.accuracy - floor)
        if chance >= LEAST_CHANCE and (gain > 0 or best is None):
            gains.append((-gain, -chance, candidate.architecture.code, candidate))
    return [entry[-1] for entry in sorted(gains, key=lambda entry: entry[:3])]


def reprice(candidates: Sequence[Candidate], problem: SearchProblem) -> list[Candidate]:
    """Return the candidates as the problem's oracle prices them now, accuracies kept; those it cannot price stay as they are."""
    architectures = [candidate.architecture for candidate in candidates]
    fresh = problem.price(architectures, [_graph(candidate, problem) for candidate in candidates])
    return [old if new is None else replace(new, accuracy=old.accuracy) for old, new in zip(candidates, fresh, strict=True)]


def _refined(
    predictor: LatencyPredictor,
    samples: LatencyTable,
    measured: Mapping[str, Answer],
    problem: SearchProblem,
    candidates: Sequence[Candidate],
) -> LatencyOracle:
    """Return the predictions of the predictor adapted to the samples and to what was measured since."""
    known = {candidate.graph_key: candidate for candidate in candidates}
    old = {graph.key for graph in samples.graphs}
    truths = [(known[key], a) for key, a in measured.items() if key not in old and isinstance(a, Measurement) and a.is_measured]
    graphs = [*samples.graphs, *(_graph(candidate, problem) for candidate, _ in truths)]
    latency_ms = np.concatenate([samples.latency_ms, [answer.latency_ms for _, answer in truths]])
    return PredictedOracle(predictor.adapt(problem.platform, graphs, latency_ms, problem.batch_size), problem.platform)


def _already_measured(candidates: Sequence[Candidate], samples: LatencyTable | None) -> dict[str, Answer]:
    """Return what is known of rated candidates that are among the samples: they need not be measured again."""
    rated = {candidate.graph_key for candidate in candidates if candidate.accuracy is not None}
    pairs = zip(samples.graphs, samples.latency_ms.tolist(), strict=True) if samples is not None else ()
    return {
        graph.key: Measurement(
            graph_key=graph.key,
            platform=samples.platform,
            batch_size=samples.batch_size,
            latency_ms=latency_ms,
            source=Source.DATABASE,
        )
        for graph, latency_ms in pairs
        if samples is not None and graph.key in rated
    }


def _best_verified(candidates: Sequence[Candidate], measured: Mapping[str, Answer], problem: SearchProblem) -> Candidate | None:
    verified = [c for c in candidates if c.accuracy is not None and c.true_ms(measured.get(c.graph_key)) is not None]
    fitting = [candidate for candidate in verified if candidate.is_within(problem.budget_ms, measured[candidate.graph_key])]
    return min(fitting, key=lambda c: (-(c.accuracy or 0.0), c.true_ms(measured[c.graph_key]) or 0.0), default=None)


def _rest_of_front(candidates: Sequence[Candidate], measured: Mapping[str, Answer], problem: SearchProblem) -> list[Candidate]:
    front = find_front([candidate for candidate in candidates if candidate.fits(problem.budget_ms)])
    return [candidate for candidate in reversed(front) if candidate.graph_key not in measured]


def _graph(candidate: Candidate, problem: SearchProblem) -> ModelGraph:
    return problem.space.graph(candidate.architecture, problem.platform.view)
