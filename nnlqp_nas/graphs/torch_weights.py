"""ONNX models that this project wrote as PyTorch modules with the weights of the file."""

from __future__ import annotations

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from ..core import GraphView, InvalidModelError, ModelGraph, Operator
from .onnx_reader import read_graph
from .torch_module import GraphModule

Weight = NDArray[np.generic]
_WEIGHT = "_weight_"


def module_of(model: onnx.ModelProto) -> tuple[GraphModule, ModelGraph]:
    """Return the module of a model as :func:`to_onnx` writes it, in evaluation mode, and its graph as written.

    The weights are taken out of ``model``.

    Raises:
        InvalidModelError: If the weights of the file do not fit the layers.
        UnsupportedError: If an operator has no PyTorch layer.
    """
    filed = iter(_weights_by_node(model))
    graph = read_graph(model, GraphView.AS_WRITTEN)
    with torch.device("meta"):  # drawing weights that are replaced at once takes seconds for large networks
        module = GraphModule(graph).eval()
    for node, operator in enumerate(graph.operators):
        if operator.weights:
            layer = module.layers[f"{operator.op_type.lower()}_{node}"]
            layer.load_state_dict(_state(layer, operator, next(filed, [])), strict=False, assign=True)
    return module, graph


def _weights_by_node(model: onnx.ModelProto) -> list[list[Weight]]:
    """Take the weights out of the model; those of each node that has any, as the nodes stand in the file."""
    weights = {tensor.name: _taken(tensor) for tensor in model.graph.initializer if _WEIGHT in tensor.name}
    read = [[name for name in node.input if name in weights] for node in model.graph.node]
    return [[weights[name] for name in sorted(names, key=lambda name: int(name.rpartition("_")[2]))] for names in read if names]


def _taken(tensor: onnx.TensorProto) -> Weight:
    array = numpy_helper.to_array(tensor)
    tensor.ClearField("raw_data")  # its shape stays; reading a graph copies the model several times
    return array


def _state(layer: nn.Module, operator: Operator, weights: list[Weight]) -> dict[str, Tensor]:
    names = [name for name in layer.state_dict() if not name.endswith("num_batches_tracked")]
    if len(names) != len(weights):
        raise InvalidModelError(f"expected {len(names)} weights for {operator.op_type}, got {len(weights)}; write the model with to_onnx")
    state = layer.state_dict()
    return {name: _fitted(layer, operator, weight, state[name].shape) for name, weight in zip(names, weights, strict=True)}


def _fitted(layer: nn.Module, operator: Operator, weight: Weight, shape: torch.Size) -> Tensor:
    if isinstance(layer, nn.Linear) and weight.ndim == 2 and operator.attribute("transB") != 1:
        weight = weight.T
    if operator.op_type == "Concat":  # repeated for every input of the batch
        weight = weight[: shape[0]]
    if weight.shape != shape:
        raise InvalidModelError(f"expected a weight of {tuple(shape)} for {operator.op_type}, got {weight.shape}; write it with to_onnx")
    return torch.from_numpy(np.array(weight, order="C"))  # a copy: the file's bytes are read-only and aligned to nothing
