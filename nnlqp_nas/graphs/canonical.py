"""One form for every way of writing a layer in ONNX, whichever opset or exporter wrote it.

Attributes have ONNX's defaults filled in, explicit pads, axes counted from the front; those that do
not steer inference are dropped. Where opsets moved an attribute to an input, the newest form stands.
Layers equal in effect are written one way: a mean over all spatial axes is a ``GlobalAveragePool``,
``Squeeze`` and ``Unsqueeze`` are a ``Reshape``, a reshape to (batch, rest) is a ``Flatten``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import isfinite, prod

import numpy as np
import numpy.typing as npt
import onnx

from ..core import AttributeValue, InvalidModelError
from .model_skeleton import WEIGHT_POSITIONS
from .node_draft import Activation, Constant, DraftArgument, NodeDraft, Weight, shape_of
from .onnx_opset import OPSET

_IRRELEVANT = frozenset(
    {"momentum", "training_mode", "storage_order", "auto_pad", "seed", "consumed_inputs", "spatial", "num_outputs", "allowzero"}
)
_COMMUTATIVE = frozenset({"Add", "Mul", "Max", "Min", "Sum", "Mean", "And", "Or", "Xor", "Equal"})
_WINDOWED = frozenset({"Conv", "ConvTranspose", "MaxPool", "AveragePool", "LpPool"})
_LARGEST_FLOAT = 3.4e38


def canonicalise(draft: NodeDraft) -> None:
    """Bring a node into its canonical form, in place.

    Raises:
        InvalidModelError: If ONNX knows no such operator, or an attribute is not a number, text or list.
    """
    if draft.op_type in _COMMUTATIVE and len(draft.arguments) == 2:
        draft.arguments.sort(key=_commuted)
    rewrite = _REWRITES.get(draft.op_type) or (_reduce if draft.op_type.startswith("Reduce") else None)
    if draft.op_type == "Conv":
        _check_channels(draft)
    if draft.op_type in _WINDOWED:
        _make_windows_explicit(draft)
    if rewrite is not None:
        rewrite(draft)
    _fill_defaults(draft)
    axis = draft.attributes.get("axis")
    if isinstance(axis, int) and axis < 0:
        draft.attributes["axis"] = axis + max(1, len(draft.shape))
    while draft.arguments and draft.arguments[-1] is None:
        draft.arguments.pop()


def _commuted(argument: DraftArgument) -> tuple[bool, bool, int]:
    """Activations first, the larger before the smaller; then weights, then constants."""
    is_activation = isinstance(argument, Activation)
    return isinstance(argument, Constant), not is_activation, -prod(shape_of(argument)) if is_activation else 0


@lru_cache(maxsize=1024)
def _schema_defaults(op_type: str) -> tuple[frozenset[str], tuple[tuple[str, AttributeValue], ...]]:
    schema = schema_of(op_type)
    defaults = []
    for name, attribute in schema.attributes.items():
        if attribute.default_value.name and name not in _IRRELEVANT:
            defaults.append((name, python_value(onnx.helper.get_attribute_value(attribute.default_value))))
    return frozenset(schema.attributes) - _IRRELEVANT, tuple(defaults)


@lru_cache(maxsize=1024)
def schema_of(op_type: str) -> onnx.defs.OpSchema:
    """Return ONNX's definition of an operator, that of opset 20 or the first one after it.

    Raises:
        InvalidModelError: If ONNX knows no such operator.
    """
    for version in (OPSET, onnx.defs.onnx_opset_version()):
        if onnx.defs.has(op_type, version, ""):
            return onnx.defs.get_schema(op_type, version, "")
    raise InvalidModelError(f"expected operators of ONNX, got '{op_type}'; export without custom operators")


def python_value(value: object) -> AttributeValue:
    """Return the value of an ONNX attribute as numbers, text, or a tuple of them.

    Raises:
        InvalidModelError: If it is a tensor or a graph.
    """
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, (int, float, str)):
        return value
    if isinstance(value, (list, tuple)) or hasattr(value, "__iter__"):
        return tuple(python_value(item) for item in value)  # type: ignore[return-value]
    raise InvalidModelError(f"expected attributes of numbers and text, got {type(value).__name__}; export without custom operators")


def _fill_defaults(draft: NodeDraft) -> None:
    known, defaults = _schema_defaults(draft.op_type)
    kept = {name: value for name, value in draft.attributes.items() if name in known}
    draft.attributes = dict(defaults) | kept


def _check_channels(draft: NodeDraft) -> None:
    """Shape inference takes a convolution's channels on trust."""
    weight, groups = shape_of(draft.arguments[1] if len(draft.arguments) > 1 else None), draft.attributes.get("group", 1)
    if len(weight) < 2 or not isinstance(groups, int) or weight[1] * groups != draft.shape[1] or weight[0] % max(groups, 1):
        raise InvalidModelError(f"expected a weight for {draft.shape} in {groups} groups, got {weight} for {draft.name}; check the model")


