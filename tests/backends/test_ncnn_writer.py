"""Every operator that the writer knows, in small networks, against ONNX Runtime."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from nnlqp_nas.backends.isolated_backend import MODEL
from nnlqp_nas.backends.ncnn import NcnnBackend
from nnlqp_nas.backends.ncnn_writer import WRITERS, write_ncnn
from nnlqp_nas.core import UnsupportedError
from nnlqp_nas.graphs import LayerBuilder, to_onnx
from nnlqp_nas.search_spaces.operator_probes import OperatorProbes

pytest.importorskip("ncnn")

RNG = np.random.default_rng(0)
SETTINGS = {"n_threads": 1, "precision": "fp32"}
MAP, ROWS = (1, 8, 9, 7), (1, 5, 12)


def normal(*shape: int) -> NDArray[np.float32]:
    return RNG.standard_normal(shape, dtype=np.float32)


def ints(*values: int) -> NDArray[np.int64]:
    return np.array(values, np.int64)


def model_of(op_type: str, shapes: list[tuple[int, ...]], constants: list[Any], n_outputs: int = 1, **attributes: Any) -> onnx.ModelProto:
    """Return a model of one operator; it reads the absolute values of its inputs where they must be positive."""
    inputs = [helper.make_tensor_value_info(f"x{i}", TensorProto.FLOAT, shape) for i, shape in enumerate(shapes)]
    weights = [numpy_helper.from_array(np.asarray(one), f"w{i}") for i, one in enumerate(constants) if one is not None]
    outputs = [helper.make_empty_tensor_value_info(f"y{i}") for i in range(n_outputs)]
    names = [f"x{i}" for i in range(len(shapes))] + [f"w{i}" if one is not None else "" for i, one in enumerate(constants)]
    nodes = []
    if op_type in ("Log", "Sqrt", "Pow", "Reciprocal"):
        nodes.append(helper.make_node("Abs", ["x0"], ["positive"]))
        names[0] = "positive"
    nodes.append(helper.make_node(op_type, names, [one.name for one in outputs], **attributes))
    graph = helper.make_graph(nodes, "one", inputs, outputs, weights)
    return onnx.shape_inference.infer_shapes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22 if op_type == "Mish" else 20)], ir_version=10)
    )


def difference(model: onnx.ModelProto, folder: Path) -> float:
    """Return the largest difference to ONNX Runtime, as a share of the largest output."""
    (folder / MODEL).write_bytes(model.SerializeToString())
    inputs = [normal(*(size.dim_value for size in one.type.tensor_type.shape.dim)) for one in model.graph.input]
    session = onnxruntime.InferenceSession(folder / MODEL, providers=["CPUExecutionProvider"])
    expected = session.run(None, {one.name: value for one, value in zip(session.get_inputs(), inputs, strict=True)})
    NcnnBackend.compile(folder, inputs, SETTINGS)
    loaded = NcnnBackend.load(folder, inputs, SETTINGS)
    for _ in range(2):
        loaded.run()
    results = loaded.outputs()
    assert [one.shape for one in results] == [one.shape for one in expected]
    return max(float(abs(a - b).max() / abs(b).max()) for a, b in zip(results, expected, strict=True))


def window(kernel: int, stride: int = 1, pad: int = 0, **more: Any) -> dict[str, Any]:
    return {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [pad] * 4, "dilations": [1, 1], **more}


CASES: list[tuple[str, list[tuple[int, ...]], list[Any], dict[str, Any]]] = [
    *((name, [MAP], [], {}) for name in ("Relu", "Sigmoid", "HardSwish", "HardSigmoid", "Tanh", "Elu", "Gelu", "Erf", "LeakyRelu", "Mish")),
    *((name, [MAP], [], {}) for name in ("Abs", "Neg", "Floor", "Ceil", "Sqrt", "Exp", "Log", "Sin", "Cos", "Reciprocal", "Identity")),
    ("Dropout", [MAP], [], {}),
    ("Gelu", [ROWS], [], {"approximate": "tanh"}),
    ("Clip", [MAP], [np.float32(0), np.float32(0.5)], {}),
    ("Clip", [MAP], [None, np.float32(0.5)], {}),
    ("Conv", [MAP], [normal(16, 8, 3, 3), normal(16)], window(3, 2, 1)),
    ("Conv", [MAP], [normal(16, 8, 3, 3)], window(3, 1, 2, dilations=[2, 2])),
    ("Conv", [MAP], [normal(16, 8, 1, 3)], {**window(1), "kernel_shape": [1, 3], "pads": [0, 1, 0, 1]}),
    ("Conv", [MAP], [normal(8, 1, 5, 5), normal(8)], window(5, 2, 2, group=8)),
    ("Conv", [MAP], [normal(16, 4, 3, 3)], window(3, 1, 1, group=2)),
    ("ConvTranspose", [MAP], [normal(8, 16, 3, 3), normal(16)], window(3, 2, 1, output_padding=[1, 1])),
    ("ConvTranspose", [MAP], [normal(8, 3, 3, 3)], window(3, 1, 1, output_padding=[0, 0], group=4)),
    *(("MaxPool", [MAP], [], window(3, 2, pad, ceil_mode=ceil)) for pad in (0, 1) for ceil in (0, 1)),
    *(("AveragePool", [MAP], [], window(3, 2, pad, ceil_mode=ceil)) for pad in (0, 1) for ceil in (0, 1)),
    ("AveragePool", [MAP], [], window(3, 2, 1, count_include_pad=1)),
    ("GlobalAveragePool", [MAP], [], {}),
    ("GlobalMaxPool", [MAP], [], {}),
    ("BatchNormalization", [MAP], [normal(8), normal(8), normal(8), abs(normal(8))], {"epsilon": 1e-3}),
    *(("LayerNormalization", [ROWS], [normal(12), *bias], {"axis": 2, "epsilon": 1e-6}) for bias in ([], [normal(12)])),
    ("Gemm", [(1, 12)], [normal(7, 12), normal(7)], {"transB": 1}),
    ("Gemm", [(1, 12)], [normal(12, 7)], {}),
    ("MatMul", [ROWS], [normal(12, 7)], {}),
    ("MatMul", [(1, 12)], [normal(12, 7)], {}),
    ("MatMul", [(1, 3, 5, 6), (1, 3, 6, 4)], [], {}),
    ("MatMul", [(1, 5, 6), (1, 6, 4)], [], {}),
    *((name, [MAP, MAP], [], {}) for name in ("Add", "Sub", "Mul", "Div", "Max", "Min")),
    *((name, [MAP], [np.float32(1.5)], {}) for name in ("Add", "Sub", "Mul", "Div", "Max", "Min", "Pow")),
    ("Mul", [MAP, (1, 8, 1, 1)], [], {}),
    ("Mul", [(1, 8, 8, 8), (1, 8, 1, 1)], [], {}),
    ("Add", [(1, 8, 8, 8), (1, 1, 8, 8)], [], {}),
    ("Add", [MAP], [normal(8, 1, 1)], {}),
    ("Add", [(1, 12, 12)], [normal(12)], {}),
    ("Add", [(1, 12, 12)], [normal(1, 12, 12)], {}),
    ("Flatten", [MAP], [], {"axis": 1}),
    ("Reshape", [MAP], [ints(1, 8, 63)], {}),
    ("Reshape", [ROWS], [ints(1, 5, 3, 4)], {}),
    ("Reshape", [MAP], [ints(1, 2, 4, 9, 7)], {}),
    *(("Transpose", [MAP], [], {"perm": [0, *order]}) for order in ((1, 2, 3), (1, 3, 2), (2, 1, 3), (2, 3, 1), (3, 1, 2), (3, 2, 1))),
    ("Transpose", [ROWS], [], {"perm": [0, 2, 1]}),
    *(("Softmax", [MAP], [], {"axis": axis}) for axis in (1, 2, 3)),
    ("Softmax", [ROWS], [], {"axis": 2}),
    *(("Concat", [MAP, MAP], [], {"axis": axis}) for axis in (1, 2, 3)),
    ("Concat", [ROWS], [normal(1, 1, 12)], {"axis": 1}),
    *(("Split", [MAP], [ints(2, 6)], {"axis": 1, "n_outputs": 2}) for _ in (0,)),
    ("Slice", [MAP], [ints(1, 2), ints(5, 9), ints(1, 2)], {}),
    ("Slice", [ROWS], [ints(0), ints(1), ints(1)], {}),
    ("Gather", [ROWS], [np.array(0, np.int64)], {"axis": 1}),
    ("Gather", [ROWS], [np.array(-1, np.int64)], {"axis": 1}),
    ("Pad", [MAP], [ints(0, 0, 1, 2, 0, 0, 3, 4), np.float32(0.5)], {}),
    ("Pad", [MAP], [ints(0, 0, 1, 2, 0, 0, 3, 4)], {"mode": "reflect"}),
    ("Resize", [MAP], [None, None, ints(1, 8, 18, 14)], {"mode": "nearest"}),
    ("Resize", [MAP], [None, None, ints(1, 8, 18, 14)], {"mode": "linear"}),
    ("Resize", [MAP], [None, None, ints(1, 8, 12, 11)], {"mode": "linear", "coordinate_transformation_mode": "align_corners"}),
    ("Resize", [MAP], [None, None, ints(1, 8, 18, 14)], {"mode": "cubic"}),
    *(
        (f"Reduce{name}", [MAP], [ints(*axes)], {"keepdims": k})
        for name in ("Mean", "Sum", "Max", "Min")
        for axes, k in (((1,), 1), ((3,), 0))
    ),
]


@pytest.mark.parametrize(("op_type", "shapes", "constants", "attributes"), CASES, ids=lambda one: one if isinstance(one, str) else "")
def test_an_operator_computes_what_onnx_runtime_computes(
    op_type: str, shapes: list[tuple[int, ...]], constants: list[Any], attributes: dict[str, Any], tmp_path: Path
) -> None:
    assert difference(model_of(op_type, shapes, constants, **attributes), tmp_path) < 1e-4


def test_every_operator_that_is_written_is_compared() -> None:
    assert {case[0] for case in CASES} == set(WRITERS)


def kinds(folder: Path) -> list[str]:
    """Return the layers of the file that was written."""
    return [line.split()[0] for line in (folder / "model.ncnn.param").read_text().splitlines()[2:]]


def test_layers_are_joined_as_the_optimiser_of_ncnn_joins_them(tmp_path: Path) -> None:
    net = LayerBuilder()
    x = net.relu(net.conv(net.input(3, 8, 8), 8, 3, bias=True))
    x = net.swish(net.conv(x, 8, 3))
    x = net.add(x, net.hard_swish(net.conv(x, 8, 1)))
    x = net.transpose(net.reshape(x, 8, 64), 0, 2, 1)
    assert difference(to_onnx(net.finish(net.sigmoid(net.linear(x, 4)))), tmp_path) < 1e-4
    joined = ["Input", "Convolution", "Convolution", "Swish", "Split", "Convolution", "BinaryOp", "Reshape", "Permute", "Gemm", "Sigmoid"]
    assert kinds(tmp_path) == joined


def test_a_weight_added_behind_an_activation_stays_behind_it(tmp_path: Path) -> None:
    net = LayerBuilder()
    x = net.relu(net.linear(net.input(16), 8, bias=False))
    assert difference(to_onnx(net.finish(net.add_weight(x, 8))), tmp_path) < 1e-4
    assert kinds(tmp_path) == ["Input", "InnerProduct", "MemoryData", "BinaryOp"]


def test_what_several_read_is_split_an_output_too(tmp_path: Path) -> None:
    net = LayerBuilder()
    x = net.conv(net.input(3, 8, 8), 8, 3)
    graph = net.finish(x, net.add(net.relu(x), net.sigmoid(x)))
    assert difference(to_onnx(graph), tmp_path) < 1e-4
    assert kinds(tmp_path).count("Split") == 1


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (model_of("Einsum", [ROWS], [], equation="abc->acb"), "Einsum"),
        (model_of("Transpose", [MAP], [], perm=[1, 0, 2, 3]), "Transpose"),
        (model_of("Relu", [(2, 3, 4, 4)], []), "batch of 1"),
        (model_of("Resize", [MAP], [None, None, ints(1, 8, 11, 11)], mode="nearest"), "Resize"),
        (model_of("Slice", [ROWS], [ints(0), ints(5), ints(1), ints(2)]), "Slice"),
        (model_of("Concat", [MAP, MAP], [], axis=0), "Concat"),
    ],
)
def test_what_ncnn_has_not_is_named(model: onnx.ModelProto, named: str, tmp_path: Path) -> None:
    (tmp_path / MODEL).write_bytes(model.SerializeToString())
    with pytest.raises(UnsupportedError, match=named):
        write_ncnn(tmp_path / MODEL, tmp_path / "param", tmp_path / "bin")


@pytest.mark.parametrize("layer", ["inverted_gated", "attention", "inception", "normalised"])
def test_blocks_of_the_families_agree(layer: str, tmp_path: Path) -> None:
    space = OperatorProbes(n_classes=10)
    probe = {"map": "24x28", "stem": "3x3", "head": "token", "layers": [{"layer": layer, "activation": "swish"}]}
    if layer == "attention":
        probe["layers"] = [{"layer": layer}]
    assert difference(to_onnx(space.graph(space.decode(probe))), tmp_path) < 1e-4
