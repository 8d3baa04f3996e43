"""Regularised evolution as a sampler of Optuna."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.samplers import BaseSampler, RandomSampler
from optuna.search_space import IntersectionSearchSpace
from optuna.study import StudyDirection
from optuna.trial import TrialState

from ..core import InvalidSettingError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import FrozenTrial

Accepts = Callable[[Mapping[str, Any]], bool]


@dataclass(frozen=True)
class _Plan:
    """What a running trial inherits, and the parameter that it does not."""

    inherited: Mapping[str, Any]
    mutated: str | None


class RegularisedEvolutionSampler(BaseSampler):
    """Ageing evolution (Real et al., AAAI 2019, arXiv 1802.01548) that stays in the feasible region.

    The population is the newest trials that meet all constraints, so the oldest die and not the
    worst. A few of it are drawn, and the best of these has a child that differs from it in one
    parameter. Constraints are those that trials set (``trial.set_constraint``): one that violates
    any is never a parent as long as there is one that does not; before, the parents are those that
    violate least. With several objectives, the best are those of the drawn that no other of them
    dominates.

    A parameter that only some trials have is inherited where the parent has it and its range
    still holds the value; else it is drawn at random.

    >>> sampler = RegularisedEvolutionSampler(population_size=50, tournament_size=10, seed=0)
    >>> study = optuna.create_study(direction="maximize", sampler=sampler)

    Args:
        population_size: Trials that are alive; as many are drawn at random first.
        tournament_size: Members drawn, with replacement, for each child.
        accepts: Tells cheaply, before a trial runs, whether parameters are worth it, such as whether their
            network fits a latency budget; children are drawn anew until it says so.
        n_tries: Children drawn at most; the last one is taken even if ``accepts`` refused it.
        seed: Seed of every random choice.

    Raises:
        InvalidSettingError: If a size or ``n_tries`` is below 1.
    """

    def __init__(
        self,
        population_size: int = 64,
        tournament_size: int = 16,
        accepts: Accepts | None = None,
        n_tries: int = 64,
        seed: int | None = None,
    ) -> None:
        if min(population_size, tournament_size, n_tries) < 1:
            raise InvalidSettingError(
                "expected population_size, tournament_size and n_tries >= 1, "
                f"got {population_size}, {tournament_size} and {n_tries}; see the paper for sizes of 100 and 25"
            )
        self._population_size = population_size
        self._tournament_size = tournament_size
        self._accepts = accepts
        self._n_tries = n_tries
        self._rng = np.random.default_rng(seed)
        self._random = RandomSampler(seed)
        self._common = IntersectionSearchSpace(include_pruned=True)
        self._plans: dict[int, _Plan] = {}

    def reseed_rng(self) -> None:
        self._rng = np.random.default_rng()
        self._random.reseed_rng()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:  # noqa: ARG002 - Optuna's
        return self._common.calculate(study)

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        told = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        parents = self._choose_parents(told) if len(told) >= self._population_size else []
        child: dict[str, Any] = {}
        # Of the first trial no parameter is known yet.
        accepts = self._accepts if search_space else None
        for _ in range(self._n_tries):
            plan = self._plan_child(study, parents)
            child = {name: self._draw(study, trial, plan, name, distribution) for name, distribution in search_space.items()}
            self._plans[trial.number] = plan
            if accepts is None or accepts({**plan.inherited, **child}):
                break
        return child

    def sample_independent(self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution) -> Any:
        plan = self._plans.get(trial.number, _Plan({}, None))
        return self._draw(study, trial, plan, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:  # noqa: ARG002
        self._plans.pop(trial.number, None)

    def _choose_parents(self, told: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        newest = (trial for trial in reversed(told) if trial.state is TrialState.COMPLETE and _violation(trial) == 0.0)
        alive = list(islice(newest, self._population_size))
        if alive:
            return alive[::-1]
        return sorted(told, key=_violation)[: self._population_size]

    def _plan_child(self, study: Study, parents: Sequence[FrozenTrial]) -> _Plan:
        if not parents:
            return _Plan({}, None)
        drawn = [parents[i] for i in self._rng.integers(len(parents), size=self._tournament_size)]
        best = _best(drawn, study.directions)
        parent = best[int(self._rng.integers(len(best)))]
        free = [name for name, distribution in parent.distributions.items() if not distribution.single()]
        return _Plan(parent.params, free[int(self._rng.integers(len(free)))] if free else None)

    def _draw(self, study: Study, trial: FrozenTrial, plan: _Plan, name: str, distribution: BaseDistribution) -> Any:
        """Return the inherited value, or another one where the parameter is to mutate or nothing can be inherited."""
        is_inherited = name in plan.inherited and _holds(distribution, plan.inherited[name])
        if is_inherited and (name != plan.mutated or distribution.single()):
            return plan.inherited[name]
        while True:
            value = self._random.sample_independent(study, trial, name, distribution)
            if not is_inherited or value != plan.inherited[name]:
                return value


def _holds(distribution: BaseDistribution, value: Any) -> bool:
    try:
        return distribution._contains(distribution.to_internal_repr(value))
    except ValueError:  # no choice of a categorical one
        return False


def _violation(trial: FrozenTrial) -> float:
    """Return by how much a trial violates its constraints in all; a pruned one without constraints tells nothing, and ranks last."""
    if not trial.constraints and trial.state is TrialState.PRUNED:
        return float("inf")
    return float(sum(max(0.0, value) for value in trial.constraints.values()))


def _best(trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]) -> list[FrozenTrial]:
    """Return the trials that no other one dominates; of trials without values, those that violate least."""
    rated = [trial for trial in trials if trial.values is not None and _violation(trial) == 0.0]
    if not rated:
        least = min(map(_violation, trials))
        return [trial for trial in trials if _violation(trial) == least]
    signs = np.array([1.0 if direction == StudyDirection.MAXIMIZE else -1.0 for direction in directions])
    scores = signs * np.array([trial.values for trial in rated])
    better = (scores[:, None] >= scores[None]).all(-1) & (scores[:, None] > scores[None]).any(-1)
    return [trial for trial, is_dominated in zip(rated, better.any(0), strict=True) if not is_dominated]
