"""NNLP's features, against those that NNLQP's own code gave for one network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from nnlqp_nas.core import GraphView, ModelGraph
from nnlqp_nas.graphs import LayerBuilder, read_graph, to_onnx
from nnlqp_nas.predictors.nnlp_features import NnlpFeatures, nnlp_features
from nnlqp_nas.predictors.nnlp_node import KINDS

from .conftest import draw_graphs

HERE = Path(__file__).parent
RESNET = HERE.parent / "graphs" / "resnet18-v1-7-no-weight.onnx"
Golden = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def golden() -> Golden:
    with np.load(HERE / "nnlqp" / "resnet18_batch8_features.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def check(features: NnlpFeatures, golden: Golden) -> None:
    np.testing.assert_array_equal(features.nodes, golden["node_features"])
    np.testing.assert_array_equal(features.edges, golden["edge_index"])
    np.testing.assert_array_equal(features.static, golden["static_features"])


@pytest.mark.parametrize("view", list(GraphView))
def test_a_file_has_the_features_of_the_original_code_in_every_view(view: GraphView, golden: Golden) -> None:
    check(nnlp_features(read_graph(RESNET, view), 8), golden)


def test_a_graph_from_no_file_has_them_too(golden: Golden) -> None:
    graph = read_graph(RESNET, GraphView.AS_WRITTEN)
    check(nnlp_features(replace(graph, reread=None), 8), golden)


def value(name: str, *shape: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def scalar(name: str, number: float) -> onnx.TensorProto:
    return helper.make_tensor(name, TensorProto.FLOAT, [], [number])


def hard_swish_model(batch_size: int = 1) -> onnx.ModelProto:
    """Return x * clip(x + 3, 0, 6) / 6 behind a convolution, as exporters of opset 11 write it, with 6 shared."""
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Constant", [], ["three"], value=scalar("", 3.0)),
        helper.make_node("Add", ["c", "three"], ["a"]),
        helper.make_node("Clip", ["a", "zero", "six"], ["k"]),
        helper.make_node("Mul", ["c", "k"], ["m"]),
        helper.make_node("Div", ["m", "six"], ["d"]),
        helper.make_node("ReduceMean", ["d"], ["r"], axes=[2, 3]),
        helper.make_node("Reshape", ["r", "target"], ["y"]),
    ]
    weights = [
        helper.make_tensor("w", TensorProto.FLOAT, [16, 3, 3, 3], np.zeros(432)),
        helper.make_tensor("b", TensorProto.FLOAT, [16], np.zeros(16)),
        scalar("zero", 0.0),
        scalar("six", 6.0),
        helper.make_tensor("target", TensorProto.INT64, [2], [-1, 16]),
    ]
    graph = helper.make_graph(nodes, "g", [value("x", batch_size, 3, 32, 32)], [value("y", batch_size, 16)], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=7)


def kinds(features: NnlpFeatures) -> list[str]:
    return sorted(KINDS[row[: len(KINDS)].argmax()] if row[: len(KINDS)].any() else "-" for row in features.nodes)


def test_constants_that_no_layer_owns_are_nodes_and_nothing_is_folded_or_renamed() -> None:
    features = nnlp_features(read_graph(hard_swish_model()), 1)
    # Four without a kind: the input, 3, 0 and the 6 that two nodes share; the target of Reshape belongs to it.
    assert kinds(features) == sorted(["Conv", "Add", "Clip", "Mul", "Div", "ReduceMean", "Reshape", *"----"])
    assert features.edges.shape == (2, 2 * 12)


def test_work_is_counted_as_nnlqp_counts_it() -> None:
    batch_size, pixels = 4, 16 * 16 * 16
    features = nnlp_features(read_graph(hard_swish_model()), batch_size)
    conv = pixels * (2 * 27 - 1 + 1)
    elementwise = batch_size * (3 * pixels + 16)
    params = 16 * 28
    access = batch_size * (5 * pixels + 2 * 16) + params
    np.testing.assert_allclose(features.static, [batch_size, (conv + elementwise) / 1e9, params / 1e9, access / 1e9], rtol=1e-6)


def test_the_batch_size_of_the_file_does_not_matter() -> None:
    one, eight = (nnlp_features(read_graph(hard_swish_model(size)), 8) for size in (1, 8))
    np.testing.assert_array_equal(one.nodes, eight.nodes)
    np.testing.assert_array_equal(one.static, eight.static)


def test_every_output_of_a_split_is_a_node_in_files_and_in_graphs() -> None:
    nodes = [helper.make_node("Split", ["x"], ["a", "b"], axis=1), helper.make_node("Add", ["a", "b"], ["y"])]
    graph = helper.make_graph(nodes, "g", [value("x", 1, 8, 4, 4)], [value("y", 1, 4, 4, 4)])
    read = read_graph(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=7))
    for features in (nnlp_features(read, 1), nnlp_features(replace(read, reread=None), 1)):
        assert kinds(features) == ["-", "Add", "Split", "Split"]
        assert features.edges.tolist() == [[0, 0, 1, 1, 2, 2, 3, 3], [1, 2, 0, 3, 0, 3, 1, 2]]


def test_shapes_that_need_folding_leave_the_graph_as_it_was_read() -> None:
    nodes = [
        helper.make_node("Identity", ["n"], ["m"]),
        helper.make_node("Upsample", ["x", "m"], ["u"], mode="nearest"),
        helper.make_node("Relu", ["u"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [value("x", 1, 2, 4, 4)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [helper.make_tensor("n", TensorProto.FLOAT, [4], [1, 1, 2, 2])],
    )
    read = read_graph(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 9)], ir_version=7))
    assert len(nnlp_features(read, 1).nodes) >= 3


@given(widths=st.lists(st.integers(1, 64), min_size=1, max_size=5), batch_size=st.integers(1, 64))
def test_features_are_of_single_precision_and_edges_go_both_ways(widths: list[int], batch_size: int) -> None:
    features = nnlp_features(_chain(widths), batch_size)
    assert features.nodes.dtype == features.static.dtype == np.float32
    assert features.nodes.shape == (2 * len(widths) + 1, 44)
    pairs = set(map(tuple, features.edges.T.tolist()))
    assert pairs == {(b, a) for a, b in pairs}
    assert features.static[0] == batch_size


def _chain(widths: list[int]) -> ModelGraph:
    net = LayerBuilder()
    x = net.input(3, 16, 16)
    for width in widths:
        x = net.relu(net.conv(x, width, 3))
    return net.finish(x)


@pytest.mark.parametrize("view", [GraphView.AS_WRITTEN, GraphView.OPTIMISED])
def test_a_graph_and_the_file_written_from_it_have_the_same_features(view: GraphView) -> None:
    for graph in draw_graphs(4, 5, view):
        direct, read = nnlp_features(graph, 8), nnlp_features(read_graph(to_onnx(graph), view), 8)
        assert sorted(map(bytes, direct.nodes)) == sorted(map(bytes, read.nodes))
        assert direct.edges.shape == read.edges.shape
        np.testing.assert_array_equal(direct.static, read.static)
