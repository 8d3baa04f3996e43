"""Where the batch dimension of each value stands, so that a network of batch size 1 can run at another."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from ..core import INPUT, PART, AttributeValue, InvalidModelError, ModelGraph, Operator, Shape

_RESHAPING = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze"})
_BROADCASTING = frozenset({"Concat", "Add", "Sub", "Mul", "Div", "Where"})


# Which axis holds the batch, and how many of that axis' elements stand before it: a reshape of (L, N, C)
# to (L * N, C), as sequence-first attention does, leaves L before the batch inside axis 0.
_Place = tuple[int, int]


def batch_axes(graph: ModelGraph) -> list[int | None]:
    """Return, for each node, the axis of its result that grows with the batch size; None where none does."""
    return _batch_axes(graph.operators, graph.sources, 1)


def _batch_axes(operators: Sequence[Operator], sources: Sequence[tuple[int, ...]], batch_size: int) -> list[int | None]:
    places: list[_Place | None] = []
    for operator, read in zip(operators, sources, strict=True):
        places.append(_batch_place(operator, [places[source] for source in read], batch_size))
    return [None if place is None else place[0] for place in places]


def at_batch_size(shape: Shape, axis: int | None, batch_size: int) -> Shape:
    """Return ``shape`` with the batch axis as many times as long."""
    if axis is None:
        return shape
    return (*shape[:axis], shape[axis] * batch_size, *shape[axis + 1 :])


def _batch_place(operator: Operator, places: list[_Place | None], batch_size: int) -> _Place | None:
    if not places:
        return (0, 1) if operator.output and operator.op_type in (INPUT, "Zero") else None
    at = next((i for i, place in enumerate(places) if place is not None), None)
    if at is None:
        return None
    axis, n_before = places[at] or (0, 1)
    if operator.op_type in _RESHAPING:
        return _after_reshape(operator.inputs[at], axis, n_before, operator.output, batch_size)
    return _after_layer(operator, at, axis), n_before


def _after_layer(operator: Operator, at: int, axis: int) -> int:
    shape, output = operator.inputs[at], operator.output
    if operator.op_type == PART:
        return axis
    if operator.op_type == "Transpose":
        order = operator.attribute("perm")
        return order.index(axis) if isinstance(order, tuple) else len(shape) - 1 - axis
    if operator.op_type == "Gather":
        return _after_gather(operator, at, axis)
    if len(output) >= len(shape):
        return axis + len(output) - len(shape)
    return _after_reduction(operator, axis)


def _after_reshape(shape: Shape, axis: int, n_before: int, output: Shape, batch_size: int) -> _Place:
    """As many elements stand before the batch as did."""
    before = prod(shape[:axis]) * n_before
    if len(output) == 2:  # rows of features, for a matrix product: the batch is among the rows
        return 0, before
    exact = [k for k in range(len(output)) if prod(output[:k]) == before]
    if exact:
        return next((k for k in exact if output[k] % batch_size == 0), exact[0]), 1
    k = next((k for k in range(len(output)) if prod(output[: k + 1]) > before), 0)
    return k, max(1, before // prod(output[:k]))


def _after_gather(operator: Operator, at: int, axis: int) -> int:
    gathered = operator.attribute("axis", 0)
    gathered = gathered if isinstance(gathered, int) else 0
    if operator.attribute("positions") is not None:
        return gathered + axis
    return axis if axis < gathered else axis + len(operator.output) - len(operator.inputs[at])


def _after_reduction(operator: Operator, axis: int) -> int:
    reduced = operator.attribute("input_1", ())
    positions = reduced if isinstance(reduced, tuple) else (reduced,)
    return axis - sum(1 for at in positions if isinstance(at, int) and at < axis)


def without_batch(operators: list[Operator], sources: list[tuple[int, ...]], batch_size: int) -> list[Operator]:
    """Return the operators of a network of a fixed batch size as they are at batch size 1.

    Raises:
        InvalidModelError: If the batch dimension cannot be told from the others.
    """
    axes = _batch_axes(operators, sources, batch_size)
    return [
        Operator(
            *_type_and_attributes(operator, [axes[source] for source in read]),
            tuple(_divided(operator, shape, axes[source], batch_size) for shape, source in zip(operator.inputs, read, strict=True)),
            _weights_without_batch(operator, axis, batch_size),
            _divided(operator, operator.output, axis, batch_size),
        )
        for operator, read, axis in zip(operators, sources, axes, strict=True)
    ]


def _type_and_attributes(operator: Operator, axes: list[int | None]) -> tuple[str, tuple[tuple[str, AttributeValue], ...]]:
    """A flattening that puts a batch from another axis among the rows is a reshape at any other batch size."""
    if operator.op_type == "Flatten" and axes[0]:
        return "Reshape", ()
    return operator.op_type, operator.attributes


def _divided(operator: Operator, shape: Shape, axis: int | None, batch_size: int) -> Shape:
    if axis is None:
        return shape
    if axis >= len(shape) or shape[axis] % batch_size:
        where = f"{operator.op_type} {shape}"
        raise InvalidModelError(f"expected a batch dimension of {batch_size} in every map, lost it at {where}; export at batch size 1")
    return (*shape[:axis], shape[axis] // batch_size, *shape[axis + 1 :])


def _weights_without_batch(operator: Operator, axis: int | None, batch_size: int) -> tuple[Shape, ...]:
    """Tensors that an exporter expanded to the batch, such as a class token, shrink too."""
    if axis is None or operator.op_type not in _BROADCASTING:
        return operator.weights
    weights = []
    for shape in operator.weights:
        at = axis - (len(operator.output) - len(shape))
        weights.append((*shape[:at], 1, *shape[at + 1 :]) if at >= 0 and shape[at] == batch_size else shape)
    return tuple(weights)
