"""Networks from ONNX files, ONNX models, PyTorch modules: all of them as model graphs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ..core import GraphView, InvalidModelError, ModelGraph, Operator, Shape
from . import operators as ops
from .arguments import DTYPE
from .batch_axis import without_batch
from .canonical import as_weight, canonicalise, python_value, steers
from .filed_graph import filed_reader
from .layer_builder import ZERO
from .model_folding import inlined, sort_nodes, static_shape, why_unknown, with_shapes
from .model_skeleton import MAX_ELEMENTS, Skeleton, skeleton_of
from .model_source import load_model
from .node_draft import Activation, Constant, DraftArgument, NodeDraft, Weight, as_operator
from .passes import viewed

if TYPE_CHECKING:
    import torch

_FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE, onnx.TensorProto.BFLOAT16)


def read_graph(
    model: str | os.PathLike[str] | bytes | onnx.ModelProto | torch.nn.Module | ModelGraph,
    view: GraphView = GraphView.OPTIMISED,
    input_shape: Sequence[int] | None = None,
) -> ModelGraph:
    """Return a network as a graph.

    Weights may be missing, the batch dimension may be of any size or symbolic: it becomes 1. The
    leading dimension of an input with two or more counts as the batch. Number formats of
    activations do not matter: a half-precision model has the graph of the single-precision one.

    Args:
        model: An ONNX file, its bytes, an ONNX model, a PyTorch module, or a graph.
        view: Whether what engines leave out stays in.
        input_shape: For a PyTorch module: shape of its input, without or with the batch
            dimension (C, H, W or N, C, H, W); None takes the module's attribute ``input_shape``.

    Raises:
        ModelNotFoundError: If there is no such file.
        InvalidModelError: If the model is not ONNX, has a cycle, control flow or unknown shapes.
        MissingExtraError: If a PyTorch module is given and torch cannot be imported.
    """
    if isinstance(model, ModelGraph):
        return viewed(model, view)
    graph = _read_proto(_as_proto(model, input_shape), view)
    return viewed(graph, view)


def _read_proto(model: onnx.ModelProto, view: GraphView) -> ModelGraph:
    try:
        skeleton = skeleton_of(inlined(model))
        sort_nodes(skeleton.model.graph)
        reread = filed_reader(skeleton)  # before the skeleton is folded
        skeleton.model.CopyFrom(with_shapes(skeleton.model, view))
        return replace(_Reader(skeleton).graph(), reread=reread)
    except InvalidModelError as error:  # names of a damaged file may hold anything
        raise InvalidModelError(" ".join(str(error).split())[:500]) from error
    except Exception as error:  # a damaged file can break any assumption: names that are no text, attributes of another type
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise InvalidModelError(
            f"expected a sound ONNX model, got one that breaks its reader ({reason}); check it with onnx.checker"
        ) from error


def _as_proto(
    model: str | os.PathLike[str] | bytes | onnx.ModelProto | torch.nn.Module, input_shape: Sequence[int] | None
) -> onnx.ModelProto:
    if isinstance(model, onnx.ModelProto):
        return model
    if isinstance(model, (str, bytes, os.PathLike)):
        return load_model(model)
    from .torch_module import export_module

    return export_module(model, input_shape)


class _Reader:
    """Turns the nodes of a skeleton into operators, one after the other."""

    def __init__(self, skeleton: Skeleton) -> None:
        self._skeleton = skeleton
        graph = skeleton.model.graph
        self._shapes: dict[str, Shape | None] = {}
        self._element_types: dict[str, int] = {}
        for value in [*graph.value_info, *graph.output, *graph.input]:
            self._shapes[value.name] = static_shape(value)
            self._element_types[value.name] = value.type.tensor_type.elem_type
        self._arguments: dict[str, DraftArgument] = {name: Weight(*weight) for name, weight in skeleton.weights.items()}
        for tensor in graph.initializer:
            self._arguments[tensor.name] = Constant(numpy_helper.to_array(tensor))
        self._opset = next(opset.version for opset in skeleton.model.opset_import if opset.domain in ("", "ai.onnx"))
        self._operators: list[Operator] = []
        self._sources: list[tuple[int, ...]] = []
        self._is_read = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}

    def graph(self) -> ModelGraph:
        graph = self._skeleton.model.graph
        for value in graph.input:
            if value.name not in self._skeleton.weights:
                self._add_input(value)
        for node in graph.node:
            self._add_node(node)
        outputs = [argument.node for output in graph.output if isinstance(argument := self._arguments[output.name], Activation)]
        if not outputs:
            raise InvalidModelError("expected an output that depends on the input, got constants only; export the network to ONNX again")
        self._operators = without_batch(self._operators, self._sources, self._skeleton.batch_size)
        return ModelGraph(tuple(self._operators), tuple(self._sources), tuple(dict.fromkeys(outputs)))

    def _append(self, name: str, operator: Operator, sources: tuple[int, ...]) -> int:
        self._operators.append(operator)
        self._sources.append(sources)
        self._arguments[name] = Activation(len(self._operators) - 1, operator.output)
        return len(self._operators) - 1

    def _add_input(self, value: onnx.ValueInfoProto) -> None:
        operator = ops.input_operator(self._shape(value.name, "the network's input"))
        element = value.type.tensor_type.elem_type
        if element not in _FLOATS:
            dtype = str(helper.tensor_dtype_to_np_dtype(element))
            operator = Operator(operator.op_type, ((DTYPE, dtype),), output=operator.output)
        self._append(value.name, operator, ())

    def _shape(self, name: str, where: str) -> Shape:
        shape = self._shapes.get(name)
        if shape is None:
            reason = why_unknown(self._skeleton.model)
            raise InvalidModelError(
                f"expected fixed shapes, got an unknown one behind {where} ({reason}); run onnx.shape_inference with fixed sizes"
            )
        size = 1
        for dimension in shape:
            size *= dimension
        if not 0 < size <= MAX_ELEMENTS:
            raise InvalidModelError(f"expected a tensor of sensible size, got {shape} behind {where}; check the model's sizes")
        return shape

    def _add_node(self, node: onnx.NodeProto) -> None:
        where = f"{node.op_type} '{node.name or node.output[0]}'" if node.output else node.op_type
        if _is_zero(node):
            self._append(node.output[0], Operator(ZERO, output=self._shape(node.output[0], where)), ())
            return
        arguments = [self._arguments[name] if name else None for name in node.input]
        if not any(isinstance(argument, Activation) for argument in arguments):
            self._add_constants(node, where)
            return
        n_outputs = max((at + 1 for at, name in enumerate(node.output) if name in self._is_read), default=1)
        is_split = node.op_type == "Split"
        shapes = [self._shape(name, where) if at < n_outputs or is_split else () for at, name in enumerate(node.output)]
        draft = NodeDraft(node.op_type, _attributes(node), arguments, shapes, self._opset, where)
        if node.op_type == "Cast":
            draft.attributes["is_float"] = int(self._element_types.get(node.input[0], 0) in _FLOATS)
        self._settle_constants(draft)
        self._finish(node, draft, n_outputs if n_outputs > 1 or is_split else 0)

    def _add_constants(self, node: onnx.NodeProto, where: str) -> None:
        """A node that reads weights only is a weight itself: engines compute it once, when they load the network."""
        for name in filter(None, node.output):
            element = self._element_types.get(name, onnx.TensorProto.FLOAT)
            dtype = "float32" if element in _FLOATS else str(helper.tensor_dtype_to_np_dtype(element))
            self._arguments[name] = Weight(self._shape(name, where), dtype)

    def _settle_constants(self, draft: NodeDraft) -> None:
        for at, argument in enumerate(draft.arguments):
            if isinstance(argument, Constant) and not steers(draft.op_type, at, argument.value):
                draft.arguments[at] = as_weight(argument.value)

    def _finish(self, node: onnx.NodeProto, draft: NodeDraft, n_parts: int) -> None:
        canonicalise(draft)
        first = draft.arguments[0] if draft.arguments else None
        if draft.is_alias and isinstance(first, Activation):
            self._arguments[node.output[0]] = first
            return
        operator, sources = as_operator(draft)
        owner = self._append(node.output[0], operator, sources)
        if not n_parts:
            return
        for at, name in enumerate(node.output):
            if name in self._is_read:
                self._append(name, ops.part_operator(operator, at, draft.outputs[at]), (owner,))


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {attribute.name: python_value(helper.get_attribute_value(attribute)) for attribute in node.attribute}


def _is_zero(node: onnx.NodeProto) -> bool:
    """A map of zeros, as engines and exporters write a dead branch."""
    if node.op_type != "ConstantOfShape":
        return False
    values = [numpy_helper.to_array(a.t) for a in node.attribute if a.name == "value"]
    return not values or (values[0].dtype.kind == "f" and not np.any(values[0]))
