"""The contract of a measurement backend, as tests that every backend inherits."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from dataclasses import replace
from datetime import timedelta

import pytest

from ..core import (
    Measurement,
    MeasurementBackend,
    MeasurementError,
    MeasurementFailure,
    ModelGraph,
    Operator,
    Source,
    TimingProtocol,
    UnsupportedError,
)
from ..graphs import LayerBuilder

QUICK = TimingProtocol(warmup_s=0.02, min_runs=5, min_time_s=0.05, max_time_s=1.0, steady=0.1, time_limit_s=60.0, n_retries=0)


def write_network(channels: int, n_layers: int) -> ModelGraph:
    """Return a small convolutional network."""
    net = LayerBuilder()
    x = net.input(3, 16, 16)
    for _ in range(n_layers):
        x = net.relu(net.batch_norm(net.conv(x, channels, 3)))
    return net.finish(net.linear(net.flatten(net.global_avg_pool(x)), 10))


def write_impossible_network() -> ModelGraph:
    """Return a network with an operator that no engine has."""
    net = LayerBuilder()
    x = net.input(3, 16, 16)
    return net.finish(net.append(Operator("NoEngineHasThis", inputs=((1, 3, 16, 16),), output=(1, 3, 16, 16)), x))


class MeasurementBackendContract(ABC):
    """Inherit it, return a backend that is available here, and pytest runs the contract."""

    @abstractmethod
    def make_backend(self) -> MeasurementBackend:
        """Return the backend under test."""

    @pytest.fixture
    def backend(self) -> MeasurementBackend:
        backend = self.make_backend()
        reason = backend.unavailable_reason()
        if reason is not None:
            pytest.skip(reason)
        return backend

    def test_its_platform_is_one_that_it_knows(self, backend: MeasurementBackend) -> None:
        assert backend.platform in type(backend).known_platforms()
        assert {platform.software for platform in type(backend).known_platforms()} == {type(backend).software}

    def test_a_measurement_says_all_that_it_must(self, backend: MeasurementBackend) -> None:
        graph = write_network(8, 2)
        (result,) = backend.measure([graph], QUICK)
        assert isinstance(result, Measurement), result
        assert (result.graph_key, result.platform, result.batch_size) == (graph.key, backend.platform, 1)
        assert result.source is Source.MEASURED
        assert math.isfinite(result.latency_ms)
        assert result.latency_ms > 0
        assert result.n_runs >= QUICK.min_runs
        assert result.std_ms is not None
        assert result.interval_ms is not None
        assert result.host == backend.host != ""
        assert result.taken_at is not None
        assert result.taken_at.utcoffset() == timedelta(0)

    def test_a_bad_graph_is_a_failure_and_leaves_the_others_as_they_are(self, backend: MeasurementBackend) -> None:
        graphs = [write_network(8, 1), write_impossible_network(), write_network(8, 2)]
        seen: list[Measurement | MeasurementFailure] = []
        results = backend.measure(graphs, QUICK, on_result=seen.append)
        assert results == seen
        assert [result.graph_key for result in results] == [graph.key for graph in graphs]
        assert [type(result) for result in results] == [Measurement, MeasurementFailure, Measurement]
        failure = results[1]
        assert isinstance(failure, MeasurementFailure)
        assert failure.stage in ("convert", "compile", "load")
        assert failure.reason
        assert "\n" not in failure.reason

    def test_a_larger_network_and_a_larger_batch_are_slower(self, backend: MeasurementBackend) -> None:
        small, large = backend.measure([write_network(8, 1), write_network(96, 8)], QUICK)
        (batched,) = backend.measure([write_network(96, 8)], QUICK, batch_size=8)
        assert isinstance(small, Measurement)
        assert isinstance(large, Measurement)
        assert isinstance(batched, Measurement)
        assert small.latency_ms < large.latency_ms < batched.latency_ms
        assert batched.batch_size == 8

    def test_the_time_limit_holds(self, backend: MeasurementBackend) -> None:
        limit = TimingProtocol(warmup_s=30.0, max_time_s=0.5, min_time_s=0.1, time_limit_s=1.0)
        begin = time.monotonic()
        (result,) = backend.measure([write_network(8, 1)], limit)
        assert isinstance(result, MeasurementFailure)
        assert "time limit" in result.reason
        assert time.monotonic() - begin < 20

    def test_patience_ends_what_would_not_agree(self, backend: MeasurementBackend) -> None:
        endless = replace(QUICK, agreement=1e-12, max_passes=10_000, patience_s=0.5)
        begin = time.monotonic()
        (result,) = backend.measure([write_network(8, 1)], endless)
        assert isinstance(result, Measurement), result
        assert time.monotonic() - begin < 20

    def test_no_graphs_no_results(self, backend: MeasurementBackend) -> None:
        assert backend.measure([]) == []

    def test_a_profile_covers_the_network_or_is_refused(self, backend: MeasurementBackend) -> None:
        graph = write_network(64, 6)
        try:
            times = backend.profile(graph)
        except UnsupportedError:
            return
        (result,) = backend.measure([graph], QUICK)
        assert isinstance(result, Measurement)
        total_ms = sum(one.time_ms for one in times)
        # Wide bounds: the two were not measured at once, and profilers slow small nodes down.
        assert 0.3 * result.latency_ms < total_ms < 3 * result.latency_ms
        assert [one.time_ms for one in times] == sorted((one.time_ms for one in times), reverse=True)
        with pytest.raises(MeasurementError):
            backend.profile(write_impossible_network())
