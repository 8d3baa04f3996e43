"""Rewrites of ONNX models for engines that lack an operator: the same outputs, by other operators.

Each is a set of rules of ``onnxscript`` for one operator type. Shapes are inferred before and after, and constants end as
initializers, which is where the writers of engines' files look for them. Files of users are folded when they are read,
so nothing here has to.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core import InvalidModelError, UnknownNameError

if TYPE_CHECKING:
    import onnx_ir

Operators = Any
"""What ``onnxscript`` hands to a replacement: a method for every ONNX operator, which adds a node."""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """How to do without an operator.

    Attributes:
        op_type: The operator.
        rules: Returns the rules that replace it.
        leaves: An operator of the replacement that a further rewrite can replace; empty for none.
    """

    op_type: str
    rules: Callable[[], list[Any]]
    leaves: str = ""


def needed_rewrites(names: Sequence[str], op_types: Collection[str]) -> tuple[str, ...]:
    """Return those of the rewrites that have something to do in a network with these operator types.

    Raises:
        UnknownNameError: If there is no such rewrite.
    """
    present = set(op_types)
    needed = []
    for name in names:
        rewrite = _find(name)
        if rewrite.op_type in present:
            needed.append(name)
            present.add(rewrite.leaves)
    return tuple(needed)


def rewrite_file(source: Path, target: Path, names: Sequence[str]) -> None:
    """Write a copy of an ONNX file with the named rewrites done, in their order.

    Raises:
        UnknownNameError: If there is no such rewrite.
    """
    import onnx_ir

    model = onnx_ir.load(source)
    rewrite_model(model, names)
    target.parent.mkdir(parents=True, exist_ok=True)
    onnx_ir.save(model, target)


def rewrite_model(model: onnx_ir.Model, names: Sequence[str]) -> None:
    """Do the named rewrites on a model, in place, in their order.

    Raises:
        UnknownNameError: If there is no such rewrite.
    """
    from onnx_ir.passes import PassManager, common
    from onnxscript.rewriter import RewritePass, RewriteRuleSet

    wanted = [_find(name) for name in names]
    PassManager(
        [
            common.ShapeInferencePass(),
            *(RewritePass(RewriteRuleSet(rewrite.rules(), commute=True)) for rewrite in wanted),
            common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
            common.RemoveUnusedNodesPass(),
            common.NameFixPass(),
            common.ShapeInferencePass(),
        ]
    )(model)


def _find(name: str) -> Rewrite:
    if name not in REWRITES:
        raise UnknownNameError.among("rewrite", name, REWRITES)
    return REWRITES[name]


def _without(op_type: str, replace: Callable[[Operators, onnx_ir.Node], onnx_ir.Value], leaves: str = "") -> Rewrite:
    """Return a rewrite of every node of a type; ``replace`` returns the value that stands for its first output."""

    def match(op: Operators) -> Any:
        return getattr(op, op_type)(_allow_other_inputs=True, _allow_other_attributes=True, _outputs=["found"])

    def replacement(op: Operators, found: onnx_ir.Value) -> Any:
        node = found.producer()
        assert node is not None
        return replace(op, node)

    def rules() -> list[Any]:
        from onnxscript.rewriter import RewriteRule

        return [RewriteRule(match, replacement)]

    return Rewrite(op_type, rules, leaves)


def _number(op: Operators, value: float) -> Any:
    return op.Constant(value_float=float(value))


def _input(node: onnx_ir.Node, at: int) -> Any:
    return node.inputs[at] if at < len(node.inputs) else None


def _sizes(value: onnx_ir.Value | None) -> tuple[int, ...]:
    if value is None or value.shape is None:
        raise InvalidModelError("expected known shapes, got a value without one; export the model with fixed shapes")
    return value.shape.numpy()


def _layer_normalization(op: Operators, node: onnx_ir.Node) -> Any:
    x, scale, bias = node.inputs[0], node.inputs[1], _input(node, 2)
    sizes = _sizes(x)
    first = node.attributes.get_int("axis", -1) % len(sizes)
    axes = op.Constant(value_ints=list(range(first, len(sizes))))
    centred = op.Sub(x, op.ReduceMean(x, axes, keepdims=1))
    # A sum, not a mean: OpenVINO makes one operator of the usual form again, the one that it then cannot run.
    squares = op.ReduceSum(op.Mul(centred, centred), axes, keepdims=1)
    variance = op.Mul(squares, _number(op, 1 / prod(sizes[first:])))
    deviation = op.Sqrt(op.Add(variance, _number(op, node.attributes.get_float("epsilon", 1e-5))))
    scaled = op.Mul(op.Div(centred, deviation), scale)
    return scaled if bias is None else op.Add(scaled, bias)


def _gelu(op: Operators, node: onnx_ir.Node) -> Any:
    x = node.inputs[0]
    if node.attributes.get_string("approximate", "none") == "tanh":
        cubic = op.Mul(op.Mul(x, op.Mul(x, x)), _number(op, 0.044715))
        share = op.Tanh(op.Mul(op.Add(x, cubic), _number(op, np.sqrt(2 / np.pi))))
    else:
        share = op.Erf(op.Mul(x, _number(op, np.sqrt(0.5))))
    return op.Mul(op.Mul(x, _number(op, 0.5)), op.Add(share, _number(op, 1)))


def _hard_swish(op: Operators, node: onnx_ir.Node) -> Any:
    x = node.inputs[0]
    return op.Mul(x, op.HardSigmoid(x, alpha=1 / 6, beta=0.5))


def _hard_sigmoid(op: Operators, node: onnx_ir.Node) -> Any:
    alpha, beta = node.attributes.get_float("alpha", 0.2), node.attributes.get_float("beta", 0.5)
    line = op.Add(op.Mul(node.inputs[0], _number(op, alpha)), _number(op, beta))
    return op.Clip(line, _number(op, 0), _number(op, 1))


def _softplus(op: Operators, node: onnx_ir.Node) -> Any:
    """log(1 + exp(x)) without an overflow: max(x, 0) + log(1 + exp(-|x|))."""
    x = node.inputs[0]
    return op.Add(op.Relu(x), op.Log(op.Add(op.Exp(op.Neg(op.Abs(x))), _number(op, 1))))


def _mish(op: Operators, node: onnx_ir.Node) -> Any:
    x = node.inputs[0]
    return op.Mul(x, op.Tanh(op.Softplus(x)))


def _gelu_of_erf() -> list[Any]:
    """Return a rule for each way in which exporters write x / 2 * (1 + erf(x / sqrt(2)))."""
    from onnxscript.rewriter import RewriteRule

    arguments = (lambda op, x: op.Div(x, float(np.sqrt(2))), lambda op, x: op.Mul(x, float(np.sqrt(0.5))))
    products = (
        lambda op, x, share: op.Mul(op.Mul(x, 0.5), share),
        lambda op, x, share: op.Mul(op.Mul(x, share), 0.5),
        lambda op, x, share: op.Mul(x, op.Mul(share, 0.5)),
    )

    def match_of(argument: Callable[..., Any], product: Callable[..., Any]) -> Callable[..., Any]:
        return lambda op, x: product(op, x, op.Add(op.Erf(argument(op, x)), 1.0))

    return [RewriteRule(match_of(argument, product), lambda op, x: op.Gelu(x)) for argument in arguments for product in products]


REWRITES: Mapping[str, Rewrite] = MappingProxyType(
    {
        "layer-normalization-to-arithmetic": _without("LayerNormalization", _layer_normalization),
        "gelu-to-erf": _without("Gelu", _gelu),
        "erf-to-gelu": Rewrite("Erf", _gelu_of_erf),
        "hard-swish-to-hard-sigmoid": _without("HardSwish", _hard_swish, leaves="HardSigmoid"),
        "hard-sigmoid-to-clip": _without("HardSigmoid", _hard_sigmoid),
        "mish-to-softplus": _without("Mish", _mish, leaves="Softplus"),
        "softplus-to-logarithm": _without("Softplus", _softplus),
    }
)
"""Name to rewrite."""
