"""A node on its way from ONNX to an :class:`Operator`, and the last step of that way."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ..core import AttributeValue, Operator, Shape
from .arguments import POSITIONS, WEIGHT_DTYPES, default_positions
from .operators import canonical_float


@dataclass(frozen=True, slots=True)
class Activation:
    """An argument that depends on the network's input."""

    node: int
    shape: Shape


@dataclass(frozen=True, slots=True)
class Weight:
    """A constant tensor, of which only the shape and number format matter."""

    shape: Shape
    dtype: str = "float32"


@dataclass(frozen=True, slots=True)
class Constant:
    """A constant tensor whose value is known."""

    value: npt.NDArray[np.generic]


DraftArgument = Activation | Weight | Constant | None


@dataclass
class NodeDraft:
    """An ONNX node whose operator type, attributes and arguments may still be rewritten.

    Attributes:
        op_type: ONNX operator type.
        attributes: As the node has them; tuples for lists.
        arguments: In ONNX's order; None where an optional one is left out.
        outputs: Shapes of the results, those that nothing reads may be empty.
        opset: Version of ONNX's operators that the model uses.
    """

    op_type: str
    attributes: dict[str, AttributeValue]
    arguments: list[DraftArgument]
    outputs: list[Shape]
    opset: int
    name: str = ""
    is_alias: bool = field(default=False)

    @property
    def shape(self) -> Shape:
        """Shape of the first argument."""
        first = self.arguments[0] if self.arguments else None
        return shape_of(first)

    @property
    def output(self) -> Shape:
        """Shape of the first result."""
        return self.outputs[0]

    def ints(self, at: int, name: str) -> tuple[int, ...] | None:
        """Return a list of integers that older opsets have as an attribute and newer ones as an argument."""
        value = self.attributes.get(name)
        if value is not None:
            return tuple(int(str(v)) for v in value) if isinstance(value, tuple) else (int(str(value)),)
        argument = self.arguments[at] if at < len(self.arguments) else None
        if not isinstance(argument, Constant):
            return None
        return tuple(int(v) for v in argument.value.reshape(-1))

    def number(self, at: int, name: str) -> float | None:
        """Return a number that older opsets have as an attribute and newer ones as an argument."""
        value = self.attributes.get(name)
        if isinstance(value, (int, float)):
            return float(value)
        argument = self.arguments[at] if at < len(self.arguments) else None
        if not isinstance(argument, Constant) or argument.value.size != 1:
            return None
        return float(argument.value.reshape(-1)[0])

    def set_constants(self, *values: tuple[int, ...] | int | float | None) -> None:
        """Put constants behind the first argument, in place of what stands there."""
        self.arguments[1:] = [None if value is None else Constant(_array(value)) for value in values]


def shape_of(argument: DraftArgument) -> Shape:
    """Return the shape of an argument."""
    if argument is None:
        return ()
    return tuple(argument.value.shape) if isinstance(argument, Constant) else argument.shape


def _array(value: tuple[int, ...] | int | float) -> npt.NDArray[np.generic]:
    return np.array(value, np.float32 if isinstance(value, float) else np.int64)


def as_operator(draft: NodeDraft) -> tuple[Operator, tuple[int, ...]]:
    """Return the operator that a draft has become, and the nodes it reads."""
    attributes = {name: _rounded(value) for name, value in draft.attributes.items()}
    activations: list[tuple[int, Activation]] = []
    weights: list[tuple[int, Weight]] = []
    for at, argument in enumerate(draft.arguments):
        if isinstance(argument, Activation):
            activations.append((at, argument))
        elif isinstance(argument, Weight):
            weights.append((at, argument))
        elif isinstance(argument, Constant):
            attributes[f"input_{at}"] = _attribute_value(argument.value)
    constants = frozenset(at for at, argument in enumerate(draft.arguments) if isinstance(argument, Constant))
    positions = tuple(at for at, _ in activations) + tuple(at for at, _ in weights)
    if positions != default_positions(len(positions), constants):
        attributes[POSITIONS] = positions
    if any(weight.dtype != "float32" for _, weight in weights):
        attributes[WEIGHT_DTYPES] = tuple(weight.dtype for _, weight in weights)
    operator = Operator(
        draft.op_type,
        tuple(sorted(attributes.items())),
        tuple(argument.shape for _, argument in activations),
        tuple(weight.shape for _, weight in weights),
        draft.output,
    )
    return operator, tuple(argument.node for _, argument in activations)


def _attribute_value(value: npt.NDArray[np.generic]) -> AttributeValue:
    if value.ndim == 0:
        return _rounded(value.item())
    return _rounded(tuple(value.tolist()))


def _rounded(value: AttributeValue) -> AttributeValue:
    """Six significant digits, so that every way of writing a number gives the same key."""
    if isinstance(value, float):
        return canonical_float(value)
    if isinstance(value, tuple):
        return tuple(canonical_float(v) if isinstance(v, float) else v for v in value)  # type: ignore[return-value]
    return value