def _make_windows_explicit(draft: NodeDraft) -> None:
    attributes = draft.attributes
    window = attributes.get("kernel_shape") or shape_of(draft.arguments[1] if len(draft.arguments) > 1 else None)[2:]
    if not isinstance(window, tuple) or len(window) != len(draft.shape) - 2:
        raise InvalidModelError(f"expected a kernel for each spatial axis of {draft.shape}, got {window} for '{draft.name}'")
    n = len(window)
    attributes["kernel_shape"] = window
    attributes["strides"] = strides = attributes.get("strides") or (1,) * n
    attributes["dilations"] = dilations = attributes.get("dilations") or (1,) * n
    pads = attributes.get("pads") or (0,) * (2 * n)
    mode = attributes.get("auto_pad", "NOTSET")
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        totals = [_same_padding(draft, i, int(str(window[i])), _at(strides, i), _at(dilations, i)) for i in range(n)]
        small, large = tuple(t // 2 for t in totals), tuple(t - t // 2 for t in totals)
        pads = small + large if mode == "SAME_UPPER" else large + small
    attributes["pads"] = pads
    if draft.op_type == "ConvTranspose":
        attributes["output_padding"] = attributes.get("output_padding") or (0,) * n
        attributes.pop("output_shape", None)
    if draft.op_type == "AveragePool" and not any(pads if isinstance(pads, tuple) else ()) and not attributes.get("ceil_mode"):
        attributes["count_include_pad"] = 0


def _at(values: AttributeValue, i: int) -> int:
    return int(str(values[i])) if isinstance(values, tuple) and i < len(values) else 1


def _same_padding(draft: NodeDraft, i: int, kernel: int, stride: int, dilation: int) -> int:
    """Total padding of one axis; the output's size is known from inference."""
    size, result = draft.shape[2 + i], draft.output[2 + i]
    extent = dilation * (kernel - 1) + 1
    if draft.op_type == "ConvTranspose":
        return max(0, stride * (size - 1) + extent - result)
    return max(0, (result - 1) * stride + extent - size)


def _clip(draft: NodeDraft) -> None:
    low, high = draft.number(1, "min"), draft.number(2, "max")
    is_low, is_high = (bound is not None and isfinite(bound) and abs(bound) < _LARGEST_FLOAT for bound in (low, high))
    draft.op_type = "Clip" if is_low or is_high else "Identity"
    draft.set_constants(low if is_low else None, high if is_high else None)


def _reduce(draft: NodeDraft) -> None:
    rank = len(draft.shape)
    axes = draft.ints(1, "axes")
    if not axes and draft.attributes.get("noop_with_empty_axes"):
        draft.op_type = "Identity"
        del draft.arguments[1:]
        return
    axes = tuple(sorted({axis % rank for axis in axes})) if axes else tuple(range(rank))
    globals_ = {"ReduceMean": "GlobalAveragePool", "ReduceMax": "GlobalMaxPool"}
    if draft.op_type in globals_ and rank > 2 and axes == tuple(range(2, rank)) and draft.attributes.get("keepdims", 1):
        draft.op_type = globals_[draft.op_type]
        del draft.arguments[1:]
    else:
        draft.set_constants(axes)


def _reshape(draft: NodeDraft) -> None:
    """The output's shape says all."""
    del draft.arguments[1:]
    draft.attributes.clear()
    shape = draft.shape
    is_flat = len(shape) > 0 and draft.output == (shape[0], prod(shape[1:]))
    draft.op_type = "Flatten" if is_flat else "Reshape"
    if is_flat:
        draft.attributes["axis"] = 1


def _flatten(draft: NodeDraft) -> None:
    shape = draft.shape
    if draft.output == (shape[0] if shape else 1, prod(shape[1:])):
        draft.attributes["axis"] = 1


def _first_only(draft: NodeDraft) -> None:
    del draft.arguments[1:]
    draft.attributes.clear()


def _expand(draft: NodeDraft) -> None:
    del draft.arguments[1:]


def _resize(draft: NodeDraft) -> None:
    """The output's shape says what scales and sizes do."""
    del draft.arguments[1:]
    for name in ("scales", "height_scale", "width_scale", "axes", "keep_aspect_ratio_policy"):
        draft.attributes.pop(name, None)
    if draft.op_type == "Upsample" or draft.opset < 11:
        draft.attributes["coordinate_transformation_mode"] = "asymmetric"
        draft.attributes["nearest_mode"] = "floor"
    draft.op_type = "Resize"


def _split(draft: NodeDraft) -> None:
    axis = draft.attributes.get("axis", 0)
    axis = axis if isinstance(axis, int) else 0
    if not all(draft.outputs):
        raise InvalidModelError(f"expected known sizes behind '{draft.name}', got unknown ones; export with fixed sizes")
    draft.attributes.pop("split", None)
    draft.set_constants(tuple(output[axis] for output in draft.outputs))


def _pad(draft: NodeDraft) -> None:
    pads, value, axes = draft.ints(1, "pads") or draft.ints(1, "paddings"), draft.number(2, "value"), draft.ints(3, "axes")
    if pads is None:
        return
    rank = len(draft.shape)
    places = [axis % rank for axis in axes] if axes else list(range(rank))
    full = [0] * (2 * rank)
    for i, axis in enumerate(places[: len(pads) // 2]):
        full[axis], full[rank + axis] = pads[i], pads[len(pads) // 2 + i]
    draft.set_constants(tuple(full), value or None)


def _slice(draft: NodeDraft) -> None:
    starts, ends = draft.ints(1, "starts"), draft.ints(2, "ends")
    if starts is None or ends is None:
        return
    rank = len(draft.shape)
    axes = draft.ints(3, "axes") or tuple(range(len(starts)))
    steps = draft.ints(4, "steps") or (1,) * len(starts)
    cuts = []
    for axis, start, end, step in sorted(zip((axis % rank for axis in axes), starts, ends, steps, strict=True)):
        size = draft.shape[axis]
        if step > 0:
            start, end, step = slice(start, end, step).indices(size)
        else:
            start, end = max(-size, min(start, size - 1)), max(-size - 1, min(end, size - 1))
        if (start, end, step) != (0, size, 1):
            cuts.append((axis, start, end, step))
    draft.attributes.clear()
    if not cuts:
        draft.op_type = "Identity"
        del draft.arguments[1:]
        return
    axes, starts, ends, steps = zip(*cuts, strict=True)
    draft.set_constants(starts, ends, axes, steps)


def _transpose(draft: NodeDraft) -> None:
    draft.attributes["perm"] = draft.attributes.get("perm") or tuple(reversed(range(len(draft.shape))))


def _softmax(draft: NodeDraft) -> None:
    """Before opset 13 the default was axis 1, and all axes behind it counted as one."""
    if draft.opset < 13:
        axis = draft.attributes.setdefault("axis", 1)
        if isinstance(axis, int) and prod(draft.shape[axis + 1 :]) != 1 and draft.shape[axis:].count(1) == len(draft.shape) - axis - 1:
            draft.attributes["axis"] = len(draft.shape) - 1


def _top_k(draft: NodeDraft) -> None:
    draft.set_constants(draft.ints(1, "k"))


def _cast(draft: NodeDraft) -> None:
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE, onnx.TensorProto.BFLOAT16)
    draft.attributes.pop("saturate", None)
    draft.is_alias = draft.attributes.get("to") in floats and draft.attributes.pop("is_float", 0) == 1


def _sum(draft: NodeDraft) -> None:
    if len(draft.arguments) == 2:
        draft.op_type = "Add"
    if len(draft.arguments) == 1:
        draft.op_type = "Identity"


_REWRITES: dict[str, Callable[[NodeDraft], None]] = {
    "Clip": _clip,
    "Reshape": _reshape,
    "Squeeze": _reshape,
    "Unsqueeze": _reshape,
    "Flatten": _flatten,
    "Dropout": _first_only,
    "Expand": _expand,
    "Resize": _resize,
    "Upsample": _resize,
    "Split": _split,
    "Pad": _pad,
    "Slice": _slice,
    "Transpose": _transpose,
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
    "TopK": _top_k,
    "Cast": _cast,
    "Sum": _sum,
}


def steers(op_type: str, position: int, value: npt.NDArray[np.generic]) -> bool:
    """True where a constant argument steers the operator, False where it is a weight like any other."""
    if op_type in _STEERED and position in _STEERED[op_type]:
        return True
    if value.dtype in (np.int64, np.int32):
        return value.ndim <= 1 and value.size <= 64
    return value.dtype.kind == "f" and value.ndim == 0 and not _is_weight_position(op_type, position)


_STEERED = {"Clip": (1, 2), "Pad": (1, 2, 3), "Resize": (1, 2, 3), "Upsample": (1,), "Dropout": (1, 2)}


def _is_weight_position(op_type: str, position: int) -> bool:
    return position in WEIGHT_POSITIONS.get(op_type, ())


def as_weight(value: npt.NDArray[np.generic]) -> Weight:
    """Return a constant tensor as a weight."""
    return Weight(tuple(value.shape), "float32" if value.dtype.kind in "fV" else str(value.dtype))
