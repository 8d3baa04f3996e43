from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from nnlqp_nas.core import GraphView, ModelGraph
from nnlqp_nas.graphs import LayerBuilder, graph_cost, read_graph, to_onnx
from nnlqp_nas.graphs.torch_module import to_module

Zoo = Callable[[GraphView], ModelGraph]
RESNET18_KEYS = {GraphView.AS_WRITTEN: "dde4f5bd6502c6f4e20fbc734f58e4ad", GraphView.OPTIMISED: "e2ff097d7f10511c9436f4f9319e7732"}


def model_of(
    nodes: list[onnx.NodeProto], inputs: dict[str, list[int | str]], weights: dict[str, np.ndarray], opset: int
) -> onnx.ModelProto:
    return helper.make_model(
        helper.make_graph(
            nodes,
            "network",
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
            [helper.make_empty_tensor_value_info("y")],
            [numpy_helper.from_array(value, name) for name, value in weights.items()],
        ),
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=8,
    )


def small_net() -> ModelGraph:
    net = LayerBuilder(GraphView.AS_WRITTEN)
    x = net.max_pool(net.relu6(net.batch_norm(net.conv(net.input(3, 16, 16), 8, 3, 2))), 2)
    x = net.add(x, net.avg_pool(x, 3, 1, 1))
    return net.finish(net.linear(net.flatten(net.global_avg_pool(net.concat([x, x]))), 5))


def test_the_seeds_resnet18(resnet18: Path) -> None:
    graph = read_graph(resnet18, GraphView.AS_WRITTEN)
    assert len(graph) == 70
    assert len(read_graph(resnet18)) == 50
    assert graph_cost(graph).params == 11_689_512
    assert graph_cost(graph).macs == 1_814_073_344
    for view, key in RESNET18_KEYS.items():
        assert read_graph(resnet18, view).key == key


def test_path_bytes_proto_and_graph_are_the_same_network(resnet18: Path) -> None:
    key = read_graph(resnet18).key
    assert read_graph(str(resnet18)).key == key
    assert read_graph(resnet18.read_bytes()).key == key
    assert read_graph(onnx.load(resnet18)).key == key
    assert read_graph(read_graph(resnet18, GraphView.AS_WRITTEN)).key == key


def test_reading_leaves_the_model_as_it_was(resnet18: Path) -> None:
    model = onnx.load(resnet18)
    before = model.SerializeToString(deterministic=True)
    read_graph(model)
    assert model.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize("batch", [8, "N", 0])
def test_resnet18_at_any_batch_is_the_same_network(resnet18: Path, batch: int | str) -> None:
    model = onnx.load(resnet18)
    first = model.graph.input[0].type.tensor_type.shape.dim[0]
    if isinstance(batch, str):
        first.dim_param = batch
    else:
        first.dim_value = batch
    model.graph.output[0].type.tensor_type.shape.dim[0].CopyFrom(first)
    assert read_graph(model).key == RESNET18_KEYS[GraphView.OPTIMISED]


@pytest.mark.parametrize("view", list(GraphView))
@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_what_is_written_is_read_back(zoo: Zoo, view: GraphView, batch_size: int) -> None:
    graph = zoo(view)
    assert read_graph(to_onnx(graph, batch_size), view).key == graph.key


def test_weights_may_be_removed(zoo: Zoo) -> None:
    graph = zoo(GraphView.AS_WRITTEN)
    model = to_onnx(graph)
    for tensor in model.graph.initializer:
        if "_weight_" in tensor.name:
            tensor.ClearField("raw_data")
    assert read_graph(model, GraphView.AS_WRITTEN).key == graph.key


def test_weights_may_be_inputs(resnet18: Path) -> None:
    model = onnx.load(resnet18)
    del model.graph.initializer[:]
    assert read_graph(model).key == RESNET18_KEYS[GraphView.OPTIMISED]


def test_external_data_is_never_opened(zoo: Zoo) -> None:
    graph = zoo(GraphView.AS_WRITTEN)
    model = to_onnx(graph)
    for tensor in model.graph.initializer:
        if "_weight_" in tensor.name:
            tensor.ClearField("raw_data")
            tensor.data_location = TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value="../../../etc/passwd")
    assert read_graph(model, GraphView.AS_WRITTEN).key == graph.key


@pytest.mark.parametrize("opset", [7, 9, 11, 13, 15, 17, 20])
def test_every_opset_of_the_exporter_gives_the_same_network(opset: int) -> None:
    graph, file = small_net(), io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            to_module(graph).eval(),
            (torch.zeros(1, 3, 16, 16),),
            file,  # type: ignore[arg-type]
            opset_version=opset,
            dynamo=False,
            training=torch.onnx.TrainingMode.PRESERVE,
        )
    assert read_graph(file.getvalue(), GraphView.AS_WRITTEN).key == graph.key


@pytest.mark.parametrize("opset", [21, 22, onnx.defs.onnx_opset_version()])
def test_newer_opsets_give_the_same_network(zoo: Zoo, opset: int) -> None:
    graph = zoo(GraphView.AS_WRITTEN)
    model = onnx.version_converter.convert_version(to_onnx(graph), opset)
    assert read_graph(model, GraphView.AS_WRITTEN).key == graph.key


def same(*models: onnx.ModelProto) -> bool:
    return len({read_graph(model).key for model in models}) == 1


