"""A network as its file has it travels with the graph that was read from the file."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from nnlqp_nas.core import GraphView, ModelGraph
from nnlqp_nas.graphs import read_graph, to_onnx, viewed
from nnlqp_nas.search_spaces.nasbench201 import NasBench201

RESNET = Path(__file__).parent / "resnet18-v1-7-no-weight.onnx"


def op_types(graph: ModelGraph | None) -> list[str]:
    assert graph is not None
    return [operator.op_type for operator in graph.operators]


def test_nothing_is_folded_whatever_the_view() -> None:
    written = read_graph(RESNET, GraphView.AS_WRITTEN)
    n_nodes = len(onnx.load(RESNET).graph.node)
    for graph in (written, read_graph(RESNET), viewed(written, GraphView.CONVERTED)):
        assert len(op_types(graph.filed)) == n_nodes + 1
        assert op_types(graph.filed).count("BatchNormalization") == 20


def test_it_does_not_count_for_the_key_and_is_pickled() -> None:
    graph = read_graph(RESNET)
    sent: ModelGraph = pickle.loads(pickle.dumps(graph))
    assert sent == graph == ModelGraph(graph.operators, graph.sources, graph.outputs)
    assert op_types(sent.filed) == op_types(graph.filed)


def test_graphs_from_no_file_have_none() -> None:
    space = NasBench201()
    assert space.graph(space.sample(np.random.default_rng(0))).filed is None


@pytest.mark.parametrize("view", [GraphView.AS_WRITTEN, GraphView.OPTIMISED])
def test_a_file_that_we_wrote_has_the_nodes_of_its_graph(view: GraphView) -> None:
    space, rng = NasBench201(), np.random.default_rng(3)
    for batch_size in (1, 8):
        graph = space.graph(space.sample(rng), view)
        filed = read_graph(to_onnx(graph, batch_size), view).filed
        assert filed is not None
        assert sorted(op for op in op_types(filed) if op != "Constant") == sorted(op_types(graph))
        assert filed.input_shapes == graph.input_shapes


def test_names_and_attributes_stay_as_they_are_and_outputs_of_unknown_shape_give_none() -> None:
    def value(name: str, shape: list[int] | None) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    nodes = [
        helper.make_node("Sum", ["x", "x"], ["s"]),
        helper.make_node("Dropout", ["s"], ["d", "mask"], ratio=0.25),
        helper.make_node("Squeeze", ["d"], ["y"], axes=[2, 3]),
    ]
    graph = helper.make_graph(nodes, "g", [value("x", [1, 4, 1, 1])], [value("y", [1, 4])])
    filed = read_graph(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=7)).filed
    assert filed is not None
    assert op_types(filed) == ["Input", "Sum", "Dropout", "Dropout", "Squeeze"]
    assert filed.sources == ((), (0, 0), (1,), (1,), (2,))
    assert filed.operators[2].attribute("ratio") == 0.25
    assert filed.operators[4].attribute("axes") == (2, 3)
