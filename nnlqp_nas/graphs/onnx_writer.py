"""Model graphs as runnable ONNX files with seeded random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..core import INPUT, PART, AttributeValue, InvalidModelError, InvalidSettingError, ModelGraph, Operator
from .arguments import DTYPE, arguments_of, onnx_attributes, weight_dtypes
from .batch_axis import at_batch_size, batch_axes
from .canonical import schema_of
from .layer_builder import ZERO
from .onnx_opset import IR_VERSION, OPSET
from .random_weights import RandomWeights

_SHAPED: dict[str, tuple[str, ...]] = {"Reshape": (), "Expand": (), "Resize": ("", "")}


def to_onnx(graph: ModelGraph, batch_size: int = 1, seed: int = 0, has_weights: bool = True) -> onnx.ModelProto:
    """Return a runnable ONNX model of ``graph`` with random weights, or a small one that only describes it.

    Weights are scaled so that activations stay finite and far from denormal numbers through
    deep networks. The same arguments give the same bytes.

    Args:
        graph: The network, in either view.
        batch_size: Inputs per run; written into every shape.
        seed: Draws the weights.
        has_weights: False leaves the data of the weights out and keeps their shapes, as in NNLQP's data
            sets; the constants that steer an operator stay.

    Raises:
        InvalidSettingError: If ``batch_size`` is less than 1.
        InvalidModelError: If an attribute of an operator cannot be written.
    """
    writer = _writer(graph, batch_size, seed, has_weights)
    model = writer.model()
    # The data comes last and straight into its place: every step before it would copy all of it.
    for tensor in model.graph.initializer:
        if tensor.name in writer.values:
            tensor.raw_data = writer.values.pop(tensor.name).tobytes()
    return model


def write_onnx(path: Path, graph: ModelGraph, batch_size: int = 1, seed: int = 0) -> None:
    """Write what :func:`to_onnx` returns to a file, many times faster where there are many weights.

    Weights go from their arrays to the file without a copy in between: in protocol buffers, messages
    of one type that stand one behind the other are merged, so a tensor can be a message of its own.

    Args:
        path: The file to make.
        graph: The network, in either view.
        batch_size: Inputs per run; written into every shape.
        seed: Draws the weights.

    Raises:
        InvalidSettingError: If ``batch_size`` is less than 1.
        InvalidModelError: If an attribute of an operator cannot be written.
    """
    writer = _writer(graph, batch_size, seed, has_weights=True)
    model = writer.model()
    described = {tensor.name: tensor.SerializeToString() for tensor in model.graph.initializer if tensor.name in writer.values}
    kept = [tensor for tensor in model.graph.initializer if tensor.name not in writer.values]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    with path.open("wb") as file:
        file.write(model.SerializeToString())
        for name, description in described.items():
            value = np.ascontiguousarray(writer.values.pop(name))
            head = description + _head(TensorProto.RAW_DATA_FIELD_NUMBER, value.nbytes)
            inner = _head(onnx.GraphProto.INITIALIZER_FIELD_NUMBER, len(head) + value.nbytes) + head
            file.write(_head(onnx.ModelProto.GRAPH_FIELD_NUMBER, len(inner) + value.nbytes) + inner)
            file.write(value.reshape(-1).view(np.uint8).data)


def _head(field: int, size_bytes: int) -> bytes:
    """Return the wire format's head of a field of bytes: its number and its length."""
    head = bytearray()
    for number in (field << 3 | 2, size_bytes):
        while number > 0x7F:
            head.append(number & 0x7F | 0x80)
            number >>= 7
        head.append(number)
    return bytes(head)


def _writer(graph: ModelGraph, batch_size: int, seed: int, has_weights: bool) -> _Writer:
    if batch_size < 1:
        raise InvalidSettingError(f"expected a batch size >= 1, got {batch_size}")
    return _Writer(graph, batch_size, RandomWeights(graph, seed) if has_weights else None)


