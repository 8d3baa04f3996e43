import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nnlqp_nas.backends.host import host_facts
from nnlqp_nas.backends.openvino import OpenVinoBackend
from nnlqp_nas.core import Measurement, MeasurementError, MeasurementFailure, ModelGraph, Operator, Platform, UnknownPlatformError
from nnlqp_nas.core.plugins import BACKENDS, load_plugin
from nnlqp_nas.graphs import LayerBuilder, to_onnx
from nnlqp_nas.testing.backend_contract import QUICK, MeasurementBackendContract, write_network
from nnlqp_nas.testing.engine_outputs import outputs_beside_onnxruntime, write_convolutional_network, write_transformer_block

NETWORKS = pytest.mark.parametrize(
    "graph", [write_convolutional_network(), write_transformer_block()], ids=["convolutional", "transformer"]
)


def backend_of(name: str) -> OpenVinoBackend:
    return OpenVinoBackend(Platform.parse(name))


def available(name: str) -> OpenVinoBackend:
    backend = backend_of(name)
    reason = backend.unavailable_reason()
    if reason is not None:
        pytest.skip(reason)
    return backend


class TestFp32(MeasurementBackendContract):
    def make_backend(self) -> OpenVinoBackend:
        return backend_of("cpu-openvino-fp32")


@pytest.mark.slow
class TestBf16(MeasurementBackendContract):
    def make_backend(self) -> OpenVinoBackend:
        return backend_of("cpu-openvino-bf16")


@pytest.mark.slow
class TestInt8(MeasurementBackendContract):
    def make_backend(self) -> OpenVinoBackend:
        return backend_of("cpu-openvino-int8")


@pytest.mark.slow
class TestTwoThreads(MeasurementBackendContract):
    def make_backend(self) -> OpenVinoBackend:
        return backend_of("cpu-openvino-fp32-2t")


@pytest.mark.slow
class TestSse41(MeasurementBackendContract):
    def make_backend(self) -> OpenVinoBackend:
        return backend_of("cpu-openvino-fp32-sse41")


def test_the_entry_point_leads_to_the_class() -> None:
    assert load_plugin(BACKENDS, "openvino") is OpenVinoBackend


@NETWORKS
@pytest.mark.parametrize("batch_size", [1, 3])
def test_fp32_computes_what_onnxruntime_computes(graph: ModelGraph, batch_size: int, tmp_path: Path) -> None:
    ours, expected = outputs_beside_onnxruntime(available("cpu-openvino-fp32"), graph, tmp_path, batch_size)
    assert np.abs(ours - expected).max() <= 1e-3 * np.abs(expected).max()


@NETWORKS
@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_narrow_formats_compute_about_the_same_but_not_the_same(graph: ModelGraph, precision: str, tmp_path: Path) -> None:
    ours, expected = outputs_beside_onnxruntime(available(f"cpu-openvino-{precision}"), graph, tmp_path)
    assert (ours * expected).sum() > 0.9 * np.linalg.norm(ours) * np.linalg.norm(expected)
    assert np.abs(ours - expected).max() > 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("cpu-openvino-fp32", "ALL"),
        ("cpu-openvino-fp32-sse41", "SSE41"),
        ("cpu-openvino-int8-avx2", "AVX2"),
        ("cpu-openvino-fp32-avx2-2t", "AVX2"),
    ],
)
def test_the_variant_limits_the_instruction_set_before_the_import(name: str, limit: str) -> None:
    environment = backend_of(name).environment(1)
    assert environment["ONEDNN_MAX_CPU_ISA"] == limit
    assert environment["OMP_NUM_THREADS"] == "1"


def test_the_limit_reaches_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    # What the caller's environment says must not count.
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")
    best = available("cpu-openvino-fp32-avx2").environment(1)
    assert "avx2" in _kernel_names(best)


def _kernel_names(environment: dict[str, str]) -> str:
    code = (
        "from nnlqp_nas.backends.openvino import _import_openvino; from nnlqp_nas.graphs import to_onnx;"
        "from nnlqp_nas.testing.backend_contract import write_network;"
        "core = _import_openvino().Core(); model = core.read_model(to_onnx(write_network(16, 2)).SerializeToString());"
        "request = core.compile_model(model, 'CPU', {'PERF_COUNT': True, 'INFERENCE_PRECISION_HINT': 'f32'}).create_infer_request();"
        "request.infer(); print(*(node.exec_type for node in request.profiling_info if node.node_type == 'Convolution'))"
    )
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env={**os.environ, **environment}, timeout=60
    ).stdout


