from pathlib import Path

import numpy as np
import pytest

from nnlqp_nas.backends.torch import TorchBackend
from nnlqp_nas.core import GraphView, Measurement, MeasurementError, ModelGraph, Platform, UnknownPlatformError
from nnlqp_nas.core.plugins import BACKENDS, load_plugin
from nnlqp_nas.graphs import LayerBuilder
from nnlqp_nas.testing.backend_contract import QUICK, MeasurementBackendContract, write_network
from nnlqp_nas.testing.engine_outputs import outputs_beside_onnxruntime, write_convolutional_network, write_transformer_block


def backend_of(name: str) -> TorchBackend:
    return TorchBackend(Platform.parse(name))


def write_cell() -> ModelGraph:
    """Return a network with all that only the written view has: normalisation, an identity, zeros."""
    net = LayerBuilder(GraphView.AS_WRITTEN)
    x = net.batch_norm(net.conv(net.input(3, 16, 16), 8, 3))
    x = net.add(net.add(net.identity(x), net.zero(x)), net.avg_pool(net.relu(x), 3, 1, 1))
    return net.finish(net.linear(net.flatten(net.global_avg_pool(x)), 10))


@pytest.mark.slow
class TestFp32(MeasurementBackendContract):
    def make_backend(self) -> TorchBackend:
        return backend_of("cpu-torch-fp32")


@pytest.mark.slow
class TestTwoThreads(MeasurementBackendContract):
    def make_backend(self) -> TorchBackend:
        return backend_of("cpu-torch-fp32-2t")


@pytest.mark.gpu
class TestCuda(MeasurementBackendContract):
    def make_backend(self) -> TorchBackend:
        return backend_of("gpu-cuda-torch-fp32")


def test_the_entry_point_leads_to_the_class() -> None:
    assert load_plugin(BACKENDS, "torch") is TorchBackend


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize(
    "graph",
    [write_convolutional_network(GraphView.AS_WRITTEN), write_transformer_block(GraphView.AS_WRITTEN), write_cell()],
    ids=["convolutional", "transformer", "cell"],
)
def test_it_computes_what_onnxruntime_computes(graph: ModelGraph, batch_size: int, tmp_path: Path) -> None:
    ours, expected = outputs_beside_onnxruntime(backend_of("cpu-torch-fp32"), graph, tmp_path, batch_size)
    assert np.abs(ours - expected).max() <= 1e-3 * np.abs(expected).max()


def test_every_node_as_written_runs() -> None:
    backend = backend_of("cpu-torch-fp32")
    assert backend.platform.view is GraphView.AS_WRITTEN
    graph = write_cell()
    ran = sorted(one.op_type for one in backend.profile(graph))
    assert ran == sorted(operator.op_type for operator in graph.operators if operator.op_type != "Input")


def test_the_facts_name_the_engine_and_the_variant_sets_the_threads() -> None:
    (result,) = backend_of("cpu-torch-fp32").measure([write_network(8, 1)], QUICK)
    assert isinstance(result, Measurement), result
    assert result.facts["engine"].startswith("torch 2.")
    assert result.facts["device"] == "cpu"
    assert backend_of("cpu-torch-fp32-3t").environment(3)["OMP_NUM_THREADS"] == "3"


@pytest.mark.parametrize(("name", "device"), [("gpu-cuda-torch-fp32", "cuda"), ("gpu-mps-torch-fp32", "mps")])
def test_a_device_that_is_not_here_is_refused_by_name(name: str, device: str) -> None:
    backend = backend_of(name)
    if backend.is_available:
        pytest.skip(f"this machine has {device}")
    with pytest.raises(MeasurementError, match=f"no {device} device here"):
        backend.measure([write_network(8, 1)], QUICK)


def test_a_platform_that_it_does_not_offer_is_refused() -> None:
    with pytest.raises(UnknownPlatformError, match="cpu-torch-fp32"):
        backend_of("cpu-torch-int8")
