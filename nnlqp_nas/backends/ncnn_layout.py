"""Operators that move, join, cut and reduce values, as ncnn's layers; axes count without the batch there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import onnx

from .ncnn_draft import NcnnDraft, unsupported

REDUCTIONS = {"ReduceSum": 0, "ReduceMean": 3, "ReduceMax": 4, "ReduceMin": 5}
_ORDERS: Mapping[int, Sequence[str]] = {
    1: ("W",),
    2: ("WH", "HW"),
    3: ("WHC", "HWC", "WCH", "CWH", "HCW", "CHW"),
}
"""ncnn's orders of dimensions by their numbers, the innermost first."""
_LETTERS = {1: "W", 2: "HW", 3: "CHW"}
_PADDINGS = {"constant": 0, "edge": 1, "reflect": 2}
_NEAREST, _LINEAR, _CUBIC = 1, 2, 3


def _axis(node: onnx.NodeProto, axis: int, rank: int) -> int:
    """Return an axis of a value of ``rank`` dimensions, the batch among them, as ncnn counts it."""
    axis %= rank
    if axis == 0:
        raise unsupported(node, "the batch as axis")
    return axis - 1


def write_flatten(w: NcnnDraft, node: onnx.NodeProto, _: dict[str, Any]) -> None:
    """Write a flattening of all dimensions but the batch."""
    if len(w.dimensions(node.output[0], node.op_type)) != 1:
        raise unsupported(node, "the batch in it")
    w.add("Flatten", node, node.input)


def write_reshape(w: NcnnDraft, node: onnx.NodeProto, _: dict[str, Any]) -> None:
    """Write a reshape to the shape that was inferred."""
    w.reshaped(node, node.input[0], w.dimensions(node.output[0], node.op_type), node.output[0])


def write_transpose(w: NcnnDraft, node: onnx.NodeProto, a: dict[str, Any]) -> None:
    """Write a permutation that leaves the batch in front."""
    order = [place - 1 for place in a["perm"]]
    if order[0] != -1 or len(order) - 1 not in _ORDERS:
        raise unsupported(node, f"the order {tuple(a['perm'])}")
    letters = "".join(_LETTERS[len(order) - 1][place] for place in reversed(order[1:]))
    w.add("Permute", node, node.input, {0: _ORDERS[len(order) - 1].index(letters)})


def write_concat(w: NcnnDraft, node: onnx.NodeProto, a: dict[str, Any]) -> None:
    """Write a concatenation of blobs and weights."""
    rank = len(w.dimensions(node.output[0], node.op_type))
    blobs = [w.blob(node, name, rank) for name in node.input]
    w.add("Concat", node, blobs, {0: _axis(node, a["axis"], rank + 1)})


def write_split(w: NcnnDraft, node: onnx.NodeProto, a: dict[str, Any]) -> None:
    """Write a split into parts of given sizes."""
    rank = len(w.shapes[node.input[0]])
    axis = _axis(node, a.get("axis", 0), rank)
    parts = [w.dimensions(name, node.op_type)[axis] for name in node.output]
    used = [(name, part) for name, part in zip(node.output, parts, strict=True) if w.n_readers[name]]
    if len(used) < len(parts):
        raise unsupported(node, "parts that nothing reads")
    w.add("Slice", node, node.input[:1], {0: parts, 1: axis})


def _crop(w: NcnnDraft, node: onnx.NodeProto, cuts: Sequence[tuple[int, int, int]], output: str) -> None:
    axes, starts, ends = (list(one) for one in zip(*cuts, strict=True))
    w.add("Crop", node, node.input[:1], {9: starts, 10: ends, 11: axes}, output=output)


def write_slice(w: NcnnDraft, node: onnx.NodeProto, _: dict[str, Any]) -> None:
    """Write a cut without steps along any axes."""
    starts, ends, axes, steps = (w.constants(node, at) for at in (1, 2, 3, 4))
    shape = w.shapes[node.input[0]]
    axes = list(range(len(starts or []))) if axes is None else axes
    if starts is None or ends is None or set(steps or [1]) != {1}:
        raise unsupported(node, "steps")
    cuts = []
    for axis, start, end in zip(axes, starts, ends, strict=True):
        begin, stop, _step = slice(start, end).indices(shape[axis])
        cuts.append((_axis(node, axis, len(shape)), begin, stop))
    _crop(w, node, cuts, node.output[0])


