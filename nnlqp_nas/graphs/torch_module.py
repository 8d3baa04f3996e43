"""Model graphs as PyTorch modules, and PyTorch modules as ONNX models."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Sequence
from typing import Any

import onnx

from ..core import INPUT, InvalidModelError, MissingExtraError, ModelGraph, Shape
from .batch_axis import batch_axes
from .layer_builder import ZERO
from .onnx_opset import OPSET

try:
    import torch
    from torch import Tensor, nn
except ImportError as error:
    raise MissingExtraError("this needs torch, which is not installed: pip install torch") from error

from .torch_layers import layer_of

_Step = tuple[int, str, tuple[int, ...]]  # node, name of its layer, nodes it reads


def to_module(graph: ModelGraph) -> GraphModule:
    """Return a module that computes ``graph``: randomly initialised, trainable, for any batch size.

    Raises:
        UnsupportedError: If an operator has no PyTorch layer.
        MissingExtraError: If torch is not installed (when this file is imported).
    """
    return GraphModule(graph)


class GraphModule(nn.Module):
    """Interprets a :class:`ModelGraph`, one layer a node, named such as ``conv_3``.

    Attributes:
        layers: The layers, in the order of the nodes.
        input_shape: Shape of the first input, (1, C, H, W) for images.
    """

    def __init__(self, graph: ModelGraph) -> None:
        super().__init__()
        self.layers = nn.ModuleDict()
        self.input_shape: Shape = graph.input_shapes[0] if graph.input_shapes else ()
        self.input_shapes = graph.input_shapes
        self._steps: list[_Step] = []
        self._inputs = [node for node, operator in enumerate(graph.operators) if operator.op_type == INPUT]
        self._outputs = graph.outputs
        for node, (operator, axis) in enumerate(zip(graph.operators, batch_axes(graph), strict=True)):
            layer = layer_of(operator, axis)
            if layer is None:
                continue
            name = f"{operator.op_type.lower()}_{node}"
            self.layers[name] = layer
            is_zero = operator.op_type == ZERO
            self._steps.append((node, name, (self._inputs[0],) if is_zero else graph.sources[node]))
        self._spent = _last_reads(self._steps, {*self._inputs, *graph.outputs})

    def forward(self, *inputs: Tensor) -> Any:
        """Return the output, or a tuple of them.

        Shapes: each input as in ``input_shapes``, with any batch size; outputs likewise.
        """
        values: dict[int, Any] = dict(zip(self._inputs, inputs, strict=True))
        for node, name, sources in self._steps:
            values[node] = self.layers[name](*[values[source] for source in sources])
            for spent in self._spent[node]:
                del values[spent]
        outputs = tuple(values[node] for node in self._outputs)
        return outputs[0] if len(outputs) == 1 else outputs


def _last_reads(steps: list[_Step], kept: set[int]) -> dict[int, list[int]]:
    """Return, for each step, the values that nothing reads after it: a module written by hand drops them there too."""
    last: dict[int, int] = {}
    for node, _, sources in steps:
        last |= dict.fromkeys((node, *sources), node)
    spent: dict[int, list[int]] = {node: [] for node, _, _ in steps}
    for value, node in last.items():
        if value not in kept:
            spent[node].append(value)
    return spent


def export_module(module: nn.Module, input_shape: Sequence[int] | Sequence[Sequence[int]] | None = None) -> onnx.ModelProto:
    """Return the ONNX model of a module, as it runs at inference, batch normalisation not folded.

    Args:
        module: Any module that ``torch.onnx.export`` can trace; left as it was.
        input_shape: (N, C, H, W), or without the batch dimension where there are fewer than four;
            a list of shapes for several inputs. None takes the module's attribute ``input_shape``.

    Raises:
        InvalidModelError: If the shape is not told, or tracing fails.
    """
    if not isinstance(module, nn.Module):
        raise InvalidModelError(f"expected a path, bytes, an ONNX model, a module or a graph, got {type(module).__name__}")
    shapes = _input_shapes(module, input_shape)
    modes = {part: part.training for part in module.modules()}
    reference = next((p for p in module.parameters()), torch.zeros(()))
    inputs = tuple(torch.zeros(shape, device=reference.device) for shape in shapes)
    file: Any = io.BytesIO()
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    try:
        logger.setLevel(logging.ERROR)
        module.eval()
        # Gradients stay on: without them, attention takes a fused path that ONNX cannot express.
        with warnings.catch_warnings(), torch.enable_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(module, inputs, file, opset_version=OPSET, dynamo=False, training=torch.onnx.TrainingMode.PRESERVE)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise InvalidModelError(f"expected a module that torch.onnx.export can trace with inputs of {shapes}, got: {reason}") from error
    finally:
        logger.setLevel(level)
        for part, is_training in modes.items():
            part.training = is_training
    model = onnx.ModelProto()
    model.ParseFromString(file.getvalue())
    return model


def _input_shapes(module: nn.Module, input_shape: Sequence[Any] | None) -> list[Shape]:
    chosen: Any = input_shape
    if chosen is None:
        chosen = getattr(module, "input_shapes", None) or getattr(module, "input_shape", None)
    if not chosen:
        raise InvalidModelError(f"expected the shape of the input of {type(module).__name__}, got none; give input_shape=(3, 224, 224)")
    several = [chosen] if isinstance(chosen[0], int) else list(chosen)
    return [tuple(shape) if len(shape) >= 4 or shape == getattr(module, "input_shape", None) else (1, *shape) for shape in several]
