"""A search that prices many networks, and evaluates those alone that could move what it has found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from ..core import Architecture, GraphView
from ..graphs import OperatorCost, graph_costs
from .accuracy_model import AccuracyModel, Described
from .candidate import Candidate, find_front, rank_distinct
from .problem import SearchProblem
from .samplers import SamplerSetting
from .search_run import OnProgress, SearchRun, read_choices
from .study_storage import StudyStorage

RATED_SHARE = 8
"""Candidates priced for each that is evaluated."""
FIRST_POOL = 8
"""Times the usual number that are priced, at random, before the first evaluation."""
OPTIMISM = 1.0
"""Standard deviations above the expected accuracy that a network is given the benefit of."""
RANDOM_SHARE = 0.25
_WORK = [[field.name for field in fields(OperatorCost)].index(name) for name in ("macs", "params")]
_PARENTS = 32
_TRIES = 4
_Numbers = NDArray[np.float64]


class GuidedRun(SearchRun):
    """Bayesian optimisation in which the latency is known beforehand.

    A price costs next to nothing and an evaluation much, so each step prices random networks and mutants of the best, models
    accuracy from what was evaluated (:class:`AccuracyModel`), and evaluates those of the greatest expected improvement. With
    two objectives it takes those whose accuracy, seen with optimism (an upper confidence bound, Srinivas et al., ICML 2010), would add
    most to the hypervolume at the latency that is known; each that is chosen is believed to be as expected when the next one
    is (Ginsbourger et al., 2010). Both count as often as the network fits the budget (Gardner et al., ICML 2014).

    What was priced and not evaluated is kept in no storage: a search that goes on prices anew.
    """

    def __init__(
        self, problem: SearchProblem, setting: SamplerSetting, storage: StudyStorage, known: Sequence[Candidate], n_jobs: int
    ) -> None:
        super().__init__(problem, setting, storage, [candidate for candidate in known if candidate.accuracy is not None], n_jobs)
        self._priced = {candidate.graph_key: candidate for candidate in known if candidate.accuracy is None}
        self._work: dict[str, NDArray[np.int64]] = {}

    def candidates(self) -> list[Candidate]:
        return [*self.known.values(), *(candidate for key, candidate in self._priced.items() if key not in self.known)]

    def is_over(self) -> bool:
        is_spent = len(self._priced) >= self.problem.max_priced or self.n_asked >= 4 * self.problem.max_priced
        is_idle = self.n_evaluated > 0 and super().is_over()
        return self.n_evaluated >= self.problem.n_trials or ((is_spent or is_idle) and not self._unrated())

    def step(self, on_progress: OnProgress) -> None:
        """Price a batch, and evaluate the most promising of all that were priced."""
        self._price_more()
        study, priced = self._open_study(), []
        for candidate in self._choose():
            study.enqueue_trial(read_choices(self.problem.space, candidate.architecture))
            priced.append((self._propose(study.ask())[0], candidate))
        self._settle(study, priced, lambda _, n_evaluated: on_progress(len(self.candidates()), n_evaluated))

    def _price_more(self) -> None:
        rng = np.random.default_rng([self.problem.seed, 1, self.n_asked, *self._salt])
        wanted = self.setting.n_ask * (1 if self._priced else FIRST_POOL)
        n = min(wanted, self.problem.max_priced - len(self._priced))
        parents, drawn = self._parents(), dict[str, Architecture]()
        for _ in range(_TRIES * n):
            architecture = self._draw(parents, rng)
            self.n_asked += 1
            if self._key(architecture) not in self._priced and self._key(architecture) not in self.known:
                drawn.setdefault(self._key(architecture), architecture)
            if len(drawn) == n:
                break
        architectures = list(drawn.values())
        found = self.problem.price(architectures, [self._graph(architecture) for architecture in architectures])
        self._priced |= {candidate.graph_key: candidate for candidate in found if candidate is not None}

    def _parents(self) -> list[Candidate]:
        rated = [candidate for candidate in self.known.values() if candidate.fits(self.problem.budget_ms)]
        return rank_distinct(rated)[:_PARENTS] if self.setting.n_objectives == 1 else find_front(rated)

    def _draw(self, parents: Sequence[Candidate], rng: np.random.Generator) -> Architecture:
        space = self.problem.space
        if not parents or rng.random() < RANDOM_SHARE:
            return space.sample(rng)
        mutant = space.mutate(parents[int(rng.integers(len(parents)))].architecture, rng)
        return space.mutate(mutant, rng) if rng.random() < 0.5 else mutant

    def _unrated(self) -> list[Candidate]:
        rated_now = self.record.claimed_elsewhere() if self.record is not None else ()
        return [
            candidate
            for key, candidate in self._priced.items()
            if key not in self.known and key not in rated_now and candidate.fits(self.problem.budget_ms)
        ]

    def _choose(self) -> list[Candidate]:
        """Return those to evaluate next; before anything is known of accuracies, the first that were drawn."""
        n = min(max(1, self.setting.n_ask // RATED_SHARE), self.problem.n_trials - self.n_evaluated)
        unrated, rated = self._unrated(), [candidate for candidate in self.known.values() if candidate.accuracy is not None]
        if len(rated) < 2 or not unrated:
            return unrated[:n]
        shown = list({c.graph_key: c for c in [*rank_distinct(rated)[: self.setting.memory // 3], *reversed(rated)]}.values())
        shown = shown[: self.setting.memory]
        model = AccuracyModel.fit(self._describe(shown), np.array([candidate.accuracy for candidate in shown], dtype=np.float64))
        mean, deviation = model.predict(self._describe(unrated))
        chance = np.array([1.0 if candidate.fit_probability is None else candidate.fit_probability for candidate in unrated])
        fitting = [candidate for candidate in rated if candidate.fits(self.problem.budget_ms)]
        if self.setting.n_objectives == 1:
            best = max((candidate.accuracy or 0.0 for candidate in fitting), default=float(mean.min()))
            gain = chance * expected_improvement(mean, deviation, best)
            return [unrated[i] for i in np.argsort(-gain, kind="stable")[:n]]
        return [unrated[i] for i in choose_for_front(unrated, mean, deviation, chance, fitting, self.problem.budget_ms, n)]

    def _describe(self, candidates: Sequence[Candidate]) -> Described:
        """Return choices, multiply-accumulates, parameters and latencies, which are all known before an evaluation.

        Work is counted in the network that an engine runs: what is multiplied by zero learns nothing.
        """
        fresh = [candidate for candidate in candidates if candidate.graph_key not in self._work]
        costs = graph_costs([self.problem.space.graph(candidate.architecture, GraphView.OPTIMISED) for candidate in fresh])[:, _WORK]
        self._work |= {candidate.graph_key: row for candidate, row in zip(fresh, costs, strict=True)}
        work = np.array([self._work[candidate.graph_key] for candidate in candidates], dtype=np.float64)
        codes = np.array([candidate.architecture.code for candidate in candidates], dtype=np.int64)
        return Described(codes, np.column_stack([1.0 + work, [candidate.predicted_ms for candidate in candidates]]))


def choose_for_front(
    unrated: Sequence[Candidate],
    mean: _Numbers,
    deviation: _Numbers,
    chance: _Numbers,
    rated: Sequence[Candidate],
    budget_ms: float,
    n: int,
) -> list[int]:
    """Return the positions of ``n`` networks, one after the other that which would add most to the hypervolume.

    Args:
        unrated: m networks that fit.
        mean: Their expected accuracies, float64, shape (m,).
        deviation: Standard deviations, float64, shape (m,).
        chance: Probabilities that they fit, float64, shape (m,).
        rated: Networks whose accuracies are known.
        budget_ms: The latency at which the hypervolume ends.
        n: How many.
    """
    times = np.array([candidate.predicted_ms for candidate in unrated])
    steps = [(candidate.predicted_ms, candidate.accuracy or 0.0) for candidate in find_front(rated) if candidate.predicted_ms < budget_ms]
    chosen: list[int] = []
    for _ in range(min(n, len(unrated))):
        gain = chance * added_hypervolume(times, mean + OPTIMISM * deviation, sorted(steps), budget_ms)
        gain[chosen] = -1.0
        best = int(np.argmax(gain))
        chosen.append(best)
        steps.append((float(times[best]), float(mean[best])))
    return chosen


def expected_improvement(mean: _Numbers, deviation: _Numbers, best: float) -> _Numbers:
    """Return by how much normal variables are expected to exceed ``best``, float64, shape (m,) (Jones et al., 1998, equation 15)."""
    z = (mean - best) / deviation
    return np.asarray(deviation * (z * ndtr(z) + np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi)))


def added_hypervolume(times: _Numbers, accuracy: _Numbers, steps: Sequence[tuple[float, float]], budget_ms: float) -> _Numbers:
    """Return what each of m networks would add to the area under the best accuracy by latency, float64, shape (m,).

    Args:
        times: Latencies, float64, shape (m,), milliseconds.
        accuracy: Accuracies, float64, shape (m,).
        steps: ``(latency, accuracy)`` of what is there, fastest first.
        budget_ms: Where the area ends.
    """
    starts = np.array([0.0, *(time for time, _ in steps), budget_ms])
    level = np.maximum.accumulate([0.0, *(reached for _, reached in steps)])
    lengths = np.maximum(0.0, starts[1:] - np.maximum(starts[:-1], times[:, None]))
    return np.asarray((lengths * np.maximum(0.0, accuracy[:, None] - level)).sum(1))
