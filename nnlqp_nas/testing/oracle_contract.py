"""The contract test of latency oracles: inherit it, give an ``oracle`` fixture."""

from __future__ import annotations

import pytest

from ..core import InvalidSettingError, LatencyOracle, Measurement, MeasurementFailure, ModelGraph, Source
from ..graphs import LayerBuilder


def write_networks(n: int) -> list[ModelGraph]:
    """Return n small, distinct networks."""
    return [_write_network(4 + 2 * i) for i in range(n)]


def _write_network(channels: int) -> ModelGraph:
    net = LayerBuilder()
    x = net.relu(net.conv(net.input(3, 8, 8), channels, 3))
    return net.finish(net.linear(net.flatten(net.global_avg_pool(x)), 10))


class LatencyOracleContract:
    """Every guarantee of :class:`LatencyOracle`, as a test.

    >>> class TestMine(LatencyOracleContract):
    ...     @pytest.fixture
    ...     def oracle(self):
    ...         return MyOracle()
    """

    @pytest.fixture
    def oracle(self) -> LatencyOracle:
        """Return an oracle that can answer for small convolutional networks."""
        raise NotImplementedError("a contract subclass gives the fixture 'oracle'")

    def test_as_many_answers_as_models_in_their_order(self, oracle: LatencyOracle) -> None:
        graphs = write_networks(5)
        asked = [*graphs, graphs[2], graphs[0]]
        answers = oracle.query(asked)
        assert [answer.graph_key for answer in answers] == [graph.key for graph in asked]
        assert {answer.platform for answer in answers} == {oracle.platform}

    def test_nothing_asked_nothing_answered(self, oracle: LatencyOracle) -> None:
        assert oracle.query([]) == []

    def test_equal_networks_of_a_query_get_one_answer(self, oracle: LatencyOracle) -> None:
        (graph,) = write_networks(1)
        seen: list[Measurement | MeasurementFailure] = []
        first, second = oracle.query([graph, _write_network(4)], on_result=seen.append)
        assert first == second
        assert seen == [first]

    def test_every_answer_is_told_as_it_comes(self, oracle: LatencyOracle) -> None:
        seen: list[Measurement | MeasurementFailure] = []
        answers = oracle.query(write_networks(4), on_result=seen.append)
        assert sorted(seen, key=lambda one: one.graph_key) == sorted(answers, key=lambda one: one.graph_key)

    def test_every_answer_says_where_it_came_from(self, oracle: LatencyOracle) -> None:
        for answer in oracle.query(write_networks(3)):
            assert isinstance(answer, Measurement), answer
            assert isinstance(answer.source, Source)
            assert (answer.source is Source.PREDICTED) == (answer.n_runs == 0)
            assert (answer.source is Source.PREDICTED) == (answer.coverage is not None)

    def test_batch_sizes_are_told_apart(self, oracle: LatencyOracle) -> None:
        graphs = write_networks(2)
        answers = oracle.query(graphs, batch_size=3)
        assert [answer.batch_size for answer in answers] == [3, 3]
        assert [answer.batch_size for answer in oracle.query(graphs)] == [1, 1]

    def test_a_batch_size_below_one_is_refused(self, oracle: LatencyOracle) -> None:
        with pytest.raises(InvalidSettingError, match="batch size"):
            oracle.query(write_networks(1), batch_size=0)

    def test_spent_never_shrinks_and_counts_every_answer(self, oracle: LatencyOracle) -> None:
        before = oracle.spent
        answers = oracle.query(write_networks(4))
        after = oracle.spent
        assert after.device_s >= before.device_s
        for source, n_before, n_after in (
            (Source.MEASURED, before.n_measured, after.n_measured),
            (Source.DATABASE, before.n_looked_up, after.n_looked_up),
            (Source.PREDICTED, before.n_predicted, after.n_predicted),
        ):
            n_new = sum(isinstance(answer, Measurement) and answer.source is source for answer in answers)
            assert n_after - n_before == n_new
        if after.n_measured > before.n_measured:
            assert after.device_s > before.device_s
