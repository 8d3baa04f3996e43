"""Which operators of a model an engine refuses, for engines whose errors do not say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx


def refused_operators(path: Path, load: Callable[[bytes], object]) -> dict[str, str]:
    """Return the ONNX types of the operators that an engine cannot load, and the reason of each.

    Each operator is tried as a model of its own, operators that are alike once. Nothing comes back where the
    engine loads each of them and only stumbles over how they are joined.

    Args:
        path: An ONNX model.
        load: Loads a serialised model; raises where the engine refuses it.
    """
    import onnx
    from onnx.utils import Extractor

    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    extractor = Extractor(model)
    weights = {tensor.name for tensor in model.graph.initializer}
    refused: dict[str, str] = {}
    for node in _unlike(model):
        inputs = [name for name in dict.fromkeys(node.input) if name and name not in weights]
        try:
            load(extractor.extract_model(inputs, list(node.output)).SerializeToString())
        except Exception as error:  # engines raise what they like
            refused.setdefault(node.op_type, " ".join(str(error).split()))
    return refused


def _unlike(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The first of the nodes that have type, attributes and shapes in common."""
    graph = model.graph
    types = {value.name: value.type.SerializeToString() for value in (*graph.value_info, *graph.input, *graph.output)}
    shapes = {tensor.name: bytes(str(tensor.dims), "ascii") for tensor in graph.initializer}
    first: dict[object, onnx.NodeProto] = {}
    for node in graph.node:
        if any(node.input):
            attributes = tuple(attribute.SerializeToString() for attribute in node.attribute)
            read = tuple(types.get(name) or shapes.get(name) for name in node.input)
            first.setdefault((node.op_type, attributes, read), node)
    return list(first.values())
