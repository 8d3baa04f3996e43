from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from nnlqp_nas.core import InvalidModelError, ModelGraph, ModelNotFoundError
from nnlqp_nas.graphs import read_graph

CONTENT = (Path(__file__).parent / "resnet18-v1-7-no-weight.onnx").read_bytes()


def model_of(nodes: list[onnx.NodeProto], input_shape: list[int | str | None] | None = None, **weights: np.ndarray) -> onnx.ModelProto:
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, input_shape or [1, 3, 8, 8])]
    outputs = [helper.make_empty_tensor_value_info("y")]
    initializers = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "network", inputs, outputs, initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def refusal(model: onnx.ModelProto | bytes | str | Path) -> str:
    with pytest.raises(InvalidModelError) as caught:
        read_graph(model)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=r"found nothing at '.*none\.onnx'"):
        read_graph(tmp_path / "none.onnx")


def test_files_that_are_no_models(tmp_path: Path) -> None:
    for name, content in {"text": b"hello\n", "empty": b"", "noise": bytes(range(256)) * 12, "cut": CONTENT[:9000]}.items():
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(content)
        assert "expected an ONNX model" in refusal(path)
    assert "folder" in refusal(tmp_path)


def test_cycles_and_missing_values() -> None:
    circle = [helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"]), helper.make_node("Relu", ["b"], ["y"])]
    assert "without cycles" in refusal(model_of(circle))
    assert "'z' from none" in refusal(model_of([helper.make_node("Relu", ["z"], ["y"])]))
    assert "twice" in refusal(model_of([helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Tanh", ["x"], ["y"])]))


def test_nodes_in_any_order_are_read() -> None:
    ordered = [helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Tanh", ["a"], ["y"])]
    assert read_graph(model_of(ordered[::-1])) == read_graph(model_of(ordered))


def test_unknown_shapes() -> None:
    relu = [helper.make_node("Relu", ["x"], ["y"])]
    assert "onnx.shape_inference" in refusal(model_of(relu, ["N", 3, "H", "W"]))
    assert "onnx.shape_inference" in refusal(model_of(relu, [1, 3, None, None]))
    nonzero = [helper.make_node("NonZero", ["x"], ["h"]), helper.make_node("Cast", ["h"], ["y"], to=1)]
    assert "fixed shapes" in refusal(model_of(nonzero))


def test_control_flow_and_foreign_operators() -> None:
    branch = helper.make_graph([helper.make_node("Relu", ["x"], ["z"])], "b", [], [helper.make_empty_tensor_value_info("z")])
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    assert "control flow" in refusal(model_of([node], c=np.array(True)))
    assert "custom operators" in refusal(model_of([helper.make_node("Relu", ["x"], ["y"], domain="com.example")]))
    assert "Nonsense" in refusal(model_of([helper.make_node("Nonsense", ["x"], ["y"])]))


def test_shapes_that_contradict_each_other() -> None:
    assert "expected" in refusal(model_of([helper.make_node("Conv", ["x", "w"], ["y"])], w=np.ones((4, 5, 3, 3), np.float32)))
    assert "expected" in refusal(model_of([helper.make_node("Conv", ["x", "w"], ["y"])], w=np.ones((4, 3, 9, 9), np.float32)))


def test_functions_that_explode_or_call_themselves() -> None:
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
    model = model_of([helper.make_node("F0", ["x"], ["y"], domain="mine")])
    model.opset_import.append(opsets[1])
    for level in range(30):
        inner = f"F{level + 1}"
        domain = "mine" if level < 29 else ""
        op_type = inner if level < 29 else "Relu"
        body = [helper.make_node(op_type, ["a"], ["h"], domain=domain), helper.make_node(op_type, ["h"], ["b"], domain=domain)]
        model.functions.append(helper.make_function("mine", f"F{level}", ["a"], ["b"], body, opsets))
    assert "at most" in refusal(model)
    model.functions[29].node[0].op_type = "F0"
    model.functions[29].node[0].domain = "mine"
    assert "circle" in refusal(model)


def test_constants_too_large_to_compute() -> None:
    shape = np.array([1 << 20, 1 << 20])
    huge = [helper.make_node("ConstantOfShape", ["shape"], ["h"]), helper.make_node("Add", ["x", "h"], ["y"])]
    refusal(model_of(huge, shape=shape))
    tiled = [helper.make_node("Tile", ["w", "n"], ["h"]), helper.make_node("MatMul", ["x", "h"], ["y"])]
    refusal(model_of(tiled, [1, 3, 8], w=np.ones((8, 8), np.float32), n=np.array([1, 1 << 40])))


def readable(content: bytes) -> bool:
    try:
        return isinstance(read_graph(content), ModelGraph)
    except InvalidModelError as error:
        assert "\n" not in str(error)  # noqa: PT017 (either outcome is right)
        return False


@settings(deadline=None, max_examples=60)
@given(st.integers(0, len(CONTENT)))
def test_a_truncated_file_is_refused_or_read(size: int) -> None:
    readable(CONTENT[:size])


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.integers(0, len(CONTENT) - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_a_damaged_file_is_refused_or_read(damages: list[tuple[int, int]]) -> None:
    content = bytearray(CONTENT)
    for place, value in damages:
        content[place] = value
    readable(bytes(content))