class _Writer:
    """Writes a model; its weights' data stand in ``values``, by name, and not in the model yet."""

    def __init__(self, graph: ModelGraph, batch_size: int, weights: RandomWeights | None) -> None:
        self._graph = graph
        self._shapes = [
            at_batch_size(operator.output, axis, batch_size) for operator, axis in zip(graph.operators, batch_axes(graph), strict=True)
        ]
        self._weights = weights
        self._n_parts = _count_parts(graph)
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[onnx.TensorProto] = []
        self.values: dict[str, npt.NDArray[np.generic]] = {}

    def model(self) -> onnx.ModelProto:
        for node in range(len(self._graph)):
            self._write(node)
        inputs = [
            self._value_info(node, self._graph.operators[node].attribute(DTYPE, "float32"))
            for node, operator in enumerate(self._graph.operators)
            if operator.op_type == INPUT
        ]
        outputs = [helper.make_empty_tensor_value_info(self._name(node)) for node in dict.fromkeys(self._graph.outputs)]
        graph = helper.make_graph(self._nodes, "network", inputs, outputs, self._initializers)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", self._opset())], ir_version=IR_VERSION, producer_name="nnlqp-nas"
        )
        self._describe_values(model)
        return model

    def _describe_values(self, model: onnx.ModelProto) -> None:
        """Fill in the types of results, which only inference knows (indices are integers, masks are bools)."""
        inferred = onnx.shape_inference.infer_shapes(model).graph
        elements = {info.name: info.type.tensor_type.elem_type for info in [*inferred.value_info, *inferred.output, *inferred.input]}
        written = {name for node in model.graph.node for name in node.output}
        leaving = {output.name: output for output in model.graph.output}
        for node, shape in enumerate(self._shapes):
            name = self._name(node)
            if name in written:
                info = leaving.get(name) or model.graph.value_info.add()
                info.CopyFrom(helper.make_tensor_value_info(name, elements.get(name) or TensorProto.FLOAT, shape))

    def _opset(self) -> int:
        pseudo = (INPUT, PART, ZERO)
        return max(OPSET, *(schema_of(o.op_type).since_version for o in set(self._graph.operators) if o.op_type not in pseudo), 0)

    def _name(self, node: int) -> str:
        operator = self._graph.operators[node]
        if operator.op_type != PART:
            return f"{operator.op_type}_{node}"
        return _part_name(self._graph.sources[node][0], int(str(operator.attribute("index"))))

    def _value_info(self, node: int, dtype: object) -> onnx.ValueInfoProto:
        element = helper.np_dtype_to_tensor_dtype(np.dtype(str(dtype)))
        return helper.make_tensor_value_info(self._name(node), element, self._shapes[node])

    def _write(self, node: int) -> None:
        operator = self._graph.operators[node]
        name = self._name(node)
        if operator.op_type in (INPUT, PART):
            return
        if operator.op_type == ZERO:
            target = self._constant(f"{name}_shape", np.array(self._shapes[node], np.int64))
            self._nodes.append(helper.make_node("ConstantOfShape", [target], [name], name=name))
            return
        arguments = self._arguments(node, operator, name)
        outputs = self._outputs(node, operator, name)
        proto = helper.make_node(operator.op_type, arguments, outputs, name=name)
        proto.attribute.extend(_attribute(operator.op_type, key, value) for key, value in onnx_attributes(operator).items())
        self._nodes.append(proto)

    def _arguments(self, node: int, operator: Operator, name: str) -> list[str]:
        if operator.op_type in _SHAPED:
            target = self._constant(f"{name}_shape", np.array(self._shapes[node], np.int64))
            return [self._name(self._graph.sources[node][0]), *_SHAPED[operator.op_type], target]
        written = []
        values = self._weights.of(node) if self._weights else _shapes_only(operator)
        for at, argument in enumerate(arguments_of(operator)):
            if argument.kind == "activation":
                written.append(self._name(self._graph.sources[node][argument.index]))
            elif argument.kind == "weight":
                value = self._fitted(node, operator, values[argument.index])
                written.append(self._weight(f"{name}_weight_{argument.index}", value))
            elif argument.kind == "constant":
                written.append(self._constant(f"{name}_input_{at}", _constant_array(argument.value)))
            else:
                written.append("")
        return written

    def _fitted(self, node: int, operator: Operator, value: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """A weight that is concatenated to an activation is repeated for every input of the batch."""
        if operator.op_type != "Concat" or self._shapes[node] == operator.output:
            return value
        repeats = tuple(a // b for a, b in zip(self._shapes[node], operator.output, strict=True))
        return np.tile(value, repeats)

    def _outputs(self, node: int, operator: Operator, name: str) -> list[str]:
        sizes = operator.attribute("input_1")
        n = len(sizes) if operator.op_type == "Split" and isinstance(sizes, tuple) else self._n_parts.get(node, 0)
        return [_part_name(node, index) for index in range(n)] if n else [name]

    def _weight(self, name: str, value: npt.NDArray[np.generic]) -> str:
        if self._weights:
            self.values[name] = value
        element = helper.np_dtype_to_tensor_dtype(value.dtype)
        self._initializers.append(TensorProto(name=name, dims=value.shape, data_type=element))
        return name

    def _constant(self, name: str, value: npt.NDArray[np.generic]) -> str:
        self._initializers.append(numpy_helper.from_array(value, name))
        return name


def _shapes_only(operator: Operator) -> list[npt.NDArray[np.generic]]:
    """Return arrays that have the shapes of the weights and take no memory."""
    dtypes = weight_dtypes(operator)
    return [np.broadcast_to(np.zeros((), dtype), shape) for shape, dtype in zip(operator.weights, dtypes, strict=True)]


def _count_parts(graph: ModelGraph) -> dict[int, int]:
    counts: dict[int, int] = {}
    for operator, sources in zip(graph.operators, graph.sources, strict=True):
        if operator.op_type == PART:
            counts[sources[0]] = max(counts.get(sources[0], 0), 1 + int(str(operator.attribute("index"))))
    return counts


def _part_name(owner: int, index: int) -> str:
    return f"{PART}_{owner}_{index}"


def _constant_array(value: AttributeValue) -> npt.NDArray[np.generic]:
    first = value[0] if isinstance(value, tuple) and value else value
    return np.array(value, np.float32 if isinstance(first, float) else np.int64)


def _attribute(op_type: str, name: str, value: AttributeValue) -> onnx.AttributeProto:
    try:
        if not value and isinstance(value, tuple):
            return helper.make_attribute(name, value, attr_type=onnx.AttributeProto.INTS)
        return helper.make_attribute(name, list(value) if isinstance(value, tuple) else value)
    except (TypeError, ValueError) as error:
        raise InvalidModelError(f"expected a number, text or list as attribute {name} of {op_type}, got {value!r}") from error
