"""Seeded random weights that keep activations finite and away from denormal numbers.

Every value carries an estimate of its root mean square. Products with weights are scaled to
bring it back to 1 (He et al., ICCV 2015, without the assumption that all layers are alike),
which residual sums would otherwise double at each block; biases keep it from vanishing.
The noise of large tensors repeats: no engine's time depends on it, and drawing a hundred million
numbers takes longer than running the network.
"""

from __future__ import annotations

from math import prod, sqrt

import numpy as np
import numpy.typing as npt

from ..core import ModelGraph, Operator
from .arguments import arguments_of, weight_dtypes

Array = npt.NDArray[np.generic]

_PRODUCTS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_RESETTING = frozenset({"BatchNormalization", "InstanceNormalization", "LayerNormalization", "GroupNormalization", "RMSNormalization"})
_BOUNDED = frozenset({"Sigmoid", "HardSigmoid", "Tanh", "Softsign", "Erf", "Sin", "Cos"})
_BIAS = 0.1
_N_DRAWN, _PERIOD = 1 << 18, 262_139


class RandomWeights:
    """The weights of a network, drawn from a seed.

    Args:
        graph: The network.
        seed: Draws the weights; node by node, so that memory stays small.
    """

    def __init__(self, graph: ModelGraph, seed: int) -> None:
        self._graph = graph
        self._seed = seed
        self._rms: list[float] = []
        for operator, sources in zip(graph.operators, graph.sources, strict=True):
            self._rms.append(_output_rms(operator, sources, graph, self._rms))

    def of(self, node: int) -> list[Array]:
        """Return the weights of a node, shapes as the operator tells."""
        operator = self._graph.operators[node]
        rng = np.random.default_rng((self._seed, node))
        rms = max((self._rms[source] for source in self._graph.sources[node]), default=1.0)
        dtypes = weight_dtypes(operator)
        positions = {argument.index: at for at, argument in enumerate(arguments_of(operator)) if argument.kind == "weight"}
        return [
            _draw(rng, operator, positions[index], shape, rms) if dtypes[index] == "float32" else _draw_other(rng, dtypes[index], shape)
            for index, shape in enumerate(operator.weights)
        ]


def _draw(rng: np.random.Generator, operator: Operator, position: int, shape: tuple[int, ...], rms: float) -> Array:
    if operator.op_type in _PRODUCTS and position < 2:
        return _noise(rng, shape, 1 / (sqrt(fan_in(operator, shape)) * _safe(rms)))
    if operator.op_type in _RESETTING and position == 1:
        return rng.uniform(0.9, 1.1, shape).astype(np.float32)
    if operator.op_type == "BatchNormalization" and position == 4:
        return np.full(shape, min(_safe(rms) ** 2, 1e30), np.float32)
    if operator.op_type in ("Mul", "Div", "Pow", "Sqrt"):
        return rng.uniform(0.9, 1.1, shape).astype(np.float32)
    if operator.op_type == "PRelu":
        return np.full(shape, 0.25, np.float32)
    if operator.op_type in ("LSTM", "GRU", "RNN"):
        return _noise(rng, shape, 1 / sqrt(shape[-1]))
    return _noise(rng, shape, _BIAS)


def _noise(rng: np.random.Generator, shape: tuple[int, ...], scale: float) -> Array:
    """Normal noise; that of a large tensor repeats after a prime number, so that no two channels are alike."""
    n = prod(shape)
    if n <= _N_DRAWN:
        return rng.standard_normal(shape, np.float32) * np.float32(scale)
    drawn = rng.standard_normal(_PERIOD, np.float32) * np.float32(scale)
    return np.resize(drawn, shape)


def _draw_other(rng: np.random.Generator, dtype: str, shape: tuple[int, ...]) -> Array:
    """Integers are indices or quantised weights: zero is valid for all of them."""
    if dtype == "bool":
        return np.ones(shape, np.bool_)
    if dtype in ("int8", "uint8"):
        return rng.integers(0, 100, shape).astype(dtype)
    return np.zeros(shape, dtype)


def fan_in(operator: Operator, weight: tuple[int, ...]) -> int:
    """Return how many products each result of Conv, ConvTranspose, Gemm or MatMul sums."""
    if operator.op_type == "Conv":
        return max(1, prod(weight[1:]))
    if operator.op_type == "ConvTranspose":
        strides = operator.attribute("strides", (1,))
        return max(1, prod((weight[0], *weight[2:])) // prod(int(s) for s in (strides if isinstance(strides, tuple) else ())))
    if operator.op_type == "Gemm" and operator.attribute("transB") == 1:
        return max(1, weight[1])
    return max(1, weight[-2] if len(weight) > 1 else weight[0])


def _safe(rms: float) -> float:
    return rms if rms > 1e-6 else 1.0


def _output_rms(operator: Operator, sources: tuple[int, ...], graph: ModelGraph, rms: list[float]) -> float:
    """An upper estimate: sums of correlated values add up, and what is overestimated, biases keep from vanishing."""
    read = [rms[source] for source in sources]
    op_type = operator.op_type
    if not read:
        return 0.0 if op_type == "Zero" else 1.0
    if op_type in _RESETTING or (op_type in _PRODUCTS and operator.weights):
        return 1.0
    if op_type == "MatMul":
        return read[0] * read[1] * sqrt(operator.inputs[0][-1])
    if op_type in ("Add", "Sub", "Sum"):
        return sum(read) + (_BIAS if operator.weights else 0)
    if op_type == "Mul":
        return prod(read) * prod(abs(a.value) for a in arguments_of(operator) if isinstance(a.value, (int, float)) and a.kind == "constant")
    if op_type in ("Relu", "HardSwish", "Gelu", "LeakyRelu"):
        is_centred = graph.operators[sources[0]].op_type in _PRODUCTS | _RESETTING
        return read[0] / sqrt(2) if is_centred else read[0]
    if op_type in ("Softmax", "LogSoftmax"):
        axis = operator.attribute("axis", -1)
        return 1 / sqrt(operator.output[axis if isinstance(axis, int) else -1])
    if op_type in _BOUNDED:
        return min(1.0, max(read))
    return max(read)
