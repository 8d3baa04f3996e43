"""NNI's profiler tells what the oracle says, asks once, and works for any space."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("pytorch_lightning")
pytest.importorskip("nni")

from nnlqp_nas.core import InvalidSettingError, MeasurementFailure
from nnlqp_nas.graphs import graph_cost
from nnlqp_nas.search.nni import LatencyProfiler, as_model_space, keep_within_budget, map_space, within_budget

from ..small_problem import SPACE, FormulaOracle, latency_of
from .own_spaces import OwnSpace, hub

pytestmark = pytest.mark.nni


class FailingOracle(FormulaOracle):
    """Fails to tell the latency of a network of more than a given number of MACs."""

    def _answer(self, graph, batch_size):
        if graph_cost(graph).macs > 20_000:
            return MeasurementFailure(graph_key=graph.key, platform=self.platform, batch_size=batch_size, stage="run", reason="too large")
        return super()._answer(graph, batch_size)


@pytest.fixture(scope="module")
def nasbench201():
    return hub().NasBench201(8, 1)


@pytest.fixture
def samples(nasbench201):
    mapped = map_space(nasbench201)
    rng = np.random.default_rng(0)
    return [mapped.to_sample(mapped.space.sample(rng)) for _ in range(30)]


def test_it_tells_the_upper_end_of_the_interval_or_the_prediction(nasbench201, samples):
    mapped = map_space(nasbench201)
    upper, predicted = LatencyProfiler(nasbench201, FormulaOracle()), LatencyProfiler(nasbench201, FormulaOracle(), end="predicted")
    for sample in samples:
        truth_ms = latency_of(mapped.space.graph(mapped.to_architecture(sample)))
        assert predicted.profile(sample) == pytest.approx(truth_ms)
        assert upper.profile(sample) == pytest.approx(1.1 * truth_ms)


def test_many_samples_are_one_query_and_none_is_asked_about_again(nasbench201, samples):
    oracle = FormulaOracle()
    profiler = LatencyProfiler(nasbench201, oracle)
    told = profiler.profile_many([*samples, *samples])
    assert oracle.n_queries == 1
    assert told[:30] == told[30:]
    assert [profiler.profile(sample) for sample in samples] == told[:30]
    assert oracle.n_queries == 1


def test_a_network_that_cannot_be_told_takes_forever_and_is_filtered():
    model_space = OwnSpace()
    profiler = LatencyProfiler(model_space, FailingOracle(), input_shape=(3, 8, 8))
    small = {"channels": 8, "depth": 1, "layer_0": "relu", "layer_1": "relu", "layer_2": "relu"}
    assert profiler.profile_many([small, {**small, "channels": 32}]) == [pytest.approx(profiler.profile(small)), math.inf]
    keeps = within_budget(profiler, 1e6)
    assert keeps(small)
    assert not keeps({**small, "channels": 32})


def test_a_space_that_no_search_space_can_be_is_exported():
    model_space = hub().NasBench101(8, 1, 1)
    profiler = LatencyProfiler(model_space, FormulaOracle(), input_shape=(3, 16, 16))
    model_space.robust_default(sample := {})
    graph = profiler.graph(sample)
    assert graph.input_shapes == ((1, 3, 16, 16),)
    assert profiler.profile(sample) == pytest.approx(1.1 * latency_of(graph))


def test_a_search_space_of_this_project_is_profiled_as_it_is():
    model_space = as_model_space(SPACE)
    profiler = LatencyProfiler(model_space, FormulaOracle(), end="predicted")
    architecture = SPACE.sample(np.random.default_rng(0))
    assert profiler.profile(map_space(model_space).to_sample(architecture)) == pytest.approx(latency_of(SPACE.graph(architecture)))


def test_wrong_settings_are_refused(nasbench201):
    profiler = LatencyProfiler(nasbench201, FormulaOracle())
    with pytest.raises(InvalidSettingError, match="one of high, predicted, got 'low'"):
        LatencyProfiler(nasbench201, FormulaOracle(), end="low")
    with pytest.raises(InvalidSettingError, match="input_shape"):
        LatencyProfiler(OwnSpace(), FormulaOracle())
    for budget_ms in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(InvalidSettingError, match="budget_ms > 0"):
            within_budget(profiler, budget_ms)
        with pytest.raises(InvalidSettingError, match="budget_ms > 0"):
            keep_within_budget(None, profiler, budget_ms)
