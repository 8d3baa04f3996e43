from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from onnx.utils import Extractor

from nnlqp_nas.backends.partition import named_operators, partition
from nnlqp_nas.backends.split_network import SplitNetwork
from nnlqp_nas.core import UnsupportedError

_SHAPE = [1, 4]


def write_model(nodes: list[onnx.NodeProto], outputs: list[str], opset: int = 20) -> onnx.ModelProto:
    results = [helper.make_empty_tensor_value_info(name) for name in outputs]
    graph = helper.make_graph(nodes, "network", [helper.make_tensor_value_info("x", TensorProto.FLOAT, _SHAPE)], results)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    return onnx.shape_inference.infer_shapes(model)


def chain(*op_types: str) -> onnx.ModelProto:
    names = ["x", *(f"v{at}" for at in range(len(op_types)))]
    nodes = [helper.make_node(op_type, [names[at]], [names[at + 1]]) for at, op_type in enumerate(op_types)]
    return write_model(nodes, names[-1:])


def run(model: onnx.ModelProto, values: dict[str, np.ndarray]) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {one.name: values[one.name] for one in session.get_inputs()})


@st.composite
def models(draw: st.DrawFn) -> onnx.ModelProto:
    """Sums and functions of what came before, in any order; all that nothing reads leaves."""
    names, nodes = ["x"], []
    for at in range(draw(st.integers(1, 12))):
        op_type = draw(st.sampled_from(["Relu", "Tanh", "Sigmoid", "Add"]))
        read = [draw(st.sampled_from(names)) for _ in range(2 if op_type == "Add" else 1)]
        nodes.append(helper.make_node(op_type, read, [f"v{at}"]))
        names.append(f"v{at}")
    unread = [name for name in names[1:] if not any(name in node.input for node in nodes)]
    return write_model(nodes, unread)


@settings(max_examples=30, deadline=None)
@given(models(), st.sets(st.sampled_from(["Relu", "Tanh"]), min_size=1))
def test_the_parts_in_their_order_compute_the_network(model: onnx.ModelProto, refused: set[str]) -> None:
    if all(node.op_type in refused for node in model.graph.node):
        return
    values = {"x": np.random.default_rng(0).standard_normal(_SHAPE, dtype=np.float32)}
    parts = partition(model, refused)
    for part in parts:
        piece = Extractor(model).extract_model(list(part.inputs), list(part.outputs))
        assert {node.op_type for node in piece.graph.node} == set(part.operators)
        assert part.is_refused == bool(set(part.operators) & refused)
        values.update(zip(part.outputs, run(piece, values), strict=True))
    # Neighbours on the same side would be one part.
    assert all(one.is_refused != other.is_refused for one, other in pairwise(parts))
    for one, expected in zip(model.graph.output, run(model, values), strict=True):
        np.testing.assert_allclose(values[one.name], expected, rtol=1e-6)


def test_a_chain_is_cut_around_every_refused_operator() -> None:
    parts = partition(chain("Relu", "Erf", "Erf", "Tanh", "Erf", "Abs"), {"Erf"})
    assert [part.operators for part in parts] == [("Relu",), ("Erf",), ("Tanh",), ("Erf",), ("Abs",)]
    assert [part.inputs + part.outputs for part in parts] == [("x", "v0"), ("v0", "v2"), ("v2", "v3"), ("v3", "v4"), ("v4", "v5")]


def test_branches_side_by_side_are_refused_together() -> None:
    branches = [
        helper.make_node(op, [name], [out]) for at in "ab" for op, name, out in (("Relu", "x", f"r{at}"), ("Erf", f"r{at}", f"e{at}"))
    ]
    parts = partition(write_model([*branches, helper.make_node("Add", ["ea", "eb"], ["y"])], ["y"]), {"Erf"})
    assert [part.operators for part in parts] == [("Relu",), ("Erf",), ("Add",)]
    assert parts[1].inputs == ("ra", "rb")


def test_integers_do_not_cross_a_cut() -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("ArgMax", ["r"], ["index"], axis=1),
        helper.make_node("Gather", ["r", "index"], ["taken"], axis=1),
        helper.make_node("Tanh", ["taken"], ["y"]),
    ]
    parts = partition(write_model(nodes, ["y"]), {"ArgMax"})
    assert [part.operators for part in parts] == [("Relu",), ("ArgMax", "Gather"), ("Tanh",)]


def test_nothing_left_for_the_engine_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="beside Erf"):
        partition(chain("Erf"), {"Erf"})


@pytest.mark.parametrize(
    ("complaint", "named"),
    [
        ("no kernel for Erf", {"Erf"}),
        ("cannot read node 'Erf_12'", {"Erf"}),
        ("Not Supported ONNX::Erf, Relu too", {"Erf", "Relu"}),
        ("Erfolg; relu", set()),
        ("no kernel for Einsum", set()),
    ],
)
def test_operators_are_found_in_complaints(complaint: str, named: set[str]) -> None:
    assert named_operators(complaint, chain("Relu", "Erf", "Tanh")) == named


def test_an_engine_that_runs_a_batch_input_by_input_is_not_split(tmp_path: Path) -> None:
    onnx.save(chain("Relu", "Erf"), tmp_path / "model.onnx")
    with pytest.raises(UnsupportedError, match="whole batch"):
        SplitNetwork.write(tmp_path / "model.onnx", tmp_path / "parts", ["Erf"], [[8, 4]])
