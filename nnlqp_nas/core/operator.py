"""Operators: what one node of a network computes, without its weights' values."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

Shape = tuple[int, ...]
AttributeValue = int | float | str | tuple[int, ...] | tuple[float, ...] | tuple[str, ...]

INPUT = "Input"
PART = "Part"


@dataclass(frozen=True, eq=True)
class Operator:
    """An ONNX operator with its attributes and shapes; names, weights and versions do not matter.

    Two pseudo operators complete ONNX's: ``Input`` (a graph input; only ``output`` is set)
    and ``Part`` (one output of an operator with several; attribute ``index``). So every
    node has exactly one output.

    Attributes:
        op_type: ONNX operator type, such as ``Conv``.
        attributes: Sorted ``(name, value)`` pairs, defaults of ONNX filled in. Small constant
            inputs that steer the operator (a clip's bounds, a reshape's target, a factor) stand
            here too, named ``input_<position>``.
        inputs: Shape of each activation read, in argument order; the batch dimension is 1.
        weights: Shape of each constant tensor read, in argument order.
        output: Shape of the result; the batch dimension is 1.
    """

    op_type: str
    attributes: tuple[tuple[str, AttributeValue], ...] = ()
    inputs: tuple[Shape, ...] = ()
    weights: tuple[Shape, ...] = ()
    output: Shape = ()
    _hash: int = field(init=False, repr=False, compare=False, default=0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.op_type, self.attributes, self.inputs, self.weights, self.output)))

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[type[Operator], tuple[object, ...]]:
        # A hash of text differs from process to process: a copy in another one has to make its own.
        return type(self), (self.op_type, self.attributes, self.inputs, self.weights, self.output)

    def attribute(self, name: str, default: AttributeValue | None = None) -> AttributeValue | None:
        """Return the value of an attribute, or ``default`` where it is not set."""
        for key, value in self.attributes:
            if key == name:
                return value
        return default

    @cached_property
    def digest(self) -> int:
        """A 64-bit number of everything above, the same in every process and version of Python."""
        text = repr((self.op_type, self.attributes, self.inputs, self.weights, self.output))
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
