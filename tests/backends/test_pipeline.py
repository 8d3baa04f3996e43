from dataclasses import replace

import pytest

from nnlqp_nas.core import Measurement, MeasurementFailure, ModelGraph, Platform
from nnlqp_nas.graphs import LayerBuilder
from nnlqp_nas.testing.backend_contract import QUICK
from nnlqp_nas.testing.refusing_engine import RefusingBackend

_PROTOCOL = replace(QUICK, n_passes=1, max_passes=1, max_time_s=0.1, warmup_s=0.0)


def write_network() -> ModelGraph:
    """Convolution, Relu, then a gate (Sigmoid) on a branch of its own beside a second convolution."""
    net = LayerBuilder()
    x = net.relu(net.conv(net.input(3, 8, 8), 4, 3, bias=True))
    x = net.mul(net.conv(x, 4, 3, bias=True), net.sigmoid(net.conv(x, 4, 1, bias=True)))
    return net.finish(net.linear(net.flatten(net.global_avg_pool(x)), 5))


def measure(platform: str, batch_size: int = 1) -> Measurement | MeasurementFailure:
    return RefusingBackend(Platform.parse(platform)).measure([write_network()], _PROTOCOL, batch_size)[0]


@pytest.mark.parametrize(
    ("platform", "fallback", "n_parts"),
    [
        ("Relu-refusing-fp32", ["Relu"], 3),
        ("Relu-refusing-fp32-compiling", ["Relu"], 3),
        ("Relu+Sigmoid-refusing-fp32", ["Relu", "Sigmoid"], 5),
    ],
)
def test_what_the_engine_refuses_runs_on_onnxruntime_and_the_facts_say_so(platform: str, fallback: list[str], n_parts: int) -> None:
    result = measure(platform, batch_size=2)
    assert isinstance(result, Measurement), result
    assert (result.facts["fallback"], result.facts["n_parts"]) == (fallback, n_parts)
    assert result.facts["engine"] == "reference"
    assert result.facts["largest_error"] < 1e-5


def test_a_network_without_refused_operators_stays_whole() -> None:
    result = measure("none-refusing-fp32")
    assert isinstance(result, Measurement)
    assert not {"fallback", "n_parts"} & set(result.facts)


@pytest.mark.parametrize(
    ("platform", "reason"),
    [
        ("Relu-refusing-fp32-silent", "RuntimeError: model not accepted"),
        ("Relu-refusing-fp32-indivisible", "RuntimeError: no kernel for Relu; not split: UnsupportedError: it never is"),
        ("Relu-refusing-fp32-static", "UnsupportedError: expected an engine that takes new inputs, got one that keeps"),
    ],
)
def test_where_cutting_does_not_help_the_failure_has_its_stage_and_reason(platform: str, reason: str) -> None:
    result = measure(platform)
    assert isinstance(result, MeasurementFailure)
    assert result.stage == "load"
    assert result.reason.startswith(reason)


def test_nothing_is_cut_where_nothing_is_left_for_the_engine() -> None:
    net = LayerBuilder()
    graph = net.finish(net.relu(net.input(3, 8, 8)))
    (result,) = RefusingBackend(Platform.parse("Relu-refusing-fp32")).measure([graph], _PROTOCOL)
    assert isinstance(result, MeasurementFailure)
    assert result.reason.startswith("RuntimeError: no kernel for Relu; not split: UnsupportedError: expected something beside Relu")
