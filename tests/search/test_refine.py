from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from nnlqp_nas.core import InvalidSettingError, LatencyTable, MeasurementFailure, Source
from nnlqp_nas.graphs import graph_cost
from nnlqp_nas.oracles import PredictedOracle
from nnlqp_nas.predictors.flops_linear import FlopsLinear
from nnlqp_nas.search import OptunaSearch, RefiningSearch, SearchOutcome
from nnlqp_nas.search.study_storage import StudyStorage

from .small_problem import BUDGET_MS, PLATFORM, SPACE, FormulaOracle, accuracy_of, enumerate_feasible, latency_of, make_problem


@dataclass
class Run:
    """A search on predictions that are wrong by a factor at first."""

    truth: Any
    samples: LatencyTable
    predictor: FlopsLinear
    problem: Any
    rated: list[Any] = field(default_factory=list)


def make_run(n_trials=80, truth=None):
    rng = np.random.default_rng(0)
    graphs = [SPACE.graph(SPACE.sample(rng)) for _ in range(12)]
    samples = LatencyTable(PLATFORM, 1, graphs, np.array([latency_of(graph) for graph in graphs]))
    predictor = FlopsLinear().adapt(PLATFORM, graphs, samples.latency_ms)
    run = Run(truth or FormulaOracle(Source.MEASURED), samples, predictor, None)

    def rate(architecture):
        run.rated.append(SPACE.graph(architecture).key)
        return accuracy_of(architecture)

    run.problem = make_problem(rate, n_trials=n_trials, oracle=PredictedOracle(predictor, PLATFORM))
    return run


def loop_of(run, sampler="evolution", **settings):
    return RefiningSearch(OptunaSearch(sampler, n_ask=16), run.truth, **{"n_measurements": 8, "n_at_once": 2, "n_more": 20, **settings})


def test_the_best_verified_network_truly_fits_and_the_outcome_says_all():
    run = make_run()
    refined = loop_of(run).run(run.problem, run.predictor, run.samples)
    old = {graph.key for graph in run.samples.graphs}
    assert 0 < len(set(refined.measured) - old) <= 8
    assert refined.n_rounds >= 1
    assert latency_of(SPACE.graph(refined.best.architecture)) <= BUDGET_MS
    outcome = SearchOutcome.of(refined.problem, refined.candidates, 5, {}, refined.measured)
    assert len(outcome.verified) == len(refined.measured)
    for finding in outcome.verified:
        assert finding.within_budget == (finding.measured_ms <= BUDGET_MS)
        assert finding.interval_ms[0] <= finding.predicted_ms <= finding.interval_ms[1]
    assert max(finding.accuracy for finding in outcome.verified if finding.within_budget) == refined.best.accuracy
    assert SearchOutcome.from_json(json.dumps(outcome.to_json())) == outcome


@pytest.mark.parametrize("sampler", ["evolution", "guided"])
def test_nothing_is_rated_twice_in_all_rounds_nor_measured_twice(sampler):
    run = make_run()
    seen = []
    refined = loop_of(run, sampler).run(run.problem, run.predictor, run.samples, on_result=lambda answer: seen.append(answer.graph_key))
    assert len(run.rated) == len(set(run.rated)) == sum(candidate.accuracy is not None for candidate in refined.candidates)
    old = {graph.key for graph in run.samples.graphs}
    assert len(seen) == len(set(seen)) == len(set(refined.measured) - old)
    # What was among the samples is known, and not measured again.
    assert not set(seen) & old


def test_it_is_steady_when_nothing_that_may_fit_is_better():
    run = make_run(n_trials=150)
    refined = loop_of(run, n_measurements=40).run(run.problem, run.predictor, run.samples)
    assert refined.is_steady
    possible = max(accuracy for latency_ms, accuracy in enumerate_feasible(1.1 * BUDGET_MS) if latency_ms <= BUDGET_MS)
    assert refined.best.accuracy >= possible - 1.0


