"""Operators that join values, or take parts of one."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]

from .tflite_network import Node, TfliteNetwork, Value, Writer


def _write_concat(net: TfliteNetwork, node: Node) -> Value:
    """Activations follow the first one's order of axes, weights too."""
    first = next(net.values[name] for name in node.inputs if not net.is_constant(name))
    order = tuple(range(len(first.shape))) if first.unfolded else first.order
    tensors = [
        net.numbers(net.constant(name).transpose(order)) if net.is_constant(name) else net.ordered(net.values[name], order).tensor
        for name in node.inputs
    ]
    shape = net.shapes[node.output]
    options = schema.ConcatenationOptionsT(axis=order.index(node.attributes["axis"] % len(shape)))
    return Value(net.emit("CONCATENATION", tensors, [shape[axis] for axis in order], options), shape, order)


def _write_split(net: TfliteNetwork, node: Node) -> list[Value]:
    x = _folded(net, node)
    shapes = [net.shapes[name] for name in node.outputs]
    axis = node.attributes["axis"] % len(x.shape)
    place = net.ints(x.order.index(axis))
    sizes = [shape[axis] for shape in shapes]
    results = [[shape[one] for one in x.order] for shape in shapes]
    if len(set(sizes)) == 1:
        tensors = net.file.add_operator("SPLIT", [place, x.tensor], results, schema.SplitOptionsT(numSplits=len(sizes)))
    else:
        arguments = [x.tensor, net.ints(sizes), place]
        tensors = net.file.add_operator("SPLIT_V", arguments, results, schema.SplitVOptionsT(numSplits=len(sizes)))
    return [Value(tensor, shape, x.order) for tensor, shape in zip(tensors, shapes, strict=True)]


def _write_gather(net: TfliteNetwork, node: Node) -> Value:
    """One slice of an axis is cut out and its axis dropped; several are gathered."""
    if not net.is_constant(node.inputs[1]) or net.is_constant(node.inputs[0]):
        raise node.unsupported("at indices that are computed")
    x, indices = net.plain(node.inputs[0]), net.constant(node.inputs[1])
    axis = node.attributes["axis"] % len(x.shape)
    indices = np.where(indices < 0, indices + x.shape[axis], indices)
    shape = net.shapes[node.output]
    plain = tuple(range(len(shape)))
    if indices.ndim == 0:
        begin = [int(indices) if i == axis else 0 for i in range(len(x.shape))]
        cut = tuple(1 if i == axis else n for i, n in enumerate(x.shape))
        return Value(net.reshape(net.emit("SLICE", [x.tensor, net.ints(begin), net.ints(cut)], cut), shape), shape, plain)
    return Value(net.emit("GATHER", [x.tensor, net.ints(indices)], shape, schema.GatherOptionsT(axis=axis)), shape, plain)


def _write_slice(net: TfliteNetwork, node: Node) -> Value:
    x, shape = _folded(net, node), net.shapes[node.output]
    starts, ends, axes, steps = (net.constant(name).tolist() for name in node.inputs[1:])
    if min(steps) < 1:
        raise node.unsupported("backwards")
    cuts = [(0, n, 1) for n in x.shape]
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        cuts[axis] = (start, end, step)
    bounds = [net.ints([cuts[axis][i] for axis in x.order]) for i in range(3)]
    stored = [shape[axis] for axis in x.order]
    if max(steps) == 1:
        return Value(net.emit("SLICE", [x.tensor, bounds[0], net.ints(stored)], stored), shape, x.order)
    return Value(net.emit("STRIDED_SLICE", [x.tensor, *bounds], stored, schema.StridedSliceOptionsT()), shape, x.order)


def _write_pad(net: TfliteNetwork, node: Node) -> Value:
    x, shape = _folded(net, node), net.shapes[node.output]
    pads = net.constant(node.inputs[1]).reshape(2, -1).T[list(x.order)]
    if node.attributes.get("mode", b"constant") != b"constant" or pads.min() < 0:
        raise node.unsupported("other than by a constant, outwards")
    filling = net.number(node, 2, 0.0)
    name, others = ("PADV2", [net.numbers(filling)]) if filling else ("PAD", [])
    return Value(net.emit(name, [x.tensor, net.ints(pads), *others], [shape[axis] for axis in x.order]), shape, x.order)


def _folded(net: TfliteNetwork, node: Node) -> Value:
    x = net.values[node.inputs[0]]
    return net.plain(node.inputs[0]) if x.unfolded else x


JOINS: dict[str, Writer] = {
    "Concat": _write_concat,
    "Gather": _write_gather,
    "Pad": _write_pad,
    "Slice": _write_slice,
    "Split": _write_split,
}
