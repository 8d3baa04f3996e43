"""Networks with operators that an engine really lacks, run by the engine and ONNX Runtime together."""

from dataclasses import replace

import pytest

from nnlqp_nas.core import AttributeValue, Measurement, ModelGraph, Operator, Platform
from nnlqp_nas.core.plugins import BACKENDS, load_plugin
from nnlqp_nas.graphs import LayerBuilder
from nnlqp_nas.testing.backend_contract import QUICK

_PROTOCOL = replace(QUICK, n_passes=1, max_passes=1)
_LP_POOL = (("kernel_shape", (3, 3)), ("pads", (1, 1, 1, 1)))


def write_network(op_type: str, attributes: tuple[tuple[str, AttributeValue], ...] = ()) -> ModelGraph:
    """An operator that keeps the shape on one of two branches: what it reads, the other reads too, and the sum needs both."""
    net = LayerBuilder()
    x = net.relu(net.conv(net.input(3, 16, 16), 8, 3, bias=True))
    shape = net.shape(x)
    y = net.append(Operator(op_type, attributes, inputs=(shape,), output=shape), x)
    x = net.add(net.relu(net.conv(x, 8, 3, bias=True)), net.conv(y, 8, 3, bias=True))
    return net.finish(net.linear(net.flatten(net.global_avg_pool(x)), 10))


def measure(platform: str, graph: ModelGraph, batch_size: int = 1) -> Measurement:
    parsed = Platform.parse(platform)
    backend = load_plugin(BACKENDS, parsed.software)(parsed)
    reason = backend.unavailable_reason()
    if reason is not None:
        pytest.skip(reason)
    (result,) = backend.measure([graph], _PROTOCOL, batch_size)
    assert isinstance(result, Measurement), result
    return result


@pytest.mark.slow
@pytest.mark.parametrize(
    ("platform", "op_type", "attributes", "batch_size"),
    [
        ("cpu-litert-fp32", "CumSum", (("input_1", 2),), 2),
        ("cpu-litert-int8dyn", "Erf", (), 1),
        ("cpu-mnn-fp32", "Hardmax", (), 2),
        ("cpu-ncnn-fp32", "CumSum", (("input_1", 2),), 1),
        ("cpu-tract-fp32", "LpPool", _LP_POOL, 2),
        ("cpu-torch-fp32", "LpPool", _LP_POOL, 2),
    ],
)
def test_what_an_engine_lacks_runs_on_onnxruntime(
    platform: str, op_type: str, attributes: tuple[tuple[str, AttributeValue], ...], batch_size: int
) -> None:
    result = measure(platform, write_network(op_type, attributes), batch_size)
    assert (result.facts["fallback"], result.facts["n_parts"]) == ([op_type], 3)
    if result.platform.precision == "fp32":
        assert result.facts["largest_error"] < 1e-5
    else:
        assert result.facts["cosine"] > 0.99


def test_the_refused_part_may_be_anywhere_and_of_another_shape() -> None:
    net = LayerBuilder()
    x = net.conv(net.input(3, 4, 4), 6, 1, bias=True)
    x = net.append(Operator("Det", inputs=(net.shape(x),), output=(1, 6)), x)
    result = measure("cpu-openvino-fp32", net.finish(net.linear(x, 4)), batch_size=2)
    assert (result.facts["fallback"], result.facts["n_parts"]) == (["Det"], 3)
    assert result.facts["largest_error"] < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("platform", "op_type"),
    [("cpu-litert-fp32", "Mish"), ("cpu-litert-fp32", "Softplus"), ("cpu-mnn-fp32", "Mish"), ("cpu-ncnn-fp32", "Softplus")],
)
def test_what_can_be_written_otherwise_runs_on_the_engine(platform: str, op_type: str) -> None:
    result = measure(platform, write_network(op_type))
    assert "fallback" not in result.facts
    assert result.facts["largest_error"] < 1e-5