def test_what_was_measured_makes_the_predictions_better():
    run = make_run()
    refined = loop_of(run).run(run.problem, run.predictor, run.samples)
    graphs = [SPACE.graph(candidate.architecture) for candidate in refined.candidates if candidate.graph_key in refined.measured]
    truth = np.array([latency_of(graph) for graph in graphs])
    errors = [
        np.abs(np.array([answer.latency_ms for answer in problem.oracle.query(graphs)]) / truth - 1).mean()
        for problem in (run.problem, refined.problem)
    ]
    assert errors[1] < errors[0]


def test_without_samples_the_predictions_are_kept_and_the_best_are_measured():
    run = make_run()
    refined = loop_of(run, n_measurements=4).run(run.problem)
    assert refined.n_rounds == 0
    assert len(refined.measured) == 4
    assert refined.problem is run.problem
    assert loop_of(run, n_measurements=0).run(run.problem).measured == {}


def test_predictions_do_not_count_as_measurements():
    run = make_run(truth=FormulaOracle(Source.PREDICTED))
    refined = loop_of(run, n_measurements=3).run(run.problem)
    assert refined.best is None
    outcome = SearchOutcome.of(refined.problem, refined.candidates, 5, {}, refined.measured)
    assert outcome.verified == ()


class FailingOracle(FormulaOracle):
    """Cannot run networks of much work."""

    def _answer(self, graph, batch_size):
        if graph_cost(graph).macs > 1e7:
            return MeasurementFailure(graph_key=graph.key, platform=PLATFORM, batch_size=batch_size, stage="run", reason="out of memory")
        return super()._answer(graph, batch_size)


def test_what_cannot_be_measured_is_named_and_not_chosen():
    run = make_run(truth=FailingOracle(Source.MEASURED))
    refined = loop_of(run).run(run.problem, run.predictor, run.samples)
    outcome = SearchOutcome.of(refined.problem, refined.candidates, 5, {}, refined.measured)
    failed = [finding for finding in outcome.front if finding.failure]
    assert failed
    assert {finding.failure for finding in failed} == {"run: out of memory"}
    assert not any(finding.within_budget or finding.measured_ms for finding in failed)
    old = {graph.key for graph in run.samples.graphs}
    assert refined.best is None or refined.best.graph_key in old or graph_cost(SPACE.graph(refined.best.architecture)).macs <= 1e7


@pytest.mark.parametrize(("sampler", "at"), [("evolution", 10), ("evolution", 75), ("evolution", 95), ("guided", 90)])
def test_interrupted_in_any_round_it_goes_on_and_rates_nothing_twice(sampler, at, tmp_path):
    run = make_run()
    storage = StudyStorage(f"journal:///{tmp_path / 'study.log'}")
    rate = run.problem.quality._function

    def interrupted(architecture):
        if len(run.rated) == at:
            raise KeyboardInterrupt
        return rate(architecture)

    interrupted.__name__ = rate.__name__
    stopped = replace(run.problem, quality=type(run.problem.quality)(interrupted))
    with pytest.raises(KeyboardInterrupt):
        loop_of(run, sampler).run(stopped, run.predictor, run.samples, storage)
    assert len(run.rated) == at
    refined = loop_of(run, sampler).run(run.problem, run.predictor, run.samples, storage)
    assert len(run.rated) == len(set(run.rated)) == sum(candidate.accuracy is not None for candidate in refined.candidates)
    again = loop_of(run, sampler).run(run.problem, run.predictor, run.samples, storage)
    # The guided search keeps nowhere what it only priced.
    kept = [c for c in refined.candidates if c.accuracy is not None] if sampler == "guided" else refined.candidates
    assert again.candidates == kept
    assert again.measured == refined.measured


@pytest.mark.parametrize("wrong", [{"n_measurements": -1}, {"n_at_once": 0}, {"n_more": -1}])
def test_settings_are_checked(wrong):
    with pytest.raises(InvalidSettingError, match="expected n_measurements"):
        loop_of(make_run(), **wrong)
