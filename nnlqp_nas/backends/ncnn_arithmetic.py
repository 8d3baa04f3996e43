"""Operators that compute, as ncnn's layers.

The layers are those that ncnn's own converter and optimiser choose: an activation belongs to the layer before
it, ``x * sigmoid(x)`` is one layer, and so are a product with a weight and the addition behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from .ncnn_draft import NcnnDraft, unsupported
from .ncnn_network import Parameter

Write = Callable[[NcnnDraft, onnx.NodeProto, dict[str, Any]], None]

UNARY = {"Abs": 0, "Neg": 1, "Floor": 2, "Ceil": 3, "Sqrt": 5, "Exp": 7, "Log": 8, "Sin": 9, "Cos": 10, "Reciprocal": 15}
BINARY = {"Add": 0, "Sub": 1, "Mul": 2, "Div": 3, "Max": 4, "Min": 5, "Pow": 6}
_SWAPPED = {1: 7, 3: 8}
"""Subtraction and division the other way round."""
RELU, LEAKY_RELU, _CLIP, SIGMOID, HARD_SWISH = 1, 2, 3, 4, 6
"""Numbers of activations that a convolution applies itself."""
_BIAS = {"InnerProduct": (1, 0, 1), "Gemm": (10, -1, 4)}
"""Of layers that multiply with a weight: the parameter that tells of a bias, its value without one and with one."""
_LARGEST_FLOAT = 3.4028235e38


def write_pass_on(w: NcnnDraft, node: onnx.NodeProto, _: dict[str, Any]) -> None:
    """Write what changes nothing."""
    w.add("Noop", node, node.input[:1])


def layer_writer(kind: str, **parameters: tuple[int, float]) -> Write:
    """Return what writes a layer of one input; a parameter is an attribute with its number and default."""

    def write(w: NcnnDraft, node: onnx.NodeProto, a: dict[str, Any]) -> None:
        w.add(kind, node, node.input[:1], {key: float(a.get(name, default)) for name, (key, default) in parameters.items()})

    return write


def activation_writer(kind: str, number: int, **parameters: tuple[int, float]) -> Write:
    """Return what writes an activation: as part of the layer before it where only it reads that one."""

    def write(w: NcnnDraft, node: onnx.NodeProto, a: dict[str, Any]) -> None:
        values = {key: float(a.get(name, default)) for name, (key, default) in parameters.items()}
        _activate(w, node, kind, number, values)

    return write


def _activate(w: NcnnDraft, node: onnx.NodeProto, kind: str, number: int, values: dict[int, float]) -> None:
    x = node.input[0]
    if w.n_readers[x] == 1 and w.network.activate(x, number, list(values.values())):
        w.network.rename(x, node.output[0])
    else:
        w.add(kind, node, [x], dict(values))


def write_clip(w: NcnnDraft, node: onnx.NodeProto, _: dict[str, Any]) -> None:
    """Write a clip with either bound."""
    bounds = [
        float(w.weight(node.input[at])) if w.has(node, at) else default for at, default in ((1, -_LARGEST_FLOAT), (2, _LARGEST_FLOAT))
    ]
    _activate(w, node, "Clip", _CLIP, {0: bounds[0], 1: bounds[1]})


def write_gelu(w: NcnnDraft, node: onnx.NodeProto, a: dict[str, Any]) -> None:
    """Write Gelu."""
    w.add("GELU", node, node.input[:1], {0: int(a.get("approximate") == "tanh")})


def write_unary(w: NcnnDraft, node: onnx.NodeProto, _: dict[str, Any]) -> None:
    """Write a function of every element."""
    w.add("UnaryOp", node, node.input[:1], {0: UNARY[node.op_type]})


def _window(a: dict[str, Any], is_pool: bool = False) -> dict[int, Parameter]:
    """Kernel, dilations, strides and pads, by ncnn's numbers, which differ between convolutions and pools."""
    kernel, strides, pads = a["kernel_shape"], a["strides"], a["pads"]
    if is_pool:
        return {1: kernel[1], 11: kernel[0], 2: strides[1], 12: strides[0], 3: pads[1], 13: pads[0], 14: pads[3], 15: pads[2]}
    dilations = a.get("dilations", [1, 1])
    sizes = {1: kernel[1], 11: kernel[0], 2: dilations[1], 12: dilations[0], 3: strides[1], 13: strides[0]}
    return {**sizes, 4: pads[1], 14: pads[0], 15: pads[3], 16: pads[2]}


