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

SAMPLERS = ("evolution", "gp", "guided", "nsga2", "nsga3", "random", "tpe")


@dataclass(frozen=True)
class SamplerSetting:
    """Which sampler proposes candidates, and what it is shown of those before.

    The time of TPE and of the Gaussian process grows with a power of the trials they see, so they
    are shown a window: the best trials and the newest ones. TPE learns from pruned trials that
    violate a constraint. The others see completed trials alone, so with NSGA-II and NSGA-III, which
    compare infeasible trials by their violation, a candidate above the budget completes with the worst
    accuracy, which nothing reads. Evolution and the Gaussian process are shown trials within the budget,
    and the process its constraint there: what it proposes beyond costs one price, and no evaluation.

    Attributes:
        name: ``tpe`` (Watanabe, arXiv 2304.11127), ``evolution`` (:class:`RegularisedEvolutionSampler`), ``gp`` (Optuna's
            Gaussian process), ``guided`` (:class:`.guided_run.GuidedRun`, which chooses itself what its trials are),
            ``nsga2`` (Deb et al., 2002), ``nsga3`` (Deb and Jain, 2014) or ``random``.
        n_objectives: 1: accuracy, the budget a constraint; 2: accuracy and latency.
        n_ask: Candidates proposed at a time and priced in one query.
        memory: Trials that TPE and the Gaussian processes are shown, and of which evolution has its parents.
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
        return self.name in ("nsga2", "nsga3")

    def make_sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        """Return a new sampler."""
        import optuna

        samplers = optuna.samplers
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            match self.name:
                case "random" | "guided":
                    return samplers.RandomSampler(seed=seed)
                case "evolution":
                    return self._make_evolution(seed)
                case "gp":
                    # The accuracy of a network is what it is: nothing is gained by asking for it again.
                    return samplers.GPSampler(seed=seed, n_startup_trials=self.n_ask, deterministic_objective=True)
                case "nsga2":
                    return samplers.NSGAIISampler(population_size=self.n_ask, seed=seed)
                case "nsga3":
                    return samplers.NSGAIIISampler(population_size=self.n_ask, seed=seed)
            return samplers.TPESampler(n_startup_trials=self.n_ask, seed=seed)

    def make_study(self, told: Sequence[optuna.trial.FrozenTrial], seed: int) -> optuna.Study:
        """Return a study in memory that shows the sampler what it should see of the trials told before."""
        import optuna

        study = optuna.create_study(directions=directions(self.n_objectives), sampler=self.make_sampler(seed))
        study.add_trials(told if self.is_genetic else self._choose_window(told))
        return study

    def _make_evolution(self, seed: int) -> optuna.samplers.BaseSampler:
        from .regularised_evolution import RegularisedEvolutionSampler

        return RegularisedEvolutionSampler(self.n_ask, max(2, self.n_ask // 4), seed=seed)

    def _choose_window(self, told: Sequence[optuna.trial.FrozenTrial]) -> list[optuna.trial.FrozenTrial]:
        if self.name in ("random", "guided"):
            return []
        rated = [trial for trial in told if trial.values]
        if self.name == "evolution":
            return rated[-self.memory :] if len(rated) >= self.n_ask else list(told)
        return _choose_trials(rated if self.name == "gp" else told, self.memory)


def _choose_trials(told: Sequence[optuna.trial.FrozenTrial], n: int) -> list[optuna.trial.FrozenTrial]:
    """Return at most ``n`` trials in order: the best third, and the newest."""
    if len(told) <= n:
        return list(told)
    rated = [i for i, trial in enumerate(told) if trial.values]
    best = sorted(rated, key=lambda i: told[i].values[0], reverse=True)[: n // 3]
    newest = range(len(told) - n + len(best), len(told))
    return [told[i] for i in sorted({*best, *newest})]


def directions(n_objectives: int) -> list[Literal["maximize", "minimize"]]:
    """Return what is done with each objective: accuracy, and latency where there are two."""
    both: list[Literal["maximize", "minimize"]] = ["maximize", "minimize"]
    return both[:n_objectives]


def derive_seed(seed: int, *steps: int) -> int:
    """Return a 32-bit seed for one step of a seeded run."""
    return int(np.random.SeedSequence([seed, *steps]).generate_state(1)[0])
