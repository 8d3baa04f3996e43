"""An ONNX model on its way to ncnn: its values, their shapes without the batch, and the layers so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from ..core import UnsupportedError
from .ncnn_network import NcnnLayer, NcnnNetwork, Parameter

_SMALL = 1024
_N_DIMENSIONS = range(1, 5)


class NcnnDraft:
    """An ONNX model of batch size 1 and the ncnn network that is being made of it.

    Attributes:
        network: The layers so far.
        weights: The constants of the model by name.
        shapes: The shape of every other value, the batch dimension first.
        n_readers: How many nodes and outputs of the model read a value.
        inputs: Names of the inputs.
        outputs: Names of the outputs.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        graph = model.graph
        self.network = NcnnNetwork()
        self.weights = {one.name: one for one in graph.initializer}
        self.shapes = _infer_shapes(model)
        self.n_readers = Counter([name for node in graph.node for name in node.input] + [one.name for one in graph.output])
        self.inputs = [one.name for one in graph.input if one.name not in self.weights]
        self.outputs = [one.name for one in graph.output]
        for name in self.inputs:
            self.network.append(NcnnLayer("Input", name, [], [name], sizes(self.dimensions(name, "Input"))))

    def dimensions(self, name: str, op_type: str) -> tuple[int, ...]:
        """Return the sizes of a blob, which has no batch."""
        shape = self.shapes.get(name, ())
        if len(shape) - 1 not in _N_DIMENSIONS or shape[0] != 1:
            raise UnsupportedError(f"expected a batch of 1 and up to four dimensions behind it for ncnn, got {shape} at {op_type}")
        return shape[1:]

    def check(self, node: onnx.NodeProto) -> None:
        """Raise where a value of a node has no batch of 1 or too many dimensions."""
        for name in (*node.input, *node.output):
            if name and name not in self.weights:
                self.dimensions(name, node.op_type)

    def weight(self, name: str) -> NDArray[Any]:
        """Return a constant."""
        return numpy_helper.to_array(self.weights[name])

    def constants(self, node: onnx.NodeProto, at: int) -> list[int] | None:
        """Return the integers of a constant argument; None where it is left out."""
        if at >= len(node.input) or not node.input[at]:
            return None
        if node.input[at] not in self.weights:
            raise unsupported(node, "an argument that is computed")
        return [int(value) for value in self.weight(node.input[at]).reshape(-1)]

    def has(self, node: onnx.NodeProto, at: int) -> bool:
        """Whether an argument is given."""
        return at < len(node.input) and bool(node.input[at])

    def add(
        self,
        kind: str,
        node: onnx.NodeProto,
        inputs: Sequence[str],
        parameters: dict[int, Parameter] | None = None,
        weights: Sequence[tuple[NDArray[np.float32], bool]] = (),
        output: str = "",
    ) -> None:
        """Append a layer that makes ``output``, the node's where none is given."""
        outputs = [output] if output else list(node.output)
        self.network.append(NcnnLayer(kind, outputs[0], list(inputs), outputs, parameters or {}, list(weights)))

    def reshaped(self, node: onnx.NodeProto, blob: str, dimensions: tuple[int, ...], output: str) -> str:
        """Append a reshape and return the name of its result."""
        self.add("Reshape", node, [blob], sizes(dimensions), output=output)
        return output

    def blob(self, node: onnx.NodeProto, name: str, rank: int) -> str:
        """Return a blob of ``rank`` dimensions for an argument that is broadcast; a weight gets a layer of its own."""
        if name not in self.weights:
            own = self.dimensions(name, node.op_type)
            if len(own) == rank:
                return name
            return self.reshaped(node, name, (1,) * (rank - len(own)) + own, f"{node.output[0]}_{name}")
        value = self.weight(name)
        shape = (1,) * (rank + 1 - value.ndim) + value.shape
        if len(shape) != rank + 1 or shape[0] != 1:
            raise unsupported(node, f"a weight of shape {value.shape}")
        self.add("MemoryData", node, [], sizes(shape[1:]), [(value, False)], f"{node.output[0]}_{name}")
        return f"{node.output[0]}_{name}"


def _infer_shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all values; large weights are left out of the inference, which would copy them."""
    graph = model.graph
    small = [one for one in graph.initializer if prod(one.dims) <= _SMALL]
    large = [helper.make_tensor_value_info(one.name, one.data_type, one.dims) for one in graph.initializer if prod(one.dims) > _SMALL]
    light = helper.make_graph(graph.node, graph.name, [*graph.input, *large], graph.output, small)
    inferred = onnx.shape_inference.infer_shapes(helper.make_model(light, opset_imports=model.opset_import, ir_version=model.ir_version))
    values = [*inferred.graph.value_info, *inferred.graph.output, *graph.input]
    return {one.name: tuple(size.dim_value for size in one.type.tensor_type.shape.dim) for one in values}


def sizes(dimensions: tuple[int, ...]) -> dict[int, Parameter]:
    """Width, height, depth and channels as ncnn numbers them; the last dimension is the width."""
    keys = {1: (0,), 2: (1, 0), 3: (2, 1, 0), 4: (2, 11, 1, 0)}[len(dimensions)]
    return dict(zip(keys, dimensions, strict=True))


def attribute_value(attribute: onnx.AttributeProto) -> Any:
    """Return the value of an attribute, text decoded."""
    value = helper.get_attribute_value(attribute)
    return value.decode() if isinstance(value, bytes) else value


def unsupported(node: onnx.NodeProto, what: str) -> UnsupportedError:
    """Return the error that names an operator and what of it ncnn has not."""
    return UnsupportedError(f"expected operators that ncnn has, got {node.op_type} with {what}")
