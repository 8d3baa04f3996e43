"""What the writer of .tflite files says computes what ONNX says."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from nnlqp_nas import load_space
from nnlqp_nas.core import UnsupportedError
from nnlqp_nas.graphs import LayerBuilder, to_onnx

pytest.importorskip("ai_edge_litert")

from nnlqp_nas.backends.litert import LiteRtBackend
from nnlqp_nas.backends.tflite_writer import OPERATORS, to_tflite

MAP = (2, 4, 7, 6)
TOKENS = (2, 5, 8)
_RNG = np.random.default_rng(0)


class Case(NamedTuple):
    op_type: str
    shape: tuple[int, ...] = MAP
    constants: Sequence[Any] = ()
    attributes: Mapping[str, Any] = {}
    n_outputs: int = 1
    is_constant_first: bool = False
    tail: str = ""


def noise(*shape: int) -> np.ndarray:
    return _RNG.standard_normal(shape).astype(np.float32)


def positive(*shape: int) -> np.ndarray:
    return _RNG.uniform(0.5, 2, shape).astype(np.float32)


def windows(
    kernel: tuple[int, int], stride: int = 1, pads: tuple[int, ...] = (0, 0, 0, 0), dilation: int = 1, **others: int
) -> dict[str, Any]:
    return {"kernel_shape": kernel, "strides": (stride, stride), "pads": pads, "dilations": (dilation, dilation), **others}


def gemm(**others: Any) -> dict[str, Any]:
    return {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 1, **others}


SAME = (1, 1, 1, 1)
UNARY = [
    "Abs",
    "Ceil",
    "Cos",
    "Dropout",
    "Exp",
    "Floor",
    "Gelu",
    "HardSwish",
    "Identity",
    "Neg",
    "Relu",
    "Sigmoid",
    "Sin",
    "Tanh",
    "GlobalAveragePool",
    "GlobalMaxPool",
]
CASES = [
    *(Case(op_type) for op_type in UNARY),
    *(Case(op_type, TOKENS) for op_type in ("Gelu", "Sigmoid", "HardSwish")),
    Case("Sqrt", tail="Abs"),
    Case("Log", tail="Exp"),
    Case("Gelu", attributes={"approximate": "tanh"}),
    Case("HardSigmoid", attributes={"alpha": 0.166667, "beta": 0.5}),
    Case("HardSigmoid", attributes={"alpha": 0.2, "beta": 0.4}),
    Case("LeakyRelu", attributes={"alpha": 0.1}),
    Case("Elu", attributes={"alpha": 1.0}),
    Case("PRelu", constants=[positive(4, 1, 1)]),
    *(Case("Clip", constants=[np.float32(a), np.float32(b)]) for a, b in ((0, 6), (0, 1), (-1, 1), (-0.5, 2))),
    *(Case(op_type, constants=[positive(4, 1, 1)]) for op_type in ("Add", "Div", "Max", "Min", "Mul", "Sub")),
    *(Case(op_type, constants=[noise(2, 1, 7, 6)], is_constant_first=True) for op_type in ("Add", "Sub", "Max")),
    Case("Pow", constants=[np.float32(2)]),
    Case("Add", TOKENS, [noise(8)]),
    Case("Mul", (4, 1), [noise(2, 4, 7)]),
    Case("Conv", constants=[noise(8, 4, 3, 3), noise(8)], attributes=windows((3, 3), pads=SAME, group=1)),
    Case("Conv", constants=[noise(8, 4, 3, 3)], attributes=windows((3, 3), 2, SAME, group=1)),
    Case("Conv", constants=[noise(8, 4, 3, 2)], attributes=windows((3, 2), 1, (2, 0, 1, 1), 2, group=1)),
    Case("Conv", constants=[noise(8, 2, 3, 3)], attributes=windows((3, 3), pads=SAME, group=2)),
    Case("Conv", constants=[noise(4, 1, 3, 3)], attributes=windows((3, 3), 2, SAME, group=4)),
    Case("Conv", constants=[noise(8, 1, 5, 5)], attributes=windows((5, 5), 1, (2, 2, 2, 2), group=4)),
    Case("Conv", constants=[noise(8, 4, 1, 1)], attributes=windows((1, 1), 2, group=1)),
    *(Case("MaxPool", attributes=windows((3, 3), 2, pads, ceil_mode=ceil)) for pads in (SAME, (0,) * 4) for ceil in (0, 1)),
    Case("MaxPool", attributes=windows((3, 3), 2, SAME, ceil_mode=0), tail="Relu"),
    *(
        Case("AveragePool", attributes=windows((3, 3), stride, SAME, ceil_mode=0, count_include_pad=included))
        for stride in (1, 2)
        for included in (0, 1)
    ),
    Case("AveragePool", attributes=windows((2, 2), 2, ceil_mode=1, count_include_pad=0)),
    *(Case(op_type, constants=[np.array([1, 2])], attributes={"keepdims": 1}) for op_type in ("ReduceMean", "ReduceSum")),
    *(Case(op_type, constants=[np.array([3])], attributes={"keepdims": 0}) for op_type in ("ReduceMax", "ReduceMin")),
    Case("Concat", TOKENS, [noise(2, 1, 8)], {"axis": 1}, is_constant_first=True),
    Case("Concat", MAP, [noise(2, 3, 7, 6)], {"axis": 1}),
    Case("Split", MAP, [np.array([2, 2])], {"axis": 1}, n_outputs=2),
    Case("Split", MAP, [np.array([1, 3])], {"axis": 1}, n_outputs=2),
    Case("Gather", TOKENS, [np.array(2)], {"axis": 1}),
    Case("Gather", MAP, [np.array([2, 0])], {"axis": 1}),
    Case("Slice", MAP, [np.array([1, 2]), np.array([3, 6]), np.array([1, 2]), np.array([1, 1])]),
    Case("Slice", MAP, [np.array([0]), np.array([7]), np.array([2]), np.array([2])]),
    Case("Pad", MAP, [np.array([0, 1, 0, 2, 0, 0, 1, 0])]),
    Case("Pad", MAP, [np.array([0, 1, 0, 2, 0, 0, 1, 0]), np.float32(1.5)]),
    Case("Gemm", (2, 6), [noise(5, 6), noise(5)], gemm()),
    Case("Gemm", (2, 6), [noise(6, 5)], gemm(transB=0, alpha=0.5)),
    Case("MatMul", TOKENS, [noise(8, 6)]),
    Case("MatMul", MAP, [noise(2, 4, 6, 3)]),
    Case("Softmax", MAP, attributes={"axis": 3}),
    Case("Softmax", MAP, attributes={"axis": 1}),
    Case("LayerNormalization", TOKENS, [positive(8), noise(8)], {"axis": 2, "epsilon": 1e-5}),
    Case("LayerNormalization", MAP, [positive(6)], {"axis": 3, "epsilon": 1e-5}),
    Case("BatchNormalization", MAP, [positive(4), noise(4), noise(4), positive(4)], {"epsilon": 1e-5}),
    Case("BatchNormalization", (2, 6), [positive(6), noise(6), noise(6), positive(6)], {"epsilon": 1e-5}, tail="Relu"),
    Case("Flatten", attributes={"axis": 1}),
    Case("Reshape", MAP, [np.array([2, 4, 42])]),
    Case("Reshape", MAP, [np.array([2, 7, 24])]),
    Case("Reshape", TOKENS, [np.array([2, 5, 4, 2])]),
    Case("Squeeze", (2, 4, 1, 1), [np.array([2, 3])]),
    Case("Unsqueeze", TOKENS, [np.array([1])]),
    Case("Transpose", attributes={"perm": (0, 2, 3, 1)}),
    Case("Transpose", TOKENS, attributes={"perm": (0, 2, 1)}),
]


def write_case(case: Case) -> onnx.ModelProto:
    """A network of one operator, another one before it where the case has a tail."""
    constants = [numpy_helper.from_array(np.asarray(value), f"c{i}") for i, value in enumerate(case.constants)]
    x = "t" if case.tail else "x"
    inputs = [*(one.name for one in constants), x] if case.is_constant_first else [x, *(one.name for one in constants)]
    outputs = [f"y{i}" for i in range(case.n_outputs)]
    nodes = [helper.make_node(case.tail, ["x"], ["t"])] if case.tail else []
    nodes.append(helper.make_node(case.op_type, inputs, outputs, name="node", **case.attributes))
    return write_model(nodes, case.shape, outputs, constants)


def write_model(
    nodes: Sequence[onnx.NodeProto], shape: Sequence[int], outputs: Sequence[str], constants: Sequence[onnx.TensorProto] = ()
) -> onnx.ModelProto:
    x = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)
    found = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs]
    graph = helper.make_graph(nodes, "case", [x], found, list(constants))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return onnx.shape_inference.infer_shapes(model)


def run_both(model: onnx.ModelProto, folder: Path, precision: str = "fp32") -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return what LiteRT and ONNX Runtime make of the same random inputs."""
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(1)
    inputs = [rng.standard_normal(one.shape, dtype=np.float32) for one in session.get_inputs()]
    settings = {"precision": precision, "n_threads": 1}
    LiteRtBackend.compile(folder, inputs, settings)
    loaded = LiteRtBackend.load(folder, inputs, settings)
    loaded.run()
    expected = session.run(None, {one.name: value for one, value in zip(session.get_inputs(), inputs, strict=True)})
    return loaded.outputs(), [np.asarray(one) for one in expected]


