from __future__ import annotations

import json

import pytest

from nnlqp_nas.core import Architecture, GraphView, InvalidSettingError, Measurement, MeasurementFailure, Platform, Source, UnknownNameError
from nnlqp_nas.graphs import graph_cost
from nnlqp_nas.search import CostBudget, LatencyBudget, OptunaSearch, SearchOutcome
from nnlqp_nas.search.candidate import Candidate, find_hypervolume
from nnlqp_nas.search.study_storage import StudyStorage

from .small_problem import BUDGET_MS, SPACE, FormulaOracle, accuracy_of, latency_of, make_problem

OTHER = Platform.parse("phone-formula-fp32")


class OtherOracle(FormulaOracle):
    """A platform where length counts and operations do not; it cannot run many poolings."""

    @property
    def platform(self):
        return OTHER

    def _answer(self, graph, batch_size):
        facts = {"graph_key": graph.key, "platform": OTHER, "batch_size": batch_size}
        if count_poolings(graph) > 3:
            return MeasurementFailure(**facts, stage="compile", reason="out of memory")
        latency_ms = 0.1 * len(graph)
        interval_ms = (0.8 * latency_ms, 1.2 * latency_ms)
        return Measurement(**facts, latency_ms=latency_ms, source=Source.PREDICTED, interval_ms=interval_ms, coverage=0.9)


def count_poolings(graph):
    return sum(operator.op_type == "AveragePool" for operator in graph.operators)


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "evolution"])
def test_all_budgets_are_kept_before_anything_is_rated(sampler):
    budgets = (LatencyBudget(OtherOracle(), 5.0), CostBudget("params", 150_000))

    def rate(architecture):
        written, run = SPACE.graph(architecture, GraphView.AS_WRITTEN), SPACE.graph(architecture)
        assert 1.1 * latency_of(run) <= BUDGET_MS
        assert 0.12 * len(run) <= 5.0 + 1e-9
        assert graph_cost(written).params <= 150_000
        assert count_poolings(run) <= 3
        return accuracy_of(architecture)

    problem = make_problem(rate, n_trials=16, budgets=budgets)
    candidates = OptunaSearch(sampler, n_ask=16).run(problem)
    assert any(candidate.interval_ms[1] <= BUDGET_MS and not candidate.fits(BUDGET_MS) for candidate in candidates)
    outcome = SearchOutcome.of(problem, candidates, 5, {})
    assert outcome.to_json()["budgets"] == {"phone-formula-fp32 latency_ms": 5.0, "params": 150_000}
    assert all(finding.uses["params"] <= 150_000 for finding in outcome.front)
    assert SearchOutcome.from_json(json.dumps(outcome.to_json())) == outcome


def test_a_search_with_budgets_is_read_back(tmp_path):
    storage = StudyStorage(f"journal:///{tmp_path / 'study.log'}")
    budgets = (CostBudget("macs", 2e7),)
    first = OptunaSearch("random", n_ask=16).run(make_problem(n_trials=10, budgets=budgets), storage)
    assert OptunaSearch("random", n_ask=16).run(make_problem(n_trials=10, budgets=budgets), storage) == first
    with pytest.raises(InvalidSettingError, match="budgets"):
        OptunaSearch("random", n_ask=16).run(make_problem(n_trials=10), storage)


def test_a_lesser_probability_admits_more():
    shares = []
    for probability in (0.5, 0.95, 0.999):
        candidates = OptunaSearch("random", n_ask=50).run(make_problem(n_trials=150, max_priced=150, probability=probability))
        shares.append(sum(candidate.fits(BUDGET_MS) for candidate in candidates))
        bound = {0.5: 1.0, 0.95: 1.1}.get(probability)
        if bound is not None:
            assert all(candidate.bound_ms == pytest.approx(bound * candidate.predicted_ms) for candidate in candidates)
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > shares[2]


def test_costs_are_those_of_the_graph():
    members = [Architecture(SPACE.name, (3, 3, 2, 0, 4, 1)), Architecture(SPACE.name, (0, 0, 0, 0, 0, 0))]
    costs = [graph_cost(SPACE.graph(member, GraphView.AS_WRITTEN)) for member in members]
    for name in ("macs", "flops", "params"):
        assert [use.value for use in CostBudget(name, 1.0).price(SPACE, members)] == [getattr(cost, name) for cost in costs]
    assert [use.bound for use in CostBudget("size_bytes", 1.0).price(SPACE, members)] == [4 * cost.params for cost in costs]
    assert CostBudget("size_bytes", 1.0).price(SPACE, []) == []


def test_hypervolume_is_the_area_that_is_dominated():
    def rated(predicted_ms, accuracy):
        return Candidate(Architecture("x", (0,)), "0", predicted_ms, (predicted_ms, predicted_ms), accuracy)

    assert find_hypervolume([], 10.0) == 0.0
    assert find_hypervolume([rated(2.0, 50.0)], 10.0) == 400.0
    several = [rated(2.0, 50.0), rated(5.0, 70.0), rated(6.0, 60.0), rated(4.0, 50.0), rated(12.0, 99.0), rated(1.0, None)]
    assert find_hypervolume(several, 10.0) == 3 * 50.0 + 5 * 70.0


def test_settings_are_checked():
    with pytest.raises(UnknownNameError, match="nearest known: params"):
        CostBudget("param", 3)
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InvalidSettingError, match="expected a budget of macs > 0"):
            CostBudget("macs", wrong)
        with pytest.raises(InvalidSettingError, match="expected a latency budget > 0"):
            LatencyBudget(OtherOracle(), wrong)
    with pytest.raises(InvalidSettingError, match="expected budgets of different things"):
        make_problem(budgets=(CostBudget("macs", 1), CostBudget("macs", 2)))
    with pytest.raises(InvalidSettingError, match="expected budgets of different things"):
        make_problem(budgets=(LatencyBudget(FormulaOracle(), 2.0),))
    with pytest.raises(InvalidSettingError, match="expected a probability"):
        make_problem(probability=1.5)