def test_int8_runs_integer_kernels() -> None:
    backend = available("cpu-openvino-int8")
    kernels = _kernel_types(backend, write_convolutional_network())
    assert kernels
    assert all("i8" in kernel for kernel in kernels), kernels


def _kernel_types(backend: OpenVinoBackend, graph: ModelGraph) -> list[str]:
    """Kernels of the convolutions, in lower case."""
    import tempfile

    from nnlqp_nas.backends import openvino

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / openvino.MODEL).write_bytes(to_onnx(graph).SerializeToString())
        inputs = [np.zeros(shape, np.float32) for shape in graph.input_shapes]
        backend.compile(folder, inputs, backend.settings(1))
        model = openvino._OpenVinoModel(openvino._compile_model(folder, backend.settings(1), True), inputs, backend.settings(1))
        model.run()
        return [
            node.exec_type.lower() for node in model.profile() if node.status == node.Status.EXECUTED and node.node_type == "Convolution"
        ]


def test_a_refused_operator_is_named_with_the_type_that_onnx_gives_it() -> None:
    net = LayerBuilder()
    x = net.append(Operator("Det", inputs=((1, 3, 16, 16),), output=(1, 3)), net.input(3, 16, 16))
    (unknown,) = backend_of("cpu-openvino-fp32").measure([net.finish(x)], QUICK)
    assert isinstance(unknown, MeasurementFailure)
    assert unknown.stage == "load"
    assert "Det" in unknown.reason


def test_layer_normalisation_is_written_out_where_its_kernel_does_not_stand_the_old_instruction_set() -> None:
    (limited,) = available("cpu-openvino-fp32-sse41").measure([write_transformer_block()], QUICK)
    assert isinstance(limited, Measurement), limited
    assert "fallback" not in limited.facts
    assert limited.facts["largest_error"] < 1e-5
    assert [backend_of(f"cpu-openvino-{name}").rewrites for name in ("fp32", "fp32-avx2", "bf16", "int8")] == [()] * 4


def test_the_profile_names_what_ran_and_no_slow_fallback() -> None:
    times = backend_of("cpu-openvino-fp32").profile(write_convolutional_network())
    assert {"Convolution", "FullyConnected"} <= {one.op_type for one in times}
    assert not any(one.fell_back for one in times)


def test_the_facts_name_the_engine_and_the_limit() -> None:
    (result,) = available("cpu-openvino-fp32-avx2").measure([write_network(8, 1)], QUICK)
    assert isinstance(result, Measurement)
    assert result.facts["engine"].startswith("openvino 20")
    assert result.facts["max_isa"] == "AVX2"


def test_loading_tells_nobody_and_needs_no_converter() -> None:
    code = (
        "import sys; from nnlqp_nas.backends.openvino import _import_openvino; _import_openvino();"
        "print(any(name.startswith(('openvino_telemetry', 'openvino.tools')) for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(("name", "device"), [("gpu-intel-openvino-fp32", "GPU"), ("npu-intel-openvino-fp16", "NPU")])
def test_a_device_that_is_not_here_is_refused_by_name(name: str, device: str) -> None:
    backend = backend_of(name)
    if backend.is_available:
        pytest.skip(f"this machine has a {device}")
    assert f"no device {device} here" in str(backend.unavailable_reason())
    with pytest.raises(MeasurementError, match=device):
        backend.measure([write_network(8, 1)], QUICK)


def test_bf16_needs_a_cpu_that_has_it() -> None:
    sets = set(host_facts()["instruction_sets"])
    reason = backend_of("cpu-openvino-bf16").unavailable_reason()
    assert (reason is None) == bool(sets & {"avx512_bf16", "amx_bf16"})


def test_a_platform_that_it_does_not_offer_is_refused() -> None:
    with pytest.raises(UnknownPlatformError, match="cpu-openvino-fp32-avx2"):
        backend_of("cpu-openvino-fp32-avx3")
