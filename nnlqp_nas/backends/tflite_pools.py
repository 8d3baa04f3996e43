"""Pools over windows and over whole maps, and reductions."""

from __future__ import annotations

from functools import partial

import numpy as np
from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]

from .tflite_network import CHANNELS_LAST, Node, TfliteNetwork, Value, Writer
from .tflite_windows import Windows

_LOWEST = float(np.finfo(np.float32).min)


def _write_max_pool(net: TfliteNetwork, node: Node) -> Value:
    """Behind a ReLU zeros are as low as any padding, and XNNPACK has a kernel for them."""
    x, windows = _read(net, node)
    padding = windows.padding
    if padding is None:
        x, padding = windows.pad(net, x, 0.0 if net.is_nonnegative(node.inputs[0]) else _LOWEST), schema.Padding.VALID
    return _write_pool(net, node, "MAX_POOL_2D", x, padding)


def _write_average_pool(net: TfliteNetwork, node: Node) -> Value:
    """TensorFlow Lite's ``SAME`` leaves padding out of averages; padding by an operator counts, which a factor corrects."""
    x, windows = _read(net, node)
    counts_padding = bool(node.attributes.get("count_include_pad", 0))
    padding, pads = windows.padding, node.attributes["pads"]
    if padding is not None and not (counts_padding and any(pads)):
        return _write_pool(net, node, "AVERAGE_POOL_2D", x, padding)
    pooled = _write_pool(net, node, "AVERAGE_POOL_2D", windows.pad(net, x, 0.0), schema.Padding.VALID)
    border = (tuple(pads[:2]), tuple(pads[2:])) if counts_padding else ((0, 0), (0, 0))
    factor = np.float32(np.prod(windows.extents)) / windows.count(*border)
    return pooled if (factor == 1).all() else net.emit_like("MUL", pooled, [net.numbers(factor[None, :, :, None])])


def _read(net: TfliteNetwork, node: Node) -> tuple[Value, Windows]:
    x = net.channels_last(node, node.inputs[0])
    if any(step != 1 for step in node.attributes["dilations"]):
        raise node.unsupported("with dilations")
    return x, Windows.of(node, x.shape, net.shapes[node.output])


def _write_pool(net: TfliteNetwork, node: Node, name: str, x: Value, padding: int) -> Value:
    shape = net.shapes[node.output]
    (stride_h, stride_w), (height, width) = node.attributes["strides"], node.attributes["kernel_shape"]
    options = schema.Pool2DOptionsT(padding=padding, strideH=stride_h, strideW=stride_w, filterHeight=height, filterWidth=width)
    return Value(net.emit(name, [x.tensor], [shape[axis] for axis in CHANNELS_LAST], options), shape, CHANNELS_LAST)


def _write_global_pool(net: TfliteNetwork, node: Node, name: str) -> Value:
    x = net.channels_last(node, node.inputs[0])
    return reduce(net, name, x, (2, 3))


def reduce(net: TfliteNetwork, name: str, x: Value, axes: tuple[int, ...]) -> Value:
    """Write a reduction over ONNX's ``axes``, which stay as 1."""
    result = Value(-1, tuple(1 if i in axes else n for i, n in enumerate(x.shape)), x.order)
    places = net.ints(sorted(x.order.index(axis) for axis in axes))
    tensor = net.emit(name, [x.tensor, places], result.stored, schema.ReducerOptionsT(keepDims=True))
    return Value(tensor, result.shape, x.order)


def _write_reduction(net: TfliteNetwork, node: Node, name: str) -> Value:
    x = net.values[node.inputs[0]]
    keeps = bool(node.attributes.get("keepdims", 1))
    x = x if keeps and not x.unfolded else net.plain(node.inputs[0])
    axes = net.constant(node.inputs[1]).tolist() if len(node.inputs) > 1 else range(len(x.shape))
    result = reduce(net, name, x, tuple(axis % len(x.shape) for axis in axes))
    if keeps:
        return result
    shape = net.shapes[node.output]
    return Value(net.reshape(result.tensor, shape), shape, tuple(range(len(shape))))


POOLS: dict[str, Writer] = {
    "AveragePool": _write_average_pool,
    "GlobalAveragePool": partial(_write_global_pool, name="MEAN"),
    "GlobalMaxPool": partial(_write_global_pool, name="REDUCE_MAX"),
    "MaxPool": _write_max_pool,
    "ReduceMax": partial(_write_reduction, name="REDUCE_MAX"),
    "ReduceMean": partial(_write_reduction, name="MEAN"),
    "ReduceMin": partial(_write_reduction, name="REDUCE_MIN"),
    "ReduceSum": partial(_write_reduction, name="SUM"),
}
