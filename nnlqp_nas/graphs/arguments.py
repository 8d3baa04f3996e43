"""Which argument of an ONNX node is an activation, a weight or a constant.

An :class:`Operator` keeps the shapes of activations and weights apart and the small constants
in attributes ``input_<position>``. Arguments are, in order, the activations and then the
weights, at the positions that no constant takes. Where a model orders them otherwise
(``Sub(weight, x)``), the attribute ``positions`` says where each activation and then each weight stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from ..core import AttributeValue, Operator

POSITIONS = "positions"
DTYPE = "dtype"
WEIGHT_DTYPES = "weight_dtypes"
_CONSTANT = "input_"
_OURS = frozenset({POSITIONS, DTYPE, WEIGHT_DTYPES})


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a node.

    Attributes:
        kind: ``activation``, ``weight``, ``constant`` or ``absent``.
        index: Which of the operator's inputs or weights it is.
        value: The value of a constant.
    """

    kind: str
    index: int = 0
    value: AttributeValue = 0


def default_positions(n: int, constants: frozenset[int]) -> tuple[int, ...]:
    """Return the first ``n`` positions that no constant takes."""
    positions: list[int] = []
    at = 0
    while len(positions) < n:
        if at not in constants:
            positions.append(at)
        at += 1
    return tuple(positions)


@lru_cache(maxsize=1 << 14)
def arguments_of(operator: Operator) -> tuple[Argument, ...]:
    """Return the arguments of the ONNX node that computes ``operator``, in ONNX's order."""
    placed = {
        int(name.removeprefix(_CONSTANT)): Argument("constant", value=value)
        for name, value in operator.attributes
        if name.startswith(_CONSTANT)
    }
    n_inputs = len(operator.inputs)
    positions = operator.attribute(POSITIONS)
    if not isinstance(positions, tuple):
        positions = default_positions(n_inputs + len(operator.weights), frozenset(placed))
    for index, position in enumerate(positions):
        placed[int(str(position))] = Argument("activation", index) if index < n_inputs else Argument("weight", index - n_inputs)
    return tuple(placed.get(at, Argument("absent")) for at in range(max(placed, default=-1) + 1))


def onnx_attributes(operator: Operator) -> dict[str, AttributeValue]:
    """Return the attributes that the ONNX node itself has."""
    return {name: value for name, value in operator.attributes if not name.startswith(_CONSTANT) and name not in _OURS}


def weight_dtypes(operator: Operator) -> tuple[str, ...]:
    """Return the numpy name of each weight's number format; ``float32`` unless told otherwise."""
    named = operator.attribute(WEIGHT_DTYPES)
    return tuple(str(name) for name in named) if isinstance(named, tuple) else ("float32",) * len(operator.weights)
