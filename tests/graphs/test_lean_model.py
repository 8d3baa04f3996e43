"""Weights' data is stepped over: what is left is the same model, and damaged files stay damaged."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from nnlqp_nas.core import GraphView, InvalidModelError
from nnlqp_nas.core.plugins import SPACES, load_plugin, plugin_names
from nnlqp_nas.graphs import read_graph, to_onnx
from nnlqp_nas.graphs.lean_model import without_weights
from nnlqp_nas.search_spaces.nasbench201 import NasBench201

SPACE = NasBench201(n_cells=1, channels=64)
GRAPH = SPACE.graph(SPACE.decode("|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"))


def lean(content: bytes) -> bytes:
    return without_weights(memoryview(content))


def test_large_weights_lose_their_data_and_nothing_else() -> None:
    model = to_onnx(GRAPH)
    content = model.SerializeToString()
    left = onnx.ModelProto.FromString(lean(content))
    assert len(left.SerializeToString()) < len(content) / 10
    n_stripped = 0
    for tensor, before in zip(left.graph.initializer, model.graph.initializer, strict=True):
        assert (tensor.name, tensor.dims, tensor.data_type) == (before.name, before.dims, before.data_type)
        n_stripped += tensor.raw_data != before.raw_data
    assert n_stripped
    for name in ("initializer",):
        left.graph.ClearField(name)
        model.graph.ClearField(name)
    assert left == model


@pytest.mark.parametrize("field", ["raw_data", "float_data", "int32_data", "int64_data", "double_data"])
def test_whatever_the_data_is_kept_in(field: str) -> None:
    dtype = {"raw_data": "float32", "float_data": "float32", "int32_data": "int32", "int64_data": "int64", "double_data": "float64"}[field]
    values = np.arange(200_000).astype(dtype)
    tensor = helper.make_tensor(
        "w",
        helper.np_dtype_to_tensor_dtype(np.dtype(dtype)),
        [100, 2000],
        values.tobytes() if field == "raw_data" else values,
        raw=field == "raw_data",
    )
    assert len(getattr(tensor, field))
    model = helper.make_model(helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [], [], [tensor]))
    (left,) = onnx.ModelProto.FromString(lean(model.SerializeToString())).graph.initializer
    assert list(left.dims) == [100, 2000]
    assert not len(getattr(left, field))


def test_what_is_small_by_its_shape_keeps_its_data_however_much_there_is() -> None:
    tensor = numpy_helper.from_array(np.zeros(100_000, dtype=np.float32), "w")
    tensor.dims[0] = 3
    model = helper.make_model(helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [], [], [tensor]))
    assert lean(model.SerializeToString()) == model.SerializeToString()


def test_a_file_and_its_bytes_give_the_graph_that_the_whole_model_gives(tmp_path: Path) -> None:
    model = to_onnx(GRAPH)
    onnx.save(model, tmp_path / "model.onnx")
    keys = {read_graph(source).key for source in (model, model.SerializeToString(), tmp_path / "model.onnx")}
    assert keys == {GRAPH.key}


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_stepped_through_or_refused(content: bytes) -> None:
    with suppress(ValueError):
        lean(content)


def test_a_cut_file_is_refused() -> None:
    content = to_onnx(GRAPH, has_weights=False).SerializeToString()
    for share in (0.2, 0.9):
        with pytest.raises(InvalidModelError, match="expected"):
            read_graph(content[: int(share * len(content))])


def test_weights_are_not_read_from_disk(tmp_path: Path) -> None:
    """A weight of 1 GiB that is a hole in the file: nobody could have read it in this test's memory and time."""
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", 1, [1, 3])],
        [helper.make_tensor_value_info("y", 1, [1, 3])],
    )
    model = helper.make_model(graph)
    n_bytes = 1 << 30
    tensor = onnx.TensorProto(name="w", data_type=1, dims=[n_bytes // 4]).SerializeToString()
    tensor_length = len(tensor) + len(_tagged(9, n_bytes)) + n_bytes
    graph_content = graph.SerializeToString()
    graph_length = len(graph_content) + len(_tagged(5, tensor_length)) + tensor_length
    model.ClearField("graph")
    head = model.SerializeToString() + _tagged(7, graph_length) + graph_content + _tagged(5, tensor_length) + tensor + _tagged(9, n_bytes)
    path = tmp_path / "model.onnx"
    path.write_bytes(head)
    os.truncate(path, len(head) + n_bytes)
    assert [operator.op_type for operator in read_graph(path).operators] == ["Input", "Relu"]


def _tagged(number: int, length: int) -> bytes:
    """Return the tag and length of a field."""
    out = bytearray([number << 3 | 2])
    while length >= 0x80:
        out.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([*out, length])


@pytest.mark.parametrize("view", [GraphView.OPTIMISED, GraphView.CONVERTED])
def test_networks_with_nothing_to_fold_are_what_folding_makes_of_them(view: GraphView) -> None:
    """A node that folding computes away has the whole network folded; without it folding is passed over."""
    for name in plugin_names(SPACES):
        space = load_plugin(SPACES, name)()
        model = to_onnx(space.graph(space.sample(np.random.default_rng(3)), GraphView.AS_WRITTEN), has_weights=False)
        passed_over = read_graph(model, view)
        model.graph.node.append(helper.make_node("Shape", [model.graph.input[0].name], ["unread"]))
        assert read_graph(model, view).key == passed_over.key, name
