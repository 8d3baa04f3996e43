"""Operators as PyTorch layers; those with weights are the layers a reader of PyTorch expects."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (everyone calls it so)

from ..core import INPUT, PART, Operator, Shape, UnsupportedError
from .arguments import arguments_of, onnx_attributes, weight_dtypes
from .batch_axis import at_batch_size
from .layer_builder import ZERO
from .torch_functions import FUNCTIONS, Attributes, torch_pads


def layer_of(operator: Operator, axis: int | None) -> nn.Module | None:
    """Return the layer that computes an operator, or None for a network input.

    Args:
        operator: What to compute.
        axis: Which axis of the result grows with the batch size.

    Raises:
        UnsupportedError: If there is no such layer.
    """
    op_type = operator.op_type
    if op_type == INPUT:
        return None
    if op_type in ("Reshape", "Flatten"):
        return nn.Flatten() if op_type == "Flatten" and operator.attribute("axis") == 1 else ReshapeLayer(operator.output, axis)
    if op_type == ZERO:
        return ZeroLayer(operator.output, axis)
    if op_type == PART:
        return PartLayer(int(str(operator.attribute("index"))))
    if op_type == "Identity":
        return IdentityLayer()
    if op_type in ("Resize", "Expand"):
        return _sized(operator, axis)
    layer = _weighted(operator)
    return layer if layer is not None else FunctionLayer(operator)


def _weighted(operator: Operator) -> nn.Module | None:
    weights, a = operator.weights, onnx_attributes(operator)
    is_plain = operator.attribute("positions") is None and bool(weights)
    if operator.op_type == "Conv" and is_plain:
        return _conv(operator, a)
    if operator.op_type == "BatchNormalization":
        norm = (nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[len(operator.output) - 2]
        return norm(weights[0][0], eps=float(str(a["epsilon"])))
    if operator.op_type == "LayerNormalization" and is_plain:
        return nn.LayerNorm(list(weights[0]), eps=float(str(a["epsilon"])), bias=len(weights) > 1)
    if operator.op_type == "InstanceNormalization":
        return nn.GroupNorm(weights[0][0], weights[0][0], eps=float(str(a["epsilon"])))
    if operator.op_type == "Gemm" and is_plain:
        return _linear(operator, a)
    if operator.op_type == "MatMul" and is_plain and len(weights[0]) == 2:
        return nn.Linear(weights[0][0], weights[0][1], bias=False)
    return None


def _conv(operator: Operator, a: Attributes) -> nn.Module:
    weight = operator.weights[0]
    n = len(weight) - 2
    pads = a["pads"]
    conv: Any = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[n - 1]
    is_even = pads[:n] == pads[n:]
    layer: nn.Module = conv(
        weight[1] * a["group"],
        weight[0],
        weight[2:],
        a["strides"],
        pads[:n] if is_even else 0,
        a["dilations"],
        a["group"],
        bias=len(operator.weights) > 1,
    )
    return layer if is_even else nn.Sequential(PadLayer(torch_pads(pads)), layer)


def _linear(operator: Operator, a: Attributes) -> nn.Module:
    if (a["alpha"], a["beta"], a["transA"]) != (1.0, 1.0, 0):
        raise UnsupportedError(f"expected a Gemm with alpha = beta = 1 and transA = 0, got {a}; a PyTorch layer cannot be made of it")
    rows, columns = operator.weights[0]
    out, features = (rows, columns) if a["transB"] else (columns, rows)
    return nn.Linear(features, out, bias=len(operator.weights) > 1)


def _sized(operator: Operator, axis: int | None) -> nn.Module:
    if operator.op_type == "Expand":
        return ExpandLayer(operator.output, axis)
    mode = {"nearest": "nearest", "linear": "bilinear", "cubic": "bicubic"}[str(operator.attribute("mode"))]
    aligns = operator.attribute("coordinate_transformation_mode") == "align_corners"
    return ResizeLayer(operator.output[2:], mode, aligns if mode != "nearest" else None)


class FunctionLayer(nn.Module):
    """An operator of :data:`FUNCTIONS`; its weights, where it has any, are parameters."""

    def __init__(self, operator: Operator) -> None:
        super().__init__()
        if operator.op_type not in FUNCTIONS:
            raise UnsupportedError(f"expected an operator with a PyTorch layer, got {operator.op_type}; add it to torch_functions.py")
        self._function = FUNCTIONS[operator.op_type]
        self._attributes: Attributes = onnx_attributes(operator)
        self._arguments = arguments_of(operator)
        self._name = operator.op_type
        self.weights = nn.ParameterList()
        for shape, dtype in zip(operator.weights, weight_dtypes(operator), strict=True):
            is_float = dtype == "float32"
            start = torch.randn(shape) * 0.02 if is_float else torch.zeros(shape, dtype=getattr(torch, dtype))
            self.weights.append(nn.Parameter(start, requires_grad=is_float))

    def extra_repr(self) -> str:
        return self._name

    def forward(self, *activations: Tensor) -> Any:
        if torch.onnx.is_in_onnx_export():
            activations = tuple(_Distinct.apply(x) if isinstance(x, Tensor) else x for x in activations)  # type: ignore[no-untyped-call]
        values: list[Any] = []
        for argument in self._arguments:
            if argument.kind == "activation":
                values.append(activations[argument.index])
            elif argument.kind == "weight":
                values.append(self._weight(argument.index, activations[0]))
            else:
                values.append(argument.value if argument.kind == "constant" else None)
        return self._function(values, self._attributes)

    def _weight(self, index: int, x: Tensor) -> Tensor:
        """A weight that is concatenated is repeated for every input of the batch."""
        weight: Tensor = self.weights[index]
        return weight.expand(x.shape[0], *weight.shape[1:]) if self._name == "Concat" and weight.shape[0] == 1 else weight


class ReshapeLayer(nn.Module):
    """Reshape at any batch size."""

    def __init__(self, shape: Shape, axis: int | None) -> None:
        super().__init__()
        self.shape = shape if axis is None else (*shape[:axis], -1, *shape[axis + 1 :])

    def extra_repr(self) -> str:
        return str(self.shape)

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(self.shape)


class ExpandLayer(nn.Module):
    """Expand at any batch size."""

    def __init__(self, shape: Shape, axis: int | None) -> None:
        super().__init__()
        self.shape = shape if axis is None else (*shape[:axis], -1, *shape[axis + 1 :])

    def forward(self, x: Tensor) -> Tensor:
        return x.expand(self.shape)


class ResizeLayer(nn.Module):
    """Resize to a fixed height and width."""

    def __init__(self, size: Shape, mode: str, aligns: bool | None) -> None:
        super().__init__()
        self.size, self.mode, self.aligns = size, mode, aligns

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, self.size, mode=self.mode, align_corners=self.aligns)


class ZeroLayer(nn.Module):
    """A map of zeros; reads the network's input for the batch size only."""

    def __init__(self, shape: Shape, axis: int | None) -> None:
        super().__init__()
        self.shape, self.axis = shape, axis

    def forward(self, x: Tensor) -> Tensor:
        return x.new_zeros(at_batch_size(self.shape, self.axis, x.shape[0]))


class PartLayer(nn.Module):
    """One of several results."""

    def __init__(self, index: int) -> None:
        super().__init__()
        self.index = index

    def forward(self, parts: tuple[Tensor, ...]) -> Tensor:
        return parts[self.index]


class PadLayer(nn.Module):
    """Zeros around a map, where the two ends differ."""

    def __init__(self, pads: list[int]) -> None:
        super().__init__()
        self.pads = pads

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, self.pads)


class IdentityLayer(nn.Module):
    """The input itself; a node of the exported graph, unlike ``nn.Identity``."""

    def forward(self, x: Tensor) -> Tensor:
        if not torch.onnx.is_in_onnx_export():
            return x
        y: Tensor = _ExportedIdentity.apply(x)  # type: ignore[no-untyped-call]
        return y


class _Distinct(torch.autograd.Function):
    """Nothing in the exported graph; keeps the exporter from merging equal layers that read one value."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def symbolic(_: Any, x: Any) -> Any:
        return x


class _ExportedIdentity(torch.autograd.Function):
    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def symbolic(g: Any, x: Any) -> Any:
        return g.op("Identity", x)