def _check_two_dimensional(node: onnx.NodeProto, a: dict[str, Any]) -> None:
    if len(a["kernel_shape"]) != 2:
        raise unsupported(node, f"a kernel of shape {tuple(a['kernel_shape'])}")


def write_conv(w: NcnnDraft, node: onnx.NodeProto, a: dict[str, Any]) -> None:
    """Write a convolution, or a transposed one."""
    _check_two_dimensional(node, a)
    if node.input[1] not in w.weights:
        raise unsupported(node, "a weight that is computed")
    weight, groups = w.weight(node.input[1]), a.get("group", 1)
    if node.op_type == "ConvTranspose":
        grouped = weight.reshape(groups, weight.shape[0] // groups, *weight.shape[1:])
        weight = grouped.swapaxes(1, 2)
        kind, extra = "Deconvolution", {18: a["output_padding"][1], 19: a["output_padding"][0]}
    else:
        kind, extra = "Convolution", {}
    weights = [(weight, True)] + ([(w.weight(node.input[2]), False)] if w.has(node, 2) else [])
    n_outputs = w.dimensions(node.output[0], node.op_type)[0]
    parameters = {0: n_outputs, **_window(a), 5: len(weights) - 1, 6: weight.size, **extra}
    if groups > 1:
        kind, parameters[7] = f"{kind}DepthWise", groups
    w.add(kind, node, node.input[:1], parameters, weights)


def write_pool(w: NcnnDraft, node: onnx.NodeProto, a: dict[str, Any]) -> None:
    """Write a maximum or mean over windows."""
    _check_two_dimensional(node, a)
    if len(node.output) > 1 or set(a.get("dilations", [1])) != {1}:
        raise unsupported(node, "dilations or indices")
    size, result = (w.dimensions(name, node.op_type)[1:] for name in (node.input[0], node.output[0]))
    pads = list(a["pads"])
    for i in (0, 1):
        # What a last window needs that sticks out; so every way of rounding is the same pool.
        reach = (result[i] - 1) * a["strides"][i] + a["kernel_shape"][i] - size[i] - pads[i]
        if reach > pads[2 + i] and a.get("count_include_pad"):
            raise unsupported(node, "ceil_mode and count_include_pad")
        pads[2 + i] = max(pads[2 + i], reach)
    is_average = node.op_type == "AveragePool"
    window = _window({**a, "pads": pads}, is_pool=True)
    w.add("Pooling", node, node.input, {0: int(is_average), **window, 5: 1, 6: a.get("count_include_pad", 0)})


def write_global_pool(w: NcnnDraft, node: onnx.NodeProto, _: dict[str, Any]) -> None:
    """Write a maximum or mean over the map."""
    dimensions = w.dimensions(node.output[0], node.op_type)
    pooled = f"{node.output[0]}_channels"
    w.add("Pooling", node, node.input, {0: int(node.op_type == "GlobalAveragePool"), 4: 1}, output=pooled)
    w.reshaped(node, pooled, dimensions, node.output[0])


def write_batch_norm(w: NcnnDraft, node: onnx.NodeProto, a: dict[str, Any]) -> None:
    """Write a batch normalisation."""
    scale, bias, mean, variance = (w.weight(name) for name in node.input[1:5])
    weights = [(one, False) for one in (scale, mean, variance, bias)]
    w.add("BatchNorm", node, node.input[:1], {0: scale.size, 1: float(a.get("epsilon", 1e-5))}, weights)


def write_layer_norm(w: NcnnDraft, node: onnx.NodeProto, a: dict[str, Any]) -> None:
    """Write a normalisation over the last dimension."""
    rank = len(w.shapes[node.input[0]])
    if a.get("axis", -1) not in (-1, rank - 1) or len(node.output) > 1:
        raise unsupported(node, "an axis that is not the last")
    scale = w.weight(node.input[1])
    bias = w.weight(node.input[2]) if w.has(node, 2) else np.zeros_like(scale)
    parameters: dict[int, Parameter] = {0: scale.size, 1: float(a.get("epsilon", 1e-5)), 2: 1}
    w.add("LayerNorm", node, node.input[:1], parameters, [(scale, False), (bias, False)])


def _product(w: NcnnDraft, node: onnx.NodeProto, weight: NDArray[np.float32], bias: NDArray[np.float32] | None) -> None:
    """Write a product with a weight of shape (outputs, inputs): of a vector one layer, of rows another, twice as fast there."""
    dimensions = w.dimensions(node.input[0], node.op_type)
    n_outputs, n_inputs = weight.shape
    if len(dimensions) == 1:
        weights = [(weight, True)] + ([] if bias is None else [(bias, False)])
        w.add("InnerProduct", node, node.input[:1], {0: n_outputs, _BIAS["InnerProduct"][0]: len(weights) - 1, 2: weight.size}, weights)
    elif len(dimensions) == 2:
        absent, present = _BIAS["Gemm"][1:]
        weights = [(weight, True)] + ([] if bias is None else [(bias, True)])
        constants: dict[int, Parameter] = {3: 1, 5: 1, 6: 1, 7: dimensions[0], 8: n_outputs, 9: n_inputs}
        w.add("Gemm", node, node.input[:1], {**constants, 10: absent if bias is None else present}, weights)
    else:
        raise unsupported(node, "a weight and more than two dimensions")


def write_gemm(w: NcnnDraft, node: onnx.NodeProto, a: dict[str, Any]) -> None:
    """Write a fully-connected layer."""
    if a.get("transA") or a.get("alpha", 1.0) != 1.0 or a.get("beta", 1.0) != 1.0 or node.input[1] not in w.weights:
        raise unsupported(node, "a factor, a transposed input or a weight that is computed")
    weight = w.weight(node.input[1])
    weight = weight if a.get("transB") else weight.T
    bias = w.weight(node.input[2]) if w.has(node, 2) else None
    if bias is not None:
        bias = np.broadcast_to(bias.reshape(-1), (weight.shape[0],))
    _product(w, node, weight, bias)


def write_matmul(w: NcnnDraft, node: onnx.NodeProto, _: dict[str, Any]) -> None:
    """Write a product with a weight or of two blobs."""
    x, y = node.input
    if y in w.weights and len(w.weights[y].dims) == 2:
        return _product(w, node, w.weight(y).T, None)
    if x in w.weights or y in w.weights or len(w.shapes[x]) != len(w.shapes[y]):
        raise unsupported(node, "a weight of other than two dimensions")
    return w.add("MatMul", node, node.input)


def write_binary(w: NcnnDraft, node: onnx.NodeProto, _: dict[str, Any]) -> None:
    """Write an operator of two arguments, broadcast."""
    x, y = _checked_pair(node)
    if _folds_bias(w, node, x, y) or _folds_swish(w, node, x, y):
        return
    operation = BINARY[node.op_type]
    for constant, other, number in ((y, x, operation), (x, y, _SWAPPED.get(operation, operation))):
        if constant in w.weights and prod(w.weights[constant].dims) == 1 and not (constant == x and node.op_type == "Pow"):
            w.add("BinaryOp", node, [other], {0: number, 1: 1, 2: float(w.weight(constant).reshape(-1)[0])})
            return
    rank = len(w.dimensions(node.output[0], node.op_type))
    w.add("BinaryOp", node, [w.blob(node, name, rank) for name in (x, y)], {0: operation})


def _checked_pair(node: onnx.NodeProto) -> tuple[str, str]:
    if len(node.input) != 2:
        raise unsupported(node, f"{len(node.input)} arguments")
    return node.input[0], node.input[1]


def _folds_bias(w: NcnnDraft, node: onnx.NodeProto, x: str, y: str) -> bool:
    """Give the bias that is added behind a product to the product."""
    if node.op_type != "Add" or y not in w.weights or x in w.weights or w.n_readers[x] > 1:
        return False
    layer = w.network.maker(x)
    if w.network.is_activated(layer):
        return False
    key, absent, present = _BIAS.get(layer.kind, (0, 0, 0))
    if layer.kind not in _BIAS or layer.parameters[key] != absent or list(w.weights[y].dims) != [layer.weights[0][0].shape[0]]:
        return False
    layer.parameters[key] = present
    layer.weights.append((w.weight(y), layer.kind == "Gemm"))
    w.network.rename(x, node.output[0])
    return True


def _folds_swish(w: NcnnDraft, node: onnx.NodeProto, x: str, y: str) -> bool:
    """Make one layer of x * sigmoid(x)."""
    if node.op_type != "Mul" or x in w.weights or y in w.weights:
        return False
    for gate, value in ((x, y), (y, x)):
        layer = w.network.maker(gate)
        if layer.kind == "Sigmoid" and layer.inputs == [value] and w.n_readers[gate] == 1:
            layer.kind = "Swish"
            w.network.rename(gate, node.output[0])
            return True
    return False
