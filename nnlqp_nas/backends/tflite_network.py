"""A network on its way from ONNX to TensorFlow Lite: what is known of its values, and what has been written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnx import numpy_helper

from ..core import UnsupportedError
from .tflite_file import TfliteFile

Shape = tuple[int, ...]
CHANNELS_LAST = (0, 2, 3, 1)
_LARGEST_STEERING = 64


@dataclass(frozen=True)
class Value:
    """An ONNX value and the tensor that holds it, its axes perhaps in another order.

    Attributes:
        tensor: Number of the tensor.
        shape: The shape that ONNX sees.
        order: Which of ONNX's axes each axis of the tensor is; ``(0, 2, 3, 1)`` for a map with channels last.
        unfolded: For a map that was flattened with channels last: its channels and sides as ONNX had them.
    """

    tensor: int
    shape: Shape
    order: tuple[int, ...]
    unfolded: Shape = ()

    @property
    def stored(self) -> Shape:
        """The tensor's own shape."""
        return tuple(self.shape[axis] for axis in self.order)


@dataclass
class Node:
    """An ONNX node; ``outputs`` moves on where a later node is written together with it."""

    op_type: str
    name: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]

    @property
    def output(self) -> str:
        return self.outputs[0]

    def unsupported(self, what: str) -> UnsupportedError:
        """Return the error for a form of the operator that cannot be written."""
        return UnsupportedError(f"expected operators that LiteRT has, got {self.op_type} {what} ({self.name}); run it on another engine")