def write_gather(w: NcnnDraft, node: onnx.NodeProto, a: dict[str, Any]) -> None:
    """Write the choice of one slice of an axis, or of neighbours."""
    indices = w.constants(node, 1)
    shape = w.shapes.get(node.input[0], ())
    if not indices or not shape or any(b != a + 1 for a, b in pairwise(indices)):
        raise unsupported(node, "indices that are computed or apart")
    axis = _axis(node, a.get("axis", 0), len(shape))
    begin = indices[0] % shape[axis + 1]
    cut = f"{node.output[0]}_cut"
    _crop(w, node, [(axis, begin, begin + len(indices))], cut)
    w.reshaped(node, cut, w.dimensions(node.output[0], node.op_type), node.output[0])


def write_pad(w: NcnnDraft, node: onnx.NodeProto, a: dict[str, Any]) -> None:
    """Write padding of height and width."""
    pads, rank = w.constants(node, 1) or [], len(w.shapes[node.input[0]])
    mode = a.get("mode", "constant")
    value = float(w.weight(node.input[2]).reshape(-1)[0]) if w.has(node, 2) else 0.0
    if rank != 4 or len(pads) != 8 or any(pads[at] for at in (0, 1, 4, 5)) or min(pads) < 0 or mode not in _PADDINGS:
        raise unsupported(node, "other than height and width padded")
    w.add("Padding", node, node.input[:1], {0: pads[2], 1: pads[6], 2: pads[3], 3: pads[7], 4: _PADDINGS[mode], 5: value})


def write_resize(w: NcnnDraft, node: onnx.NodeProto, a: dict[str, Any]) -> None:
    """Write a change of a map's size, as far as ncnn rounds and places pixels alike."""
    before, after = (w.dimensions(name, node.op_type) for name in (node.input[0], node.output[0]))
    if len(before) != 3 or before[0] != after[0] or a.get("antialias"):
        raise unsupported(node, "other than a map")
    mode, places = a.get("mode", "nearest"), a.get("coordinate_transformation_mode", "half_pixel")
    is_whole = all(large % small == 0 for small, large in zip(before[1:], after[1:], strict=True))
    if mode == "nearest" and (is_whole or (places == "asymmetric" and a.get("nearest_mode") == "floor")):
        kind = _NEAREST
    elif mode == "linear" and places in ("half_pixel", "pytorch_half_pixel", "align_corners") and min(after[1:]) > 1:
        kind = _LINEAR
    elif mode == "cubic" and places in ("half_pixel", "align_corners") and a.get("cubic_coeff_a", -0.75) == -0.75:
        kind = _CUBIC
    else:
        raise unsupported(node, f"{mode} and {places}")
    w.add("Interp", node, node.input[:1], {0: kind, 3: after[1], 4: after[2], 6: int(places == "align_corners")})


def write_softmax(w: NcnnDraft, node: onnx.NodeProto, a: dict[str, Any]) -> None:
    """Write a softmax along one axis."""
    # The second parameter tells files that count axes this way from older ones.
    w.add("Softmax", node, node.input, {0: _axis(node, a.get("axis", -1), len(w.shapes[node.input[0]])), 1: 1})


def write_reduce(w: NcnnDraft, node: onnx.NodeProto, a: dict[str, Any]) -> None:
    """Write a sum, mean or extreme over axes."""
    rank = len(w.shapes[node.input[0]])
    axes = w.constants(node, 1) or list(a.get("axes", ()))
    if not axes:
        raise unsupported(node, "the batch as axis")
    places = [_axis(node, axis, rank) for axis in axes]
    reduced = f"{node.output[0]}_reduced"
    w.add("Reduction", node, node.input[:1], {0: REDUCTIONS[node.op_type], 1: 0, 3: places, 4: 1, 5: 1}, output=reduced)
    w.reshaped(node, reduced, w.dimensions(node.output[0], node.op_type), node.output[0])
