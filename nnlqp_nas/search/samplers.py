"""Optuna's samplers as this search drives them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..core import InvalidSettingError, UnknownNameError

if TYPE_CHECKING:
    import optuna

SAMPLERS = ("nsga2", "random", "tpe")


@dataclass(frozen=True)
class SamplerSetting:
    """Which sampler proposes candidates, and what it is shown of those before.

    TPE's time grows with the square of the trials it sees, so it is shown a window: the best
    trials and the newest ones. It learns from pruned trials that violate a constraint; NSGA-II
    sees completed trials alone and compares infeasible ones by their violation, so there a
    candidate above the budget completes with the worst accuracy, which nothing reads.

    Attributes:
        name: ``tpe`` (Watanabe, arXiv 2304.11127), ``nsga2`` (Deb et al., 2002) or ``random``.
        n_objectives: 1: accuracy, the budget a constraint; 2: accuracy and latency.
        n_ask: Candidates proposed at a time and priced in one query.
        memory: Trials TPE is shown.
        has_mutants: Whether a mutant of one of the best takes the place of a candidate proposed before.

    Raises:
        UnknownNameError: If ``name`` is none of these.
        InvalidSettingError: If a number is out of its range.
    """

    name: str = "tpe"
    n_objectives: int = 1
    n_ask: int = 64
    memory: int = 200
    has_mutants: bool = True

    def __post_init__(self) -> None:
        if self.name not in SAMPLERS:
            raise UnknownNameError.among("sampler", self.name, SAMPLERS)
        if self.n_objectives not in (1, 2) or self.n_ask < 1 or self.memory < 1:
            raise InvalidSettingError(f"expected 1 or 2 objectives, n_ask >= 1 and memory >= 1, got {self}")

    @property
    def is_genetic(self) -> bool:
        """True where the sampler needs every trial of its populations, completed."""
        return self.name == "nsga2"

    def make_sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        """Return a new sampler."""
        import optuna

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            if self.name == "random":
                return optuna.samplers.RandomSampler(seed=seed)
            if self.name == "nsga2":
                return optuna.samplers.NSGAIISampler(population_size=self.n_ask, seed=seed)
            return optuna.samplers.TPESampler(n_startup_trials=self.n_ask, seed=seed)

    def make_study(self, told: Sequence[optuna.trial.FrozenTrial], seed: int) -> optuna.Study:
        """Return a study in memory that shows the sampler what it should see of the trials told before."""
        import optuna

        study = optuna.create_study(directions=directions(self.n_objectives), sampler=self.make_sampler(seed))
        study.add_trials(told if self.is_genetic else self._choose_window(told))
        return study

    def _choose_window(self, told: Sequence[optuna.trial.FrozenTrial]) -> list[optuna.trial.FrozenTrial]:
        if self.name == "random":
            return []
        if len(told) <= self.memory:
            return list(told)
        rated = [i for i, trial in enumerate(told) if trial.values]
        best = sorted(rated, key=lambda i: told[i].values[0], reverse=True)[: self.memory // 3]
        newest = range(len(told) - self.memory + len(best), len(told))
        return [told[i] for i in sorted({*best, *newest})]


def directions(n_objectives: int) -> list[Literal["maximize", "minimize"]]:
    """Return what is done with each objective: accuracy, and latency where there are two."""
    both: list[Literal["maximize", "minimize"]] = ["maximize", "minimize"]
    return both[:n_objectives]


def derive_seed(seed: int, step: int) -> int:
    """Return a 32-bit seed for one step of a seeded run."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1)[0])