def assert_equal(got: list[np.ndarray], expected: list[np.ndarray]) -> None:
    assert [one.shape for one in got] == [one.shape for one in expected]
    for one, other in zip(got, expected, strict=True):
        assert np.abs(one - other).max() <= 1e-3 * np.abs(other).max()


def cosine(got: list[np.ndarray], expected: list[np.ndarray]) -> float:
    one, other = got[0].ravel(), expected[0].ravel()
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


@pytest.mark.parametrize("case", CASES, ids=[f"{i}-{case.op_type}" for i, case in enumerate(CASES)])
def test_an_operator_computes_what_it_does_in_onnx(case: Case, tmp_path: Path) -> None:
    assert_equal(*run_both(write_case(case), tmp_path))


def test_the_cases_hold_every_operator_that_the_writer_knows() -> None:
    assert {case.op_type for case in CASES} | {"ConstantOfShape"} == set(OPERATORS)


def test_a_map_of_zeros_is_written(tmp_path: Path) -> None:
    shape = numpy_helper.from_array(np.array(MAP), "shape")
    nodes = [helper.make_node("ConstantOfShape", ["shape"], ["zeros"]), helper.make_node("Add", ["x", "zeros"], ["y"])]
    assert_equal(*run_both(write_model(nodes, MAP, ["y"], [shape]), tmp_path))


