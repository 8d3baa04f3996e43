"""A network node for node as its ONNX file has it: nothing folded, renamed or left out.

Every node keeps its operator type and attributes; one of several outputs is one operator for each.
Tensors that belong to a layer (a convolution's weight) are weights of its operator, all other
constants are nodes of the type ``Constant``, shared where the file shares them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import onnx
from onnx import AttributeProto, helper

from ..core import AttributeValue, InvalidModelError, ModelGraph, Operator, Shape
from . import operators as ops
from .batch_axis import without_batch
from .canonical import python_value
from .model_folding import inferred, static_shape
from .model_skeleton import WEIGHT_POSITIONS, Skeleton

CONSTANT = "Constant"
OWN_POSITIONS = {op_type: WEIGHT_POSITIONS[op_type] for op_type in ("Conv", "ConvTranspose", "Gemm", "BatchNormalization")} | {
    "InstanceNormalization": (1, 2),
    "Reshape": (1,),
}
"""Which arguments of an operator belong to it where they are constants."""

_PLAIN = (AttributeProto.INT, AttributeProto.INTS, AttributeProto.FLOAT, AttributeProto.FLOATS, AttributeProto.STRING)


def filed_reader(skeleton: Skeleton) -> Callable[[], ModelGraph | None]:
    """Return what reads a model node for node later on; it holds the model without its weights."""
    return partial(_read_filed, skeleton.model.SerializeToString(), frozenset(skeleton.weights), skeleton.batch_size)


def _read_filed(content: bytes, weights: frozenset[str], batch_size: int) -> ModelGraph | None:
    model = onnx.ModelProto.FromString(content)
    try:
        return _FiledReader(inferred(model), weights).graph(batch_size)
    except InvalidModelError:
        return None


class _FiledReader:
    """Turns the nodes of a model into operators, one after the other."""

    def __init__(self, model: onnx.ModelProto, weights: frozenset[str]) -> None:
        self._graph = model.graph
        self._shapes = {value.name: static_shape(value) for value in (*self._graph.value_info, *self._graph.output, *self._graph.input)}
        self._shapes |= {tensor.name: tuple(tensor.dims) for tensor in self._graph.initializer}
        self._constants = weights | {tensor.name for tensor in self._graph.initializer}
        self._place: dict[str, int] = {}
        self._operators: list[Operator] = []
        self._sources: list[tuple[int, ...]] = []

    def graph(self, batch_size: int) -> ModelGraph:
        for value in self._graph.input:
            if value.name not in self._constants:
                self._append(value.name, ops.input_operator(self._shape(value.name)), ())
        for node in self._graph.node:
            self._add_node(node)
        outputs = tuple(self._place[output.name] for output in self._graph.output if output.name in self._place)
        operators = without_batch(self._operators, self._sources, batch_size) if batch_size > 1 else self._operators
        return ModelGraph(tuple(operators), tuple(self._sources), tuple(dict.fromkeys(outputs)))

    def _append(self, name: str, operator: Operator, sources: tuple[int, ...]) -> None:
        self._place[name] = len(self._operators)
        self._operators.append(operator)
        self._sources.append(sources)

    def _shape(self, name: str) -> Shape:
        shape = self._shapes.get(name)
        if shape is None:
            raise InvalidModelError(f"expected fixed shapes, got an unknown one for '{name}'")
        return shape

    def _add_node(self, node: onnx.NodeProto) -> None:
        own = OWN_POSITIONS.get(node.op_type, ())
        weights = tuple(self._shape(name) for at, name in enumerate(node.input) if at in own and name in self._constants)
        names = [name for at, name in enumerate(node.input) if name and not (at in own and name in self._constants)]
        for name in names:
            if name in self._constants and name not in self._place:
                self._append(name, Operator(CONSTANT, output=self._shape(name)), ())
        unknown = next((name for name in names if name not in self._place), None)
        if unknown is not None:  # a further output whose shape inference does not tell
            raise InvalidModelError(f"expected fixed shapes, got an unknown one for '{unknown}'")
        sources = tuple(self._place[name] for name in names)
        inputs = tuple(self._operators[source].output for source in sources)
        attributes = _plain_attributes(node)
        for at, name in enumerate(node.output):
            if at == 0 or (name and self._shapes.get(name) is not None):
                self._append(name, Operator(node.op_type, attributes, inputs, weights, self._shape(name)), sources)


def _plain_attributes(node: onnx.NodeProto) -> tuple[tuple[str, AttributeValue], ...]:
    plain = (attribute for attribute in node.attribute if attribute.type in _PLAIN)
    return tuple(sorted((attribute.name, python_value(helper.get_attribute_value(attribute))) for attribute in plain))
