from __future__ import annotations

import numpy as np
import optuna
import pytest
from optuna.testing.pytest_samplers import BasicSamplerTestCase, MultiObjectiveSamplerTestCase, RelativeSamplerTestCase

from nnlqp_nas.core import InvalidSettingError
from nnlqp_nas.search.regularised_evolution import RegularisedEvolutionSampler

optuna.logging.set_verbosity(optuna.logging.WARNING)
NAMES = [f"edge_{i}" for i in range(12)]


class TestByOptunasOwnTests(BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase):
    """A population of one, for children from the second trial on; a usual one, for the random beginning."""

    @pytest.fixture(params=[1, 64])
    def sampler(self, request):
        return lambda: RegularisedEvolutionSampler(population_size=request.param, tournament_size=2)


def optimise(sampler, n_trials=150, budget=45, **study_settings):
    """Maximise a sum of digits under a bound on another sum; most random choices violate it."""
    study = optuna.create_study(direction="maximize", sampler=sampler, **study_settings)

    def objective(trial):
        digits = [trial.suggest_categorical(name, (0, 1, 2, 3, 4)) for name in NAMES]
        cost = sum(digit**2 for digit in digits)
        trial.set_constraint("cost", cost - budget)
        return float(sum(digits) + 2 * digits[0])

    study.optimize(objective, n_trials=n_trials)
    return study


def test_parents_are_feasible_and_children_differ_in_one_parameter():
    trials = optimise(RegularisedEvolutionSampler(population_size=20, tournament_size=5, seed=0)).trials
    begin = next(trial.number for trial in trials if max(trial.constraints.values()) <= 0)
    for trial in trials[max(20, begin + 1) :]:
        before = [t for t in trials[: trial.number] if max(t.constraints.values()) <= 0][-20:]
        assert any(sum(parent.params[name] != trial.params[name] for name in NAMES) == 1 for parent in before)


@pytest.mark.slow
def test_it_beats_random_search_under_a_constraint():
    ours = [optimise(RegularisedEvolutionSampler(20, 5, seed=seed), 300).best_value for seed in range(5)]
    random = [optimise(optuna.samplers.RandomSampler(seed=seed), 300).best_value for seed in range(5)]
    assert np.mean(ours) > np.mean(random) + 1.0


def test_what_is_refused_beforehand_is_never_tried():
    def accepts(params):
        return sum(digit**2 for digit in params.values()) <= 45

    study = optimise(RegularisedEvolutionSampler(10, 5, accepts=accepts, n_tries=1000, seed=1), n_trials=60)
    # Optuna learns from the first trial which parameters there are.
    assert all(accepts(trial.params) for trial in study.trials[1:])


def test_where_nothing_is_feasible_it_moves_towards_what_is():
    study = optimise(RegularisedEvolutionSampler(20, 5, seed=2), n_trials=200, budget=0)
    violations = [trial.constraints["cost"] for trial in study.trials]
    assert min(violations[100:]) < 0.5 * min(violations[:20])


def test_the_oldest_die_even_if_they_are_the_best():
    sampler = RegularisedEvolutionSampler(population_size=5, tournament_size=50, seed=3)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    distribution = {"x": optuna.distributions.IntDistribution(0, 999)}
    for x in range(10):
        # Older is better here: the best of the population is its eldest, number 5.
        study.add_trial(optuna.create_trial(params={"x": x, "y": x}, distributions={**distribution, "y": distribution["x"]}, value=-x))
    children = []
    for _ in range(20):
        trial = study.ask({"x": distribution["x"], "y": distribution["x"]})
        children.append(trial.params)
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
    assert all(5 in child.values() for child in children)


def test_pruned_trials_that_violate_are_no_parents():
    sampler = RegularisedEvolutionSampler(population_size=4, tournament_size=8, seed=4)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    choices = {name: optuna.distributions.CategoricalDistribution(tuple(range(50))) for name in ("x", "y")}
    study.add_trial(optuna.create_trial(params={"x": 7, "y": 7}, distributions=choices, value=1.0, constraints={"ms": -1.0}))
    for x in range(20, 30):
        pruned = optuna.create_trial(
            state=optuna.trial.TrialState.PRUNED, params={"x": x, "y": x}, distributions=choices, constraints={"ms": 1.0}
        )
        study.add_trial(pruned)
    for _ in range(20):
        trial = study.ask(choices)
        assert 7 in trial.params.values()
        study.tell(trial, state=optuna.trial.TrialState.FAIL)


def test_same_seed_same_trials():
    first, second, other = (
        [trial.params for trial in optimise(RegularisedEvolutionSampler(10, 3, seed=seed), n_trials=40).trials] for seed in (5, 5, 6)
    )
    assert first == second != other


@pytest.mark.parametrize("wrong", [{"population_size": 0}, {"tournament_size": 0}, {"n_tries": 0}])
def test_sizes_are_checked(wrong):
    with pytest.raises(InvalidSettingError, match="expected population_size"):
        RegularisedEvolutionSampler(**wrong)
