from pathlib import Path

import numpy as np
import onnx
import onnx_ir
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from nnlqp_nas.backends.rewrites import REWRITES, needed_rewrites, rewrite_file, rewrite_model
from nnlqp_nas.core import UnknownNameError

_SHAPE = (2, 3, 4, 5)


def write_model(op_type: str, weights: tuple[tuple[int, ...], ...] = (), **attributes: object) -> onnx.ModelProto:
    """Return Tanh, the operator, Relu: what stands around a rewritten operator must stay connected."""
    rng = np.random.default_rng(1)
    tensors = [numpy_helper.from_array(rng.standard_normal(shape, dtype=np.float32), f"w{at}") for at, shape in enumerate(weights)]
    nodes = [
        helper.make_node("Mul", ["x", "factor"], ["a"]),
        helper.make_node(op_type, ["a", *(tensor.name for tensor in tensors)], ["b"], **attributes),
        helper.make_node("Add", ["b", "x"], ["y"]),
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, _SHAPE) for name in "xy")
    graph = helper.make_graph(nodes, "network", [x], [y], [*tensors, numpy_helper.from_array(np.float32(3), "factor")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def run(model: onnx.ModelProto, inputs: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": inputs})[0]


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("layer-normalization-to-arithmetic", write_model("LayerNormalization", ((5,), (5,)))),
        ("layer-normalization-to-arithmetic", write_model("LayerNormalization", ((3, 4, 5),), axis=1, epsilon=0.1)),
        ("gelu-to-erf", write_model("Gelu")),
        ("gelu-to-erf", write_model("Gelu", approximate="tanh")),
        ("hard-swish-to-hard-sigmoid", write_model("HardSwish")),
        ("hard-sigmoid-to-clip", write_model("HardSigmoid")),
        ("hard-sigmoid-to-clip", write_model("HardSigmoid", alpha=0.3, beta=0.4)),
        ("mish-to-softplus", write_model("Mish")),
        ("softplus-to-logarithm", write_model("Softplus")),
    ],
)
def test_a_rewrite_leaves_the_outputs_as_they_are_and_none_of_its_operators(name: str, model: onnx.ModelProto) -> None:
    inputs = np.random.default_rng(0).standard_normal(_SHAPE, dtype=np.float32)
    rewritten = onnx_ir.from_proto(model)
    rewrite_model(rewritten, [name])
    proto = onnx_ir.to_proto(rewritten)
    onnx.checker.check_model(proto, full_check=True)
    op_types = [node.op_type for node in proto.graph.node]
    assert REWRITES[name].op_type not in op_types
    assert "Constant" not in op_types
    np.testing.assert_allclose(run(proto, inputs), run(model, inputs), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("argument", [("Div", 2**0.5), ("Mul", 2**-0.5)])
@pytest.mark.parametrize("halved", ["input", "product", "share"])
def test_the_ways_of_writing_gelu_by_erf_are_one_operator(argument: tuple[str, float], halved: str) -> None:
    op_type, factor = argument
    numbers = {"factor": factor, "one": 1.0, "half": 0.5}
    last = {
        "input": [("Mul", ["half", "x"], "h"), ("Mul", ["h", "share"], "y")],
        "product": [("Mul", ["x", "share"], "p"), ("Mul", ["p", "half"], "y")],
        "share": [("Mul", ["half", "share"], "s"), ("Mul", ["x", "s"], "y")],
    }
    nodes = [(op_type, ["x", "factor"], "a"), ("Erf", ["a"], "e"), ("Add", ["one", "e"], "share"), *last[halved]]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, _SHAPE) for name in "xy")
    tensors = [numpy_helper.from_array(np.float32(value), name) for name, value in numbers.items()]
    graph = helper.make_graph([helper.make_node(what, read, [made]) for what, read, made in nodes], "network", [x], [y], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    rewritten = onnx_ir.from_proto(model)
    rewrite_model(rewritten, ["erf-to-gelu"])
    proto = onnx_ir.to_proto(rewritten)
    assert [node.op_type for node in proto.graph.node] == ["Gelu"]
    inputs = np.random.default_rng(0).standard_normal(_SHAPE, dtype=np.float32)
    np.testing.assert_allclose(run(proto, inputs), run(model, inputs), rtol=1e-5, atol=1e-5)


def test_another_use_of_erf_stays() -> None:
    rewritten = onnx_ir.from_proto(write_model("Erf"))
    rewrite_model(rewritten, ["erf-to-gelu"])
    assert [node.op_type for node in onnx_ir.to_proto(rewritten).graph.node] == ["Mul", "Erf", "Add"]


def test_every_rewrite_is_tested() -> None:
    (marker,) = test_a_rewrite_leaves_the_outputs_as_they_are_and_none_of_its_operators.pytestmark
    assert {name for name, _ in marker.args[1]} | {"erf-to-gelu"} == set(REWRITES)


def test_softplus_does_not_overflow() -> None:
    rewritten = onnx_ir.from_proto(write_model("Softplus"))
    rewrite_model(rewritten, ["softplus-to-logarithm"])
    assert np.isfinite(run(onnx_ir.to_proto(rewritten), np.full(_SHAPE, 1e4, np.float32))).all()


def test_rewrites_follow_each_other_and_the_types_of_all_values_are_known(tmp_path: Path) -> None:
    onnx.save(write_model("Mish"), tmp_path / "model.onnx")
    rewrite_file(tmp_path / "model.onnx", tmp_path / "rewritten" / "model.onnx", ["mish-to-softplus", "softplus-to-logarithm"])
    graph = onnx.load(tmp_path / "rewritten" / "model.onnx").graph
    assert not {"Mish", "Softplus", "Constant"} & {node.op_type for node in graph.node}
    known = {one.name for one in (*graph.value_info, *graph.output)}
    assert {name for node in graph.node for name in node.output} <= known


def test_rewrites_are_needed_where_their_operator_is_or_comes_up() -> None:
    names = ("mish-to-softplus", "softplus-to-logarithm")
    assert needed_rewrites(names, {"Conv", "Relu"}) == ()
    assert needed_rewrites(names, {"Conv", "Softplus"}) == ("softplus-to-logarithm",)
    assert needed_rewrites(names, {"Conv", "Mish"}) == names


def test_an_unknown_rewrite_is_refused_by_name() -> None:
    with pytest.raises(UnknownNameError, match="mish-to-softplus"):
        needed_rewrites(["mish"], {"Conv"})
