from typing import Any

import pytest

from nnlqp_nas.backends.onnxruntime import PROVIDERS, OnnxRuntimeBackend
from nnlqp_nas.core import Measurement, MeasurementError, Platform, UnknownPlatformError
from nnlqp_nas.core.plugins import BACKENDS, load_plugin
from nnlqp_nas.graphs import LayerBuilder
from nnlqp_nas.testing.backend_contract import QUICK, MeasurementBackendContract, write_network


def backend_of(name: str, **settings: Any) -> OnnxRuntimeBackend:
    return OnnxRuntimeBackend(Platform.parse(name), **settings)


class TestFp32(MeasurementBackendContract):
    def make_backend(self) -> OnnxRuntimeBackend:
        return backend_of("cpu-onnxruntime-fp32")


@pytest.mark.slow
class TestInt8(MeasurementBackendContract):
    def make_backend(self) -> OnnxRuntimeBackend:
        return backend_of("cpu-onnxruntime-int8")


@pytest.mark.slow
class TestTwoThreads(MeasurementBackendContract):
    def make_backend(self) -> OnnxRuntimeBackend:
        return backend_of("cpu-onnxruntime-fp32-2t")


def test_the_entry_point_leads_to_the_class() -> None:
    assert load_plugin(BACKENDS, "onnxruntime") is OnnxRuntimeBackend


def test_the_variant_sets_the_threads_and_the_facts_name_the_engine() -> None:
    (one,) = backend_of("cpu-onnxruntime-fp32").measure([write_network(8, 1)], QUICK)
    (two,) = backend_of("cpu-onnxruntime-fp32-2t").measure([write_network(8, 1)], QUICK)
    assert isinstance(one, Measurement)
    assert isinstance(two, Measurement)
    assert (one.facts["n_threads"], two.facts["n_threads"]) == (1, 2)
    assert one.facts["provider"] == "CPUExecutionProvider"
    assert one.facts["engine"].startswith("onnxruntime 1.")


def test_int8_runs_integer_kernels_on_pools_and_joins_too() -> None:
    net = LayerBuilder()
    x = net.conv(net.input(3, 16, 16), 16, 3)
    x = net.concat([net.avg_pool(x, 3, 1, 1), net.max_pool(x, 3, 1, 1), net.add(x, net.relu(net.conv(x, 16, 1)))])
    graph = net.finish(net.linear(net.flatten(net.global_avg_pool(x)), 10))
    op_types = {one.op_type for one in backend_of("cpu-onnxruntime-int8").profile(graph)}
    assert {"QLinearConv", "QLinearAveragePool", "QLinearAdd"} <= op_types
    assert "Conv" not in op_types


def test_a_provider_that_is_not_here_is_refused_by_name() -> None:
    backend = backend_of("npu-qnn-onnxruntime-fp32")
    assert backend.unavailable_reason() == f"this build of onnxruntime has no {PROVIDERS['npu-qnn']}"
    with pytest.raises(MeasurementError, match="QNNExecutionProvider"):
        backend.measure([write_network(8, 1)], QUICK)


def test_a_platform_that_it_does_not_offer_is_refused() -> None:
    with pytest.raises(UnknownPlatformError, match="cpu-onnxruntime-int8"):
        backend_of("cpu-onnxruntime-int4")


def test_any_number_of_threads_is_offered() -> None:
    assert backend_of("cpu-onnxruntime-fp32-3t").platform.variant == "3t"
