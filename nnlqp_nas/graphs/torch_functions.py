"""ONNX operators without weights as PyTorch functions of (arguments, attributes)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (everyone calls it so)

Attributes = dict[str, Any]
Function = Callable[[list[Any], Attributes], Any]


def _clip(x: list[Any], _: Attributes) -> Tensor:
    low, high = [*x[1:], None, None][:2]
    return F.relu6(x[0]) if (low, high) == (0.0, 6.0) else torch.clamp(x[0], low, high)


def _hard_sigmoid(x: list[Any], a: Attributes) -> Tensor:
    if abs(a["alpha"] - 1 / 6) < 1e-6 and a["beta"] == 0.5:
        return F.hardsigmoid(x[0])
    return torch.clamp(a["alpha"] * x[0] + a["beta"], 0, 1)


def _max_pool(x: list[Any], a: Attributes) -> Tensor:
    function: Any = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[len(a["kernel_shape"]) - 1]
    y, pads = _with_even_pads(x[0], a["pads"], float("-inf"))
    pooled: Tensor = function(y, a["kernel_shape"], a["strides"], pads, a["dilations"], bool(a["ceil_mode"]))
    return pooled


def _avg_pool(x: list[Any], a: Attributes) -> Tensor:
    function: Any = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[len(a["kernel_shape"]) - 1]
    counts = bool(a["count_include_pad"])
    n = len(a["kernel_shape"])
    if a["pads"][:n] == a["pads"][n:]:
        pooled: Tensor = function(x[0], a["kernel_shape"], a["strides"], a["pads"][:n], bool(a["ceil_mode"]), counts)
        return pooled
    y, _ = _with_even_pads(x[0], a["pads"], 0.0)
    mean: Tensor = function(y, a["kernel_shape"], a["strides"], 0, bool(a["ceil_mode"]))
    if counts:
        return mean
    inside, _ = _with_even_pads(torch.ones_like(x[0]), a["pads"], 0.0)
    share: Tensor = function(inside, a["kernel_shape"], a["strides"], 0, bool(a["ceil_mode"]))
    return mean / share


def _with_even_pads(x: Tensor, pads: tuple[int, ...], value: float) -> tuple[Tensor, tuple[int, ...]]:
    """PyTorch pads both ends alike; ONNX may not."""
    n = len(pads) // 2
    if pads[:n] == pads[n:]:
        return x, pads[:n]
    return F.pad(x, torch_pads(pads), value=value), (0,) * n


def torch_pads(pads: tuple[int, ...]) -> list[int]:
    """Return ONNX's (begins, ends) in PyTorch's order, last axis first."""
    n = len(pads) // 2
    return [size for axis in reversed(range(n)) for size in (pads[axis], pads[n + axis])]


def _reduce(function: Callable[..., Any]) -> Function:
    def reduced(x: list[Any], a: Attributes) -> Tensor:
        y: Tensor = function(x[0], tuple(x[1]), keepdim=bool(a["keepdims"]))
        return y

    return reduced


def _extreme(function: Callable[[Tensor, Tensor], Tensor]) -> Function:
    def extreme(x: list[Any], _: Attributes) -> Tensor:
        y: Tensor = functools.reduce(lambda a, b: function(a, torch.as_tensor(b, device=x[0].device)), x)
        return y

    return extreme


def _global_avg_pool(x: list[Any], _: Attributes) -> Tensor:
    y: Tensor = x[0]
    return F.adaptive_avg_pool2d(y, 1) if y.dim() == 4 else y.mean(tuple(range(2, y.dim())), keepdim=True)


def _slice(x: list[Any], _: Attributes) -> Tensor:
    y: Tensor = x[0]
    for start, end, axis, step in zip(*x[1:5], strict=True):
        if step < 0:
            places = torch.arange(start, end, step, device=y.device)
            y = y.index_select(axis, places)
        else:
            y = y[(slice(None),) * axis + (slice(start, end, step),)]
    return y


def _gather(x: list[Any], a: Attributes) -> Tensor:
    axis = a["axis"]
    if isinstance(x[1], int):
        return torch.select(x[0], axis, x[1])
    places = torch.as_tensor(x[1], device=x[0].device)
    shape = (*x[0].shape[:axis], *places.shape, *x[0].shape[axis + 1 :])
    return torch.index_select(x[0], axis, places.reshape(-1)).reshape(shape)


def _pad(x: list[Any], a: Attributes) -> Tensor:
    mode = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}[a["mode"]]
    value = x[2] if len(x) > 2 and x[2] is not None else 0.0
    if mode == "constant":
        return F.pad(x[0], torch_pads(x[1]), mode, value)
    return F.pad(x[0], torch_pads(x[1])[: 2 * (x[0].dim() - 2)], mode)


def _softplus(x: list[Any], _: Attributes) -> Tensor:
    return F.softplus(x[0])


FUNCTIONS: dict[str, Function] = {
    "Relu": lambda x, _: F.relu(x[0]),
    "LeakyRelu": lambda x, a: F.leaky_relu(x[0], a["alpha"]),
    "Elu": lambda x, a: F.elu(x[0], a["alpha"]),
    "PRelu": lambda x, _: torch.where(x[0] < 0, x[0] * x[1], x[0]),
    "Clip": _clip,
    "Sigmoid": lambda x, _: torch.sigmoid(x[0]),
    "Tanh": lambda x, _: torch.tanh(x[0]),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": lambda x, _: F.hardswish(x[0]),
    "Gelu": lambda x, a: F.gelu(x[0], approximate=a["approximate"]),
    "Erf": lambda x, _: torch.erf(x[0]),
    "Exp": lambda x, _: torch.exp(x[0]),
    "Log": lambda x, _: torch.log(x[0]),
    "Sqrt": lambda x, _: torch.sqrt(x[0]),
    "Abs": lambda x, _: torch.abs(x[0]),
    "Neg": lambda x, _: -x[0],
    "Reciprocal": lambda x, _: 1 / x[0],
    "Softplus": _softplus,
    "Mish": lambda x, _: F.mish(x[0]),
    "Softmax": lambda x, a: torch.softmax(x[0], a["axis"]),
    "LogSoftmax": lambda x, a: torch.log_softmax(x[0], a["axis"]),
    "Dropout": lambda x, _: x[0],
    "Add": lambda x, _: x[0] + x[1],
    "Sub": lambda x, _: x[0] - x[1],
    "Mul": lambda x, _: x[0] * x[1],
    "Div": lambda x, _: x[0] / x[1],
    "Pow": lambda x, _: x[0] ** x[1],
    "Max": _extreme(torch.maximum),
    "Min": _extreme(torch.minimum),
    "Sum": lambda x, _: sum(x),
    "Concat": lambda x, a: torch.cat(x, a["axis"]),
    "MatMul": lambda x, _: torch.matmul(x[0], x[1]),
    "Transpose": lambda x, a: x[0].permute(a["perm"]),
    "MaxPool": _max_pool,
    "AveragePool": _avg_pool,
    "GlobalAveragePool": _global_avg_pool,
    "GlobalMaxPool": lambda x, _: x[0].amax(tuple(range(2, x[0].dim())), keepdim=True),
    "ReduceMean": _reduce(torch.mean),
    "ReduceSum": _reduce(torch.sum),
    "ReduceMax": _reduce(torch.amax),
    "ReduceMin": _reduce(torch.amin),
    "ReduceL2": _reduce(torch.linalg.vector_norm),
    "Slice": _slice,
    "Gather": _gather,
    "Pad": _pad,
    "Split": lambda x, a: torch.split(x[0], list(x[1]), a["axis"]),
    "LRN": lambda x, a: F.local_response_norm(x[0], a["size"], a["alpha"], a["beta"], a["bias"]),
    "DepthToSpace": lambda x, a: F.pixel_shuffle(x[0], a["blocksize"]),
    "SpaceToDepth": lambda x, a: F.pixel_unshuffle(x[0], a["blocksize"]),
    "Where": lambda x, _: torch.where(x[0], x[1], x[2]),
}