class TfliteNetwork:
    """The ONNX side (shapes, constants, who reads what) and the file that is being written.

    Args:
        model: As this project writes them: fixed shapes, explicit attributes.
        is_quantised: Whether weights are stored as 8-bit integers, which kernels multiply with activations
            that they quantise as they run.
    """

    def __init__(self, model: onnx.ModelProto, is_quantised: bool) -> None:
        graph = model.graph
        self.is_quantised = is_quantised
        self.file = TfliteFile()
        self.values: dict[str, Value] = {}
        self.nodes = [_read_node(node) for node in graph.node]
        self.shapes = _infer_shapes(model)
        self._initializers = {one.name: one for one in graph.initializer}
        self._readers = {name: node for node in self.nodes for name in node.inputs}
        self._n_reads = Counter(name for node in self.nodes for name in node.inputs)
        self._n_reads.update(one.name for one in graph.output)
        self._reordered: dict[tuple[int, tuple[int, ...]], Value] = {}

    # What ONNX says.

    def is_constant(self, name: str) -> bool:
        return name in self._initializers

    def constant(self, name: str) -> NDArray[Any]:
        return numpy_helper.to_array(self._initializers[name])

    def number(self, node: Node, at: int, default: float) -> float:
        """Return the constant scalar that an argument holds, ``default`` where there is none."""
        if len(node.inputs) <= at or not node.inputs[at]:
            return default
        return float(self.constant(node.inputs[at]).reshape(()))

    def sole_reader(self, node: Node) -> Node | None:
        """Return the node that alone reads the first result of ``node``."""
        return self._readers.get(node.output) if self._n_reads[node.output] == 1 else None

    def absorb_activation(self, node: Node) -> int:
        """Return the activation function to write into ``node``: that of its sole reader, which is done with it then."""
        reader = self.sole_reader(node)
        kinds = schema.ActivationFunctionType
        kind = kinds.NONE
        if reader is not None and reader.op_type == "Relu":
            kind = kinds.RELU
        elif (
            reader is not None and reader.op_type == "Clip" and (self.number(reader, 1, -np.inf), self.number(reader, 2, np.inf)) == (0, 6)
        ):
            kind = kinds.RELU6
        if reader is not None and kind != kinds.NONE:
            node.outputs = reader.outputs
        return kind

    # What is written.

    def emit(self, name: str, inputs: Sequence[int], shape: Sequence[int], options: Any = None) -> int:
        """Write an operator of one result and return its tensor."""
        return self.file.add_operator(name, inputs, [shape], options)[0]

    def emit_like(self, name: str, value: Value, others: Sequence[int] = (), options: Any = None) -> Value:
        """Write an operator that keeps shape and order of its first argument."""
        return Value(self.emit(name, [value.tensor, *others], value.stored, options), value.shape, value.order, value.unfolded)

    def numbers(self, values: float | Sequence[float] | NDArray[Any]) -> int:
        """Return a constant of floats."""
        return self.file.add_constant(np.asarray(values, np.float32))

    def ints(self, values: int | Sequence[int] | NDArray[Any]) -> int:
        """Return a constant of integers."""
        return self.file.add_constant(np.asarray(values, np.int32))

    def weight(self, value: NDArray[np.float32], axis: int) -> int:
        """Return a constant of weights, ``axis`` that of the output channels."""
        return self.file.add_quantised(value, axis) if self.is_quantised else self.file.add_constant(value)

    # Values in the order of axes that an operator needs.

    def plain(self, name: str) -> Value:
        """Return a value with axes as ONNX has them."""
        return self.ordered(self.values[name], tuple(range(len(self.values[name].shape))))

    def channels_last(self, node: Node, name: str) -> Value:
        """Return a map as (N, H, W, C)."""
        if len(self.values[name].shape) != 4:
            raise node.unsupported(f"of a value of {len(self.values[name].shape)} dimensions")
        return self.ordered(self.values[name], CHANNELS_LAST)

    def ordered(self, value: Value, order: tuple[int, ...]) -> Value:
        """Return a value with its axes in this order, transposed once for all its readers."""
        if value.order == order and not value.unfolded:
            return value
        key = (value.tensor, order)
        if key not in self._reordered:
            self._reordered[key] = self._fold_back(value) if value.unfolded else self._transpose(value, order)
        return self._reordered[key]

    def reshape(self, tensor: int, shape: Sequence[int]) -> int:
        return self.emit("RESHAPE", [tensor, self.ints(shape)], shape, schema.ReshapeOptionsT(newShape=np.array(shape, np.int32)))

    def _transpose(self, value: Value, order: tuple[int, ...]) -> Value:
        result = Value(-1, value.shape, order)
        if is_same_in_memory(value.shape, value.order, order):
            tensor = self.reshape(value.tensor, result.stored)
        else:
            places = self.ints([value.order.index(axis) for axis in order])
            tensor = self.emit("TRANSPOSE", [value.tensor, places], result.stored)
        return Value(tensor, value.shape, order)

    def _fold_back(self, value: Value) -> Value:
        n, (channels, *sides) = value.shape[0], value.unfolded
        folded = self.reshape(value.tensor, (n, *sides, channels))
        places = self.ints([0, len(sides) + 1, *range(1, len(sides) + 1)])
        tensor = self.reshape(self.emit("TRANSPOSE", [folded, places], (n, channels, *sides)), value.shape)
        return Value(tensor, value.shape, (0, 1))


def is_same_in_memory(shape: Shape, order: Sequence[int], other: Sequence[int]) -> bool:
    """True where two orders of axes differ in axes of size 1 only."""
    return [axis for axis in order if shape[axis] != 1] == [axis for axis in other if shape[axis] != 1]


def _read_node(node: onnx.NodeProto) -> Node:
    attributes = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
    return Node(node.op_type, node.name, list(node.input), list(node.output), attributes)


def _infer_shapes(model: onnx.ModelProto) -> dict[str, Shape]:
    """Return the shape of every value, inferred on a copy without the weights' data."""
    graph = onnx.GraphProto(name=model.graph.name)
    graph.node.extend(model.graph.node)
    graph.input.extend(model.graph.input)
    graph.output.extend(model.graph.output)
    for one in model.graph.initializer:
        is_small = prod(one.dims) <= _LARGEST_STEERING
        graph.initializer.append(one if is_small else onnx.TensorProto(name=one.name, dims=one.dims, data_type=one.data_type))
    bare = onnx.ModelProto(graph=graph, ir_version=model.ir_version, opset_import=model.opset_import)
    inferred = onnx.shape_inference.infer_shapes(bare).graph
    known = [*inferred.input, *inferred.value_info, *inferred.output]
    return {one.name: tuple(dim.dim_value for dim in one.type.tensor_type.shape.dim) for one in known}
