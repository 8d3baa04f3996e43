"""Where the batch dimension of each value stands, so that a network of batch size 1 can run at another."""

from __future__ import annotations

from math import prod

from ..core import INPUT, PART, InvalidModelError, ModelGraph, Operator, Shape

_RESHAPING = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze"})
_BROADCASTING = frozenset({"Concat", "Add", "Sub", "Mul", "Div", "Where"})


def batch_axes(graph: ModelGraph) -> list[int | None]:
    """Return, for each node, the axis of its result that grows with the batch size; None where none does."""
    axes: list[int | None] = []
    for operator, sources in zip(graph.operators, graph.sources, strict=True):
        axes.append(batch_axis(operator, [axes[source] for source in sources]))
    return axes


def at_batch_size(shape: Shape, axis: int | None, batch_size: int) -> Shape:
    """Return ``shape`` with the batch axis as many times as long."""
    if axis is None:
        return shape
    return (*shape[:axis], shape[axis] * batch_size, *shape[axis + 1 :])


def batch_axis(operator: Operator, axes: list[int | None]) -> int | None:
    """Return the batch axis of an operator's result, given those of what it reads."""
    if operator.op_type == INPUT or not axes:
        return 0 if operator.output and operator.op_type in (INPUT, "Zero") else None
    at = next((i for i, axis in enumerate(axes) if axis is not None), None)
    if at is None:
        return None
    axis, shape, output = axes[at] or 0, operator.inputs[at], operator.output
    if operator.op_type == PART:
        return axis
    if operator.op_type == "Transpose":
        order = operator.attribute("perm")
        return order.index(axis) if isinstance(order, tuple) else len(shape) - 1 - axis
    if operator.op_type in _RESHAPING:
        return _after_reshape(shape, axis, output)
    if operator.op_type == "Gather":
        return _after_gather(operator, at, axis)
    if len(output) == len(shape):
        return axis
    if len(output) > len(shape):
        return axis + len(output) - len(shape)
    return _after_reduction(operator, axis)


def _after_reshape(shape: Shape, axis: int, output: Shape) -> int | None:
    """The batch stays where as many elements stand before it; its dimension may take up dimensions behind it."""
    before = prod(shape[:axis])
    at = [k for k in range(len(output)) if prod(output[:k]) == before]
    if not at:
        return next((k for k in range(len(output)) if prod(output[: k + 1]) > before), None)
    return next((k for k in at if output[k] == shape[axis]), at[-1])


def _after_gather(operator: Operator, at: int, axis: int) -> int | None:
    gathered = operator.attribute("axis", 0)
    gathered = gathered if isinstance(gathered, int) else 0
    if operator.attribute("positions") is not None:
        return gathered + axis
    return axis if axis < gathered else axis + len(operator.output) - len(operator.inputs[at])


def _after_reduction(operator: Operator, axis: int) -> int | None:
    reduced = operator.attribute("input_1", ())
    positions = reduced if isinstance(reduced, tuple) else (reduced,)
    return axis - sum(1 for at in positions if isinstance(at, int) and at < axis)


def without_batch(operators: list[Operator], sources: list[tuple[int, ...]], batch_size: int) -> list[Operator]:
    """Return the operators of a network of a fixed batch size as they are at batch size 1.

    Raises:
        InvalidModelError: If the batch dimension cannot be told from the others.
    """
    axes: list[int | None] = []
    for operator, read in zip(operators, sources, strict=True):
        axes.append(batch_axis(operator, [axes[source] for source in read]))
    return [
        Operator(
            operator.op_type,
            operator.attributes,
            tuple(_divided(operator, shape, axes[source], batch_size) for shape, source in zip(operator.inputs, read, strict=True)),
            _weights_without_batch(operator, axis, batch_size),
            _divided(operator, operator.output, axis, batch_size),
        )
        for operator, read, axis in zip(operators, sources, axes, strict=True)
    ]


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
