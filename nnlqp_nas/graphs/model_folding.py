"""Shapes of every value, constants folded: an ONNX model made ready to be read."""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from math import prod

import numpy as np
import onnx
import onnx_ir as ir
from onnx_ir.passes.common import IdentityEliminationPass, InlinePass, RemoveUnusedNodesPass
from onnxscript.optimizer import fold_constants_ir

from ..core import GraphView, InvalidModelError, Shape
from .model_skeleton import MAX_NODES

_KEPT_DOMAIN = "nnlqp_nas.kept"
_KEPT = frozenset({"Identity", "Dropout", "Cast", "Reshape", "Expand", "Concat", "Add", "Mul", "Gather", "Squeeze"})
_FLOAT = onnx.TensorProto.FLOAT
_LAYERS = frozenset(
    {"Conv", "ConvTranspose", "BatchNormalization", "LayerNormalization", "LRN", "Gemm", "MatMul", "Softmax", "Identity", "Dropout"}
    | {"Relu", "LeakyRelu", "PRelu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Erf", "Gelu", "Clip"}
    | {"MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "ReduceMean"}
    | {"Add", "Sub", "Mul", "Div", "Pow", "Sqrt", "Concat", "Flatten", "Reshape", "Transpose"}
)
"""Operators that folding leaves alone where they read an activation."""

_FOLDED_ELEMENTS = 1 << 16
_N_ROUNDS = 4
_ENLARGING = frozenset({"Range", "Expand", "Tile", "Pad", "Resize", "Upsample", "OneHot", "EyeLike", "ConstantOfShape"})
_ARITHMETIC = frozenset(
    {
        "Shape",
        "Size",
        "Gather",
        "Concat",
        "Slice",
        "Unsqueeze",
        "Squeeze",
        "Reshape",
        "Transpose",
        "Flatten",
        "Cast",
        "CastLike",
        "Identity",
    }
    | {"Add", "Sub", "Mul", "Div", "Mod", "Neg", "Abs", "Floor", "Ceil", "Round", "Sqrt", "Pow", "Exp", "Reciprocal", "Min", "Max", "Clip"}
    | {
        "Where",
        "Equal",
        "Less",
        "Greater",
        "LessOrEqual",
        "GreaterOrEqual",
        "Not",
        "And",
        "Or",
        "ReduceProd",
        "ReduceSum",
        "ReduceMax",
        "ReduceMin",
    }
)


def inlined(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with its functions written out.

    Raises:
        InvalidModelError: If functions call each other in a circle, or write out to too many nodes.
    """
    n_nodes = _count_nodes(model)
    if n_nodes > MAX_NODES:
        raise InvalidModelError(f"expected at most {MAX_NODES} nodes, got {n_nodes} with functions written out; export a smaller network")
    if not model.functions:
        return model
    try:
        parsed = ir.from_proto(model)
        InlinePass()(parsed)
        return ir.to_proto(parsed)
    except Exception as error:
        raise InvalidModelError(f"expected functions that can be written out, got {_one_line(error)}; export without functions") from error


def _count_nodes(model: onnx.ModelProto) -> int:
    """Number of nodes with functions written out, without writing them out: calls may double at each level."""
    functions = {(function.domain, function.name): function for function in model.functions}
    calls = {key: Counter((node.domain, node.op_type) for node in function.node) for key, function in functions.items()}
    try:
        order = list(TopologicalSorter({key: [k for k in called if k in functions] for key, called in calls.items()}).static_order())
    except CycleError as error:
        raise InvalidModelError("expected functions that do not call each other in a circle; export without functions") from error
    sizes: dict[tuple[str, str], int] = {}
    for key in order:
        sizes[key] = sum(n * sizes.get(called, 1) for called, n in calls[key].items())
    return sum(sizes.get((node.domain, node.op_type), 1) for node in model.graph.node)


def sort_nodes(graph: onnx.GraphProto) -> None:
    """Put the nodes into topological order.

    Raises:
        InvalidModelError: If there is a cycle, a value that nothing makes, or one made twice.
    """
    maker: dict[str, int] = {value.name: -1 for value in [*graph.input, *graph.initializer]}
    for at, node in enumerate(graph.node):
        for name in filter(None, node.output):
            if name in maker:
                raise InvalidModelError(f"expected every value to be made once, got '{name}' twice; export the network to ONNX again")
            maker[name] = at
    edges: dict[int, set[int]] = {}
    for at, node in enumerate(graph.node):
        missing = next((name for name in node.input if name and name not in maker), None)
        if missing is not None:
            raise InvalidModelError(
                f"expected every value to be made by a node, got '{missing}' from none; export the network to ONNX again"
            )
        edges[at] = {maker[name] for name in node.input if name} - {-1}
    unmade = next((output.name for output in graph.output if output.name not in maker), None)
    if unmade is not None:
        raise InvalidModelError(f"expected every output to be made by a node, got '{unmade}' from none; export the network to ONNX again")
    if all(max(sources, default=-1) < at for at, sources in edges.items()):
        return
    try:
        order = list(TopologicalSorter(edges).static_order())
    except CycleError as error:
        raise InvalidModelError("expected a network without cycles, got one; export the network to ONNX again") from error
    nodes = [graph.node[at] for at in order]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def with_shapes(model: onnx.ModelProto, view: GraphView) -> onnx.ModelProto:
    """Return the model with inferred shapes and folded constants; any view but the written one loses identities and dead nodes.

    Raises:
        InvalidModelError: If inference contradicts itself.
    """
    for _ in range(_N_ROUNDS):
        n_nodes = len(model.graph.node)
        model = inferred(model)
        if _is_settled(model.graph):
            return model
        model = _folded(model, view)
        if len(model.graph.node) == n_nodes:
            break
    return inferred(model)


def _is_settled(graph: onnx.GraphProto) -> bool:
    """Whether folding would change nothing: layers on activations alone, all of known shape, as most networks are.

    Folding takes three quarters of the time that a network takes to be read.
    """
    shapes = {value.name: static_shape(value) for value in (*graph.value_info, *graph.output)}
    constants = {tensor.name for tensor in graph.initializer}
    values = (*graph.value_info, *graph.input, *graph.output)
    activations = {value.name for value in values if value.type.tensor_type.elem_type == _FLOAT} - constants
    return all(
        node.op_type in _LAYERS
        and not activations.isdisjoint(node.input)
        and all(shapes.get(name) is not None for name in node.output if name)
        for node in graph.node
    )


def inferred(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with the shapes that inference tells.

    Raises:
        InvalidModelError: If inference contradicts itself.
    """
    try:
        return onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception as error:
        raise InvalidModelError(
            f"expected shapes that fit each other, got {_one_line(error)}; check the model with onnx.checker"
        ) from error


def static_shape(value: onnx.ValueInfoProto) -> Shape | None:
    """Return the shape of a value; None where a size is unknown."""
    tensor_type = value.type.tensor_type
    if not value.type.HasField("tensor_type") or not tensor_type.HasField("shape"):
        return None
    if not all(dim.HasField("dim_value") and dim.dim_value >= 0 for dim in tensor_type.shape.dim):
        return None
    return tuple(dim.dim_value for dim in tensor_type.shape.dim)


def why_unknown(model: onnx.ModelProto) -> str:
    """Return what strict shape inference complains of."""
    try:
        onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    except Exception as error:
        return _one_line(error)
    return "sizes that depend on the data"


def _folded(model: onnx.ModelProto, view: GraphView) -> onnx.ModelProto:
    constants = {tensor.name for tensor in model.graph.initializer}
    _hide(model.graph, constants)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            logging.getLogger("onnxscript").setLevel(logging.ERROR)
            parsed = ir.from_proto(model)
            fold_constants_ir(
                parsed, onnx_shape_inference=True, input_size_limit=1024, output_size_limit=_FOLDED_ELEMENTS, should_fold=_should_fold
            )
            if view is not GraphView.AS_WRITTEN:
                IdentityEliminationPass()(parsed)
                RemoveUnusedNodesPass()(parsed)
            folded = ir.to_proto(parsed)
    except Exception as error:
        raise InvalidModelError(
            f"expected constants that can be computed, got {_one_line(error)}; check the model with onnx.checker"
        ) from error
    for node in folded.graph.node:
        if node.domain == _KEPT_DOMAIN:
            node.domain = ""
    return folded


def _hide(graph: onnx.GraphProto, constants: set[str]) -> None:
    """Keep layers on activations from the folder, which takes identities, dropout and what it holds for one away."""
    floats = {
        value.name
        for value in [*graph.value_info, *graph.input, *graph.output]
        if value.type.tensor_type.elem_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE)
    }
    for node in graph.node:
        if node.op_type in _KEPT and not node.domain and any(name in floats and name not in constants for name in node.input):
            node.domain = _KEPT_DOMAIN


def _should_fold(node: ir.Node) -> bool | None:
    if node.op_type in _ARITHMETIC:
        return None
    if node.op_type not in _ENLARGING:
        return False
    sizes = node.outputs[0].shape
    is_small = (
        sizes is not None and all(isinstance(size, int) for size in sizes) and prod(int(str(size)) for size in sizes) <= _FOLDED_ELEMENTS
    )
    is_filler = node.op_type == "ConstantOfShape" and node.outputs[0].dtype is not ir.DataType.INT64
    return is_small and not is_filler


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
