from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from nnlqp_nas.core import GraphView, InvalidSettingError, ModelGraph
from nnlqp_nas.graphs import LayerBuilder, read_graph, to_onnx, write_onnx
from nnlqp_nas.search_spaces.nasbench201 import NasBench201

Zoo = Callable[[GraphView], ModelGraph]
_SMALLEST_NORMAL = float(np.finfo(np.float32).tiny)


def run_every_node(model: onnx.ModelProto) -> list[np.ndarray]:
    names = [name for node in model.graph.node for name in node.output]
    watched = onnx.ModelProto.FromString(model.SerializeToString())
    del watched.graph.output[:]
    watched.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(watched.SerializeToString(), options, providers=["CPUExecutionProvider"])
    first = session.get_inputs()[0]
    x = np.random.default_rng(0).standard_normal(first.shape).astype(np.float32)
    return session.run(None, {first.name: x})


def assert_sound(values: list[np.ndarray]) -> None:
    for value in values:
        assert np.isfinite(value).all()
        size = np.abs(value)
        assert not ((size > 0) & (size < _SMALLEST_NORMAL)).any()
        assert size.max() < 1e4


@pytest.mark.parametrize("batch_size", [1, 8])
@pytest.mark.parametrize("view", list(GraphView))
def test_every_layer_runs_with_sound_activations(zoo: Zoo, view: GraphView, batch_size: int) -> None:
    model = to_onnx(zoo(view), batch_size)
    onnx.checker.check_model(model, full_check=True)
    values = run_every_node(model)
    assert values[-1].shape == (batch_size, 10)
    assert_sound(values)


@pytest.mark.parametrize("operation", ["none", "skip_connect", "nor_conv_3x3", "avg_pool_3x3"])
@pytest.mark.parametrize("view", list(GraphView))
def test_deep_cells_neither_explode_nor_vanish(operation: str, view: GraphView) -> None:
    space = NasBench201()
    values = run_every_node(to_onnx(space.graph(space.architecture(*[operation] * 6), view)))
    assert all(np.isfinite(value).all() for value in values)
    assert values[-1].std() > 1e-3 or (operation, view) == ("none", GraphView.OPTIMISED)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(zoo: Zoo) -> None:
    graph = zoo(GraphView.OPTIMISED)
    assert to_onnx(graph, seed=3).SerializeToString(deterministic=True) == to_onnx(graph, seed=3).SerializeToString(deterministic=True)
    assert to_onnx(graph, seed=3).SerializeToString(deterministic=True) != to_onnx(graph, seed=4).SerializeToString(deterministic=True)


def test_a_batch_size_below_one_is_refused(zoo: Zoo) -> None:
    with pytest.raises(InvalidSettingError, match="batch size >= 1"):
        to_onnx(zoo(GraphView.OPTIMISED), 0)


def test_an_input_of_features_runs_too() -> None:
    net = LayerBuilder()
    graph = net.finish(net.linear(net.relu(net.linear(net.input(7), 5)), 3))
    assert run_every_node(to_onnx(graph, 4))[-1].shape == (4, 3)


@pytest.mark.parametrize("batch_size", [1, 8])
@pytest.mark.parametrize("view", list(GraphView))
def test_without_weights_it_describes_the_same_network(zoo: Zoo, view: GraphView, batch_size: int) -> None:
    graph = zoo(view)
    model = to_onnx(graph, batch_size, has_weights=False)
    assert read_graph(model.SerializeToString(), view).key == graph.key
    assert model.ByteSize() < to_onnx(graph, batch_size).ByteSize() / 3
    floats = [tensor for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) > 1]
    assert floats
    assert not any(tensor.raw_data for tensor in floats)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_written_file_holds_the_model_that_is_returned(zoo: Zoo, batch_size: int, tmp_path: Path) -> None:
    net = LayerBuilder()
    x = net.linear(net.flatten(net.conv(net.input(3, 9, 9), 200, 3, bias=True)), 40)
    for graph in (zoo(GraphView.AS_WRITTEN), net.finish(x)):
        write_onnx(tmp_path / "model.onnx", graph, batch_size, seed=5)
        written, model = onnx.load(tmp_path / "model.onnx"), to_onnx(graph, batch_size, seed=5)
        for one in (written, model):
            one.graph.initializer.sort(key=lambda tensor: tensor.name)
        assert written == model
        run_every_node(written)