def test_attributes_of_old_opsets_are_inputs_of_new_ones() -> None:
    x: dict[str, list[int | str]] = {"x": [1, 4, 8, 8]}
    bounds = {"low": np.array(0, np.float32), "high": np.array(6, np.float32)}
    assert same(
        model_of([helper.make_node("Clip", ["x"], ["y"], min=0.0, max=6.0)], x, {}, 6),
        model_of([helper.make_node("Clip", ["x", "low", "high"], ["y"])], x, bounds, 13),
    )
    axes = {"axes": np.array([-1, -2])}
    assert same(
        model_of([helper.make_node("ReduceMean", ["x"], ["y"], axes=[2, 3], keepdims=1)], x, {}, 11),
        model_of([helper.make_node("ReduceMean", ["x", "axes"], ["y"])], x, axes, 18),
        model_of([helper.make_node("GlobalAveragePool", ["x"], ["y"])], x, {}, 13),
    )
    pads = {"pads": np.array([0, 0, 1, 1, 0, 0, 1, 1])}
    assert same(
        model_of([helper.make_node("Pad", ["x"], ["y"], pads=[0, 0, 1, 1, 0, 0, 1, 1])], x, {}, 9),
        model_of([helper.make_node("Pad", ["x", "pads"], ["y"])], x, pads, 13),
    )
    cut = {"starts": np.array([1]), "ends": np.array([2**63 - 1]), "axes": np.array([-1])}
    assert same(
        model_of([helper.make_node("Slice", ["x"], ["y"], starts=[1], ends=[8], axes=[3])], x, {}, 9),
        model_of([helper.make_node("Slice", ["x", "starts", "ends", "axes"], ["y"])], x, cut, 13),
    )


def test_automatic_padding_is_made_explicit() -> None:
    x: dict[str, list[int | str]] = {"x": [1, 4, 9, 9]}
    weights = {"w": np.ones((2, 4, 3, 3), np.float32)}
    assert same(
        model_of([helper.make_node("Conv", ["x", "w"], ["y"], auto_pad="SAME_UPPER", strides=[2, 2])], x, weights, 11),
        model_of([helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1], strides=[2, 2])], x, weights, 11),
    )


def test_a_literal_batch_in_a_reshape_is_no_obstacle() -> None:
    def net(batch: int | str, target: list[int]) -> onnx.ModelProto:
        nodes = [helper.make_node("Reshape", ["x", "target"], ["h"]), helper.make_node("Gemm", ["h", "w"], ["y"], transB=1)]
        return model_of(nodes, {"x": [batch, 4, 3, 3]}, {"target": np.array(target), "w": np.ones((5, 36), np.float32)}, 13)

    assert same(net(8, [8, 36]), net(1, [1, 36]), net("N", [-1, 36]), net(8, [8, -1]))


def test_targets_computed_from_shapes_are_folded() -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["batch"]),
        helper.make_node("Unsqueeze", ["batch", "axes"], ["first"]),
        helper.make_node("Concat", ["first", "rest"], ["target"], axis=0),
        helper.make_node("Reshape", ["x", "target"], ["y"]),
    ]
    weights = {"zero": np.array(0), "axes": np.array([0]), "rest": np.array([2, -1])}
    graph = read_graph(model_of(nodes, {"x": ["N", 4, 3]}, weights, 13))
    assert [operator.op_type for operator in graph.operators] == ["Input", "Reshape"]
    assert graph.operators[1].output == (1, 2, 6)


def test_weights_before_activations_keep_their_place() -> None:
    weights = {"w": np.ones((4, 8), np.float32)}
    first = model_of([helper.make_node("Sub", ["w", "x"], ["y"])], {"x": [1, 4, 8]}, weights, 13)
    second = model_of([helper.make_node("Sub", ["x", "w"], ["y"])], {"x": [1, 4, 8]}, weights, 13)
    assert not same(first, second)
    again = read_graph(to_onnx(read_graph(first)))
    assert again.key == read_graph(first).key


def test_several_outputs_become_parts() -> None:
    nodes = [helper.make_node("Split", ["x", "sizes"], ["a", "b"], axis=1), helper.make_node("Concat", ["b", "a"], ["y"], axis=1)]
    model = model_of(nodes, {"x": [1, 4, 8, 8]}, {"sizes": np.array([1, 3])}, 13)
    graph = read_graph(model)
    assert [operator.op_type for operator in graph.operators] == ["Input", "Split", "Part", "Part", "Concat"]
    assert read_graph(to_onnx(graph, 2)).key == graph.key
    assert to_module(graph)(torch.zeros(2, 4, 8, 8)).shape == (2, 4, 8, 8)


def test_functions_are_written_out() -> None:
    body = [helper.make_node("Relu", ["a"], ["h"]), helper.make_node("Sigmoid", ["h"], ["b"])]
    function = helper.make_function("mine", "Layer", ["a"], ["b"], body, [helper.make_opsetid("", 13)])
    called = model_of([helper.make_node("Layer", ["x"], ["y"], domain="mine")], {"x": [1, 4]}, {}, 13)
    called.opset_import.append(helper.make_opsetid("mine", 1))
    called.functions.append(function)
    plain = model_of([helper.make_node("Relu", ["x"], ["h"]), helper.make_node("Sigmoid", ["h"], ["y"])], {"x": [1, 4]}, {}, 13)
    assert same(called, plain)


def test_identities_and_dropout_stay_as_written_and_go_optimised() -> None:
    nodes = [
        helper.make_node("Identity", ["x"], ["a"]),
        helper.make_node("Dropout", ["a"], ["b", "mask"], ratio=0.5),
        helper.make_node("Relu", ["b"], ["y"]),
    ]
    model = model_of(nodes, {"x": [1, 4]}, {}, 10)
    written = [operator.op_type for operator in read_graph(model, GraphView.AS_WRITTEN).operators]
    assert written == ["Input", "Identity", "Dropout", "Relu"]
    assert [operator.op_type for operator in read_graph(model).operators] == ["Input", "Relu"]
