"""What of an ONNX model decides its graph: nodes, shapes and small constants; weights become shapes.

The result of :func:`skeleton_of` is an ONNX model in which every large or missing weight is a graph
input, so that shape inference, folding and checking never touch weights, whether there or not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

import onnx
from onnx import TensorProto, helper, numpy_helper

from ..core import InvalidModelError, Shape
from .onnx_opset import IR_VERSION

MAX_NODES = 100_000
MAX_ELEMENTS = 2**40
_SMALL = 1024
_LATEST_OPSET = onnx.defs.onnx_opset_version()
_DEFAULT_DOMAINS = ("", "ai.onnx")
WEIGHT_POSITIONS = {
    "Conv": (1, 2),
    "ConvTranspose": (1, 2),
    "Gemm": (1, 2),
    "BatchNormalization": (1, 2, 3, 4),
    "InstanceNormalization": (1, 2),
    "LayerNormalization": (1, 2),
    "GroupNormalization": (1, 2),
    "PRelu": (1,),
    "LSTM": (1, 2, 3),
    "GRU": (1, 2, 3),
}


@dataclass
class Skeleton:
    """A model without weights.

    Attributes:
        model: The model; weights are graph inputs.
        weights: Shape and numpy number format of each of them, by name.
        batch_size: Leading dimension of the inputs; 1 where it is symbolic.
    """

    model: onnx.ModelProto
    weights: dict[str, tuple[Shape, str]] = field(default_factory=dict)
    batch_size: int = 1


def skeleton_of(model: onnx.ModelProto) -> Skeleton:
    """Return the model without its weights; ``model`` is not changed.

    Raises:
        InvalidModelError: If it has control flow, a cycle, an input of unknown shape or is not sound.
    """
    _check_opsets(model)
    skeleton = Skeleton(onnx.ModelProto(ir_version=IR_VERSION, producer_name="nnlqp-nas"))
    skeleton.model.opset_import.extend(model.opset_import)
    skeleton.model.functions.extend(model.functions)
    graph = skeleton.model.graph
    graph.name = "network"
    for tensor in model.graph.initializer:
        _keep_or_strip(tensor, tensor.name, skeleton)
    if model.graph.sparse_initializer:
        raise InvalidModelError("expected dense weights, got sparse initializers; export the network with dense weights")
    for node in model.graph.node:
        _add_node(node, skeleton)
    _add_inputs(model.graph, skeleton)
    graph.output.extend(onnx.ValueInfoProto(name=output.name) for output in model.graph.output)
    if not graph.output:
        raise InvalidModelError("expected a network with at least one output, got none; export the network to ONNX again")
    return skeleton


def _check_opsets(model: onnx.ModelProto) -> None:
    versions = [opset.version for opset in model.opset_import if opset.domain in _DEFAULT_DOMAINS]
    if not versions or not all(1 <= version <= _LATEST_OPSET for version in versions):
        raise InvalidModelError(f"expected an ONNX opset of 1 to {_LATEST_OPSET}, got {versions or 'none'}; export with one of these")


def _keep_or_strip(tensor: onnx.TensorProto, name: str, skeleton: Skeleton) -> None:
    shape = tuple(tensor.dims)
    if any(size < 0 for size in shape) or prod(shape) > MAX_ELEMENTS:
        raise InvalidModelError(f"expected a weight of sensible shape, got {shape} for '{name}'; the file is damaged")
    if tensor.data_type == TensorProto.STRING or tensor.data_type not in helper.get_all_tensor_dtypes():
        raise InvalidModelError(
            f"expected a tensor of numbers, got data type {tensor.data_type} for '{name}'; only numeric networks are read"
        )
    if prod(shape) <= _SMALL and _has_data(tensor):
        kept = skeleton.model.graph.initializer.add()
        kept.CopyFrom(tensor)
        kept.name = name
        try:
            numpy_helper.to_array(kept)
        except (ValueError, TypeError) as error:
            raise InvalidModelError(f"expected data for shape {shape}, got something else for '{name}'; the file is damaged") from error
        return
    _add_weight(name, shape, tensor.data_type, skeleton)


def _has_data(tensor: onnx.TensorProto) -> bool:
    if tensor.data_location == TensorProto.EXTERNAL:
        return False
    fields = (tensor.raw_data, tensor.float_data, tensor.int32_data, tensor.int64_data, tensor.double_data, tensor.uint64_data)
    return any(len(values) for values in fields) or 0 in tensor.dims


def _add_weight(name: str, shape: Shape, data_type: int, skeleton: Skeleton) -> None:
    dtype = "float32" if data_type in _FLOATS else str(helper.tensor_dtype_to_np_dtype(data_type))
    skeleton.weights[name] = (shape, dtype)
    skeleton.model.graph.input.append(helper.make_tensor_value_info(name, data_type, shape))


_FLOATS = (
    TensorProto.FLOAT,
    TensorProto.FLOAT16,
    TensorProto.DOUBLE,
    TensorProto.BFLOAT16,
)


def _add_node(node: onnx.NodeProto, skeleton: Skeleton) -> None:
    if node.op_type in ("If", "Loop", "Scan", "SequenceMap") or any(a.HasField("g") or a.graphs for a in node.attribute):
        raise InvalidModelError(
            f"expected a network without control flow, got {node.op_type} ('{node.name}'); export with fixed control flow"
        )
    if node.domain not in _DEFAULT_DOMAINS:
        where = f"{node.domain}.{node.op_type} '{node.name}'"
        raise InvalidModelError(f"expected operators of ONNX, got {where}; export without custom operators")
    if node.op_type == "Constant" and len(node.output) == 1 and len(node.attribute) == 1:
        _keep_or_strip(_constant_tensor(node.attribute[0]), node.output[0], skeleton)
        return
    skeleton.model.graph.node.add().CopyFrom(node)


def _constant_tensor(attribute: onnx.AttributeProto) -> onnx.TensorProto:
    if attribute.name == "value":
        return attribute.t
    kinds = {
        "value_float": TensorProto.FLOAT,
        "value_floats": TensorProto.FLOAT,
        "value_int": TensorProto.INT64,
        "value_ints": TensorProto.INT64,
    }
    if attribute.name not in kinds:
        raise InvalidModelError(f"expected a constant of numbers, got {attribute.name}; only numeric networks are read")
    values = {"value_float": [attribute.f], "value_floats": attribute.floats, "value_int": [attribute.i], "value_ints": attribute.ints}
    chosen = values[attribute.name]
    return helper.make_tensor("constant", kinds[attribute.name], [len(chosen)] if attribute.name.endswith("s") else [], chosen)


def _add_inputs(graph: onnx.GraphProto, skeleton: Skeleton) -> None:
    known = {tensor.name for tensor in graph.initializer}
    uses = _uses(graph)
    for value in graph.input:
        if value.name in known:
            continue
        tensor_type = value.type.tensor_type
        if not value.type.HasField("tensor_type") or not tensor_type.HasField("shape"):
            raise InvalidModelError(f"expected input '{value.name}' to be a tensor with a shape, got none; {_ADVICE}")
        if tensor_type.elem_type == TensorProto.STRING or tensor_type.elem_type not in helper.get_all_tensor_dtypes():
            raise InvalidModelError(
                f"expected input '{value.name}' to hold numbers, got data type {tensor_type.elem_type}; export it as a tensor of numbers"
            )
        shape = _input_shape(value.name, tensor_type.shape)
        if uses.get(value.name) == {True}:
            _add_weight(value.name, shape, tensor_type.elem_type, skeleton)
            continue
        skeleton.model.graph.input.append(helper.make_tensor_value_info(value.name, tensor_type.elem_type, shape))
        skeleton.batch_size = shape[0] if len(shape) > 1 and skeleton.batch_size == 1 else skeleton.batch_size


_ADVICE = "fix the sizes in the exporter, or set them in the file and run onnx.shape_inference"


def _input_shape(name: str, shape: onnx.TensorShapeProto) -> Shape:
    sizes = []
    for axis, dim in enumerate(shape.dim):
        is_known = dim.WhichOneof("value") == "dim_value" and dim.dim_value > 0
        if not is_known and axis > 0:
            raise InvalidModelError(
                f"expected fixed sizes behind the batch dimension of input '{name}', got axis {axis} unknown; {_ADVICE}"
            )
        sizes.append(dim.dim_value if is_known else 1)
    if prod(sizes) > MAX_ELEMENTS:
        raise InvalidModelError(f"expected input '{name}' of sensible shape, got {tuple(sizes)}; {_ADVICE}")
    return tuple(sizes)


def _uses(graph: onnx.GraphProto) -> dict[str, set[bool]]:
    """For each value: whether nodes read it as a weight, as stripped models list weights among their inputs."""
    uses: dict[str, set[bool]] = {}
    for node in graph.node:
        for at, name in enumerate(node.input):
            uses.setdefault(name, set()).add(at in WEIGHT_POSITIONS.get(node.op_type, ()))
    for output in graph.output:
        uses.setdefault(output.name, set()).add(False)
    return uses