def write_mixed_network() -> onnx.ModelProto:
    """Blocks, a flattened map that a fully-connected layer reads, and another reader of it that cannot follow its order."""
    net = LayerBuilder()
    x = net.relu(net.batch_norm(net.conv(net.input(3, 16, 16), 8, 3, 2)))
    gate = net.sigmoid(net.conv(net.relu(net.conv(net.global_avg_pool(x), 4, 1, bias=True)), 8, 1, bias=True))
    x = net.concat([net.mul(x, gate), net.relu(net.add(x, net.conv(x, 8, 3, groups=8)))])
    flat = net.flatten(net.max_pool(x, 3, 2, 1))
    return to_onnx(net.finish(net.linear(net.relu(flat), 10), net.softmax(flat)))


def test_layouts_and_fused_activations_agree(tmp_path: Path) -> None:
    assert_equal(*run_both(write_mixed_network(), tmp_path))


def test_weights_of_eight_bits_are_a_quarter_as_large_and_nearly_as_good(tmp_path: Path) -> None:
    net = LayerBuilder()
    x = net.relu(net.conv(net.conv(net.input(3, 16, 16), 64, 3), 64, 3, groups=64))
    model = to_onnx(net.finish(net.linear(net.flatten(net.global_avg_pool(net.conv(x, 256, 3))), 100)))
    assert cosine(*run_both(model, tmp_path, "int8dyn")) > 0.99
    assert len(to_tflite(model, is_quantised=True)) < 0.3 * len(to_tflite(model))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_probes_agree_in_both_precisions(seed: int, tmp_path: Path) -> None:
    space = load_space("operator_probes")
    model = to_onnx(space.graph(space.sample(np.random.default_rng(seed))))
    assert_equal(*run_both(model, tmp_path))
    assert cosine(*run_both(model, tmp_path, "int8dyn")) > 0.98


def test_what_it_cannot_write_is_named() -> None:
    with pytest.raises(UnsupportedError, match="Erf"):
        to_tflite(write_case(Case("Erf")))
    with pytest.raises(UnsupportedError, match="Elu with alpha"):
        to_tflite(write_case(Case("Elu", attributes={"alpha": 0.5})))


def test_denormal_numbers_are_flushed(tmp_path: Path) -> None:
    tiny = numpy_helper.from_array(np.full(MAP, 1e-39, np.float32), "tiny")
    model = write_model([helper.make_node("Mul", ["x", "tiny"], ["y"])], MAP, ["y"], [tiny])
    got, _ = run_both(model, tmp_path)
    assert not got[0].any()
