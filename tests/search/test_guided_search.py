"""The search whose latencies are known before it evaluates anything."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnlqp_nas.core import Architecture
from nnlqp_nas.search import OptunaSearch
from nnlqp_nas.search.accuracy_model import AccuracyModel, Described
from nnlqp_nas.search.candidate import Candidate, find_hypervolume
from nnlqp_nas.search.guided_run import added_hypervolume, choose_for_front, expected_improvement
from nnlqp_nas.search.study_storage import StudyStorage

from .small_problem import BUDGET_MS, FormulaOracle, make_problem


def candidate_of(code, latency_ms, accuracy=None):
    return Candidate(Architecture("any", tuple(code)), str(code), latency_ms, (latency_ms, latency_ms), accuracy)


def draw(n, seed):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (n, 6))
    accuracy = 60.0 + codes @ np.array([3.0, 1.0, 0.0, -2.0, 0.5, 0.0]) + 2.0 * (codes[:, 0] == codes[:, 3])
    return Described(codes, 1.0 + codes.sum(1, keepdims=True).astype(float)), accuracy


def test_the_model_ranks_networks_it_has_not_seen_and_knows_when_it_does_not_know():
    (rated, accuracy), (others, truth) = draw(60, 0), draw(200, 1)
    model = AccuracyModel.fit(rated, accuracy)
    mean, deviation = model.predict(others)
    assert np.corrcoef(mean, truth)[0, 1] > 0.95
    assert (np.abs(mean - truth) < 3.0 * deviation).mean() > 0.95
    assert np.median(model.predict(rated)[1]) < np.median(deviation)


def test_the_model_bears_accuracies_and_costs_that_are_all_the_same():
    rated, _ = draw(5, 0)
    mean, deviation = AccuracyModel.fit(Described(rated.codes, np.ones((5, 2))), np.full(5, 70.0)).predict(rated)
    np.testing.assert_allclose(mean, 70.0)
    assert np.isfinite(deviation).all()


points = st.tuples(st.floats(0.1, 9.9), st.floats(1.0, 100.0))


@given(st.lists(points, max_size=8), points)
def test_what_a_network_would_add_is_what_the_hypervolume_grows_by(known, new):
    rated = [candidate_of([i], *point) for i, point in enumerate(known)]
    grown = find_hypervolume([*rated, candidate_of([99], *new)], 10.0) - find_hypervolume(rated, 10.0)
    found = added_hypervolume(np.array([new[0]]), np.array([new[1]]), sorted(known), 10.0)
    assert found[0] == pytest.approx(grown, abs=1e-9)


def test_the_expected_improvement_is_the_mean_of_what_exceeds_the_best():
    drawn = np.random.default_rng(0).normal(70.0, 2.0, 400_000)
    found = expected_improvement(np.array([70.0, 70.0]), np.array([2.0, 1e-9]), 71.0)
    assert found == pytest.approx([np.maximum(0.0, drawn - 71.0).mean(), 0.0], abs=0.01)


def test_the_second_choice_believes_the_first():
    """Two of one latency: the better one, and then not its equal beside it but what adds elsewhere."""
    unrated = [candidate_of([0], 5.0), candidate_of([1], 5.1), candidate_of([2], 2.0)]
    mean, deviation = np.array([80.0, 79.9, 30.0]), np.zeros(3)
    rated = [candidate_of([9], 1.0, 20.0)]
    assert choose_for_front(unrated, mean, deviation, np.ones(3), rated, 10.0, 2) == [0, 2]
    assert choose_for_front(unrated, mean, deviation, np.array([0.1, 1.0, 0.1]), rated, 10.0, 1) == [1]


@pytest.mark.parametrize("n_objectives", [1, 2])
def test_few_evaluations_find_more_than_those_of_a_random_search(n_objectives):
    def score(candidates):
        return find_hypervolume(candidates, BUDGET_MS) if n_objectives == 2 else max(c.accuracy or 0.0 for c in candidates)

    guided, drawn = (
        [score(OptunaSearch(sampler, n_objectives, n_ask=32).run(make_problem(n_trials=32, seed=seed))) for seed in range(2)]
        for sampler in ("guided", "random")
    )
    assert sum(guided) > sum(drawn)


def test_a_finished_search_is_read_back_with_all_that_was_evaluated(tmp_path):
    storage = StudyStorage(f"journal:///{tmp_path / 'study.log'}")
    first = OptunaSearch("guided", n_ask=16).run(make_problem(n_trials=30), storage)
    oracle = FormulaOracle()
    again = OptunaSearch("guided", n_ask=16).run(make_problem(n_trials=30, oracle=oracle), storage)
    assert again == [c for c in first if c.accuracy is not None]
    assert oracle.n_queries == 0


def test_what_an_earlier_search_priced_is_chosen_from_and_not_all_evaluated():
    earlier = OptunaSearch("guided", n_ask=16).run(make_problem(n_trials=20))
    problem = make_problem(n_trials=30, seed=1)
    later = OptunaSearch("guided", n_ask=16).run(problem, known=earlier)
    assert {c.graph_key for c in earlier} <= {c.graph_key for c in later}
    assert sum(c.accuracy is not None for c in later) == 30
    assert sum(c.accuracy is None and c.fits(BUDGET_MS) for c in later) > 0


def test_ends_where_a_small_budget_leaves_few_networks():
    candidates = OptunaSearch("guided", n_ask=16).run(make_problem(n_trials=500, budget_ms=1.2, max_priced=600))
    fitting = [c for c in candidates if c.fits(1.2)]
    assert 0 < len(fitting) < 500
    assert all(c.accuracy is not None for c in fitting)
