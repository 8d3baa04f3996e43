"""What NNLP sees of one operator: 44 numbers, its FLOPs, parameters and the numbers it accesses.

The vocabulary, its order and the normalising constants are part of the format of NNLQP's
checkpoints, peculiarities too: ``MatMul`` is no known operator (the vocabulary has ``Matmul``),
elementwise work counts the batch and that of convolutions does not.

References:
    Liu et al., NNLQP: A Multi-Platform Neural Network Latency Query and Prediction System with
    an Evolving Database, ICPP 2022, section 6; ModelTC/NNLQP, ``predictor/feature``.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod

import numpy as np
from numpy.typing import NDArray

from nnlqp_nas.core import Operator, Shape

KINDS = (
    "Conv",
    "Relu",
    "Add",
    "Sigmoid",
    "Reshape",
    "MaxPool",
    "Split",
    "GlobalAveragePool",
    "Gemm",
    "Transpose",
    "Upsample",
    "BatchNormalization",
    "Mul",
    "Concat",
    "Flatten",
    "AveragePool",
    "Cast",
    "Matmul",
    "ReduceMean",
    "Pow",
    "Slice",
    "Div",
    "Sub",
    "Sqrt",
    "Clip",
    "Softmax",
    "Tanh",
    "ConvTranspose",
)
"""The operators that are told apart, in the order of the one-hot code."""

N_KINDS, N_ATTRIBUTES, N_SIZES = 32, 8, 4
N_FEATURES = N_KINDS + N_ATTRIBUTES + N_SIZES

# (centre, scale) of each attribute and of each dimension of the result.
_SCALES = {
    "kernel_shape": (2.53, 56.0),
    "strides": (1.16, 56.0),
    "pads": (0.75, 6.0),
    "dilations": (1.0, 1.0),
    "group": (15.08, 6144.0),
    "bias": (0.77, 1.0),
    "perm": (1.78, 4.0),
    "output_padding": (0.0, 1e-5),
}
_SIZE_SCALES = ((12.25, 1024.0), (286.96, 2496.0), (32.62, 256.0), (31.80, 256.0))
_DEFAULTS = {"strides": 1, "pads": 0, "dilations": 1, "group": 1, "output_padding": 0}

_CONV = ("kernel_shape", "strides", "pads", "dilations", "group", "bias")
_WINDOW = ("kernel_shape", "strides", "pads")
_ATTRIBUTES = {
    "Conv": _CONV,
    "ConvTranspose": (*_CONV, "output_padding"),
    "MaxPool": _WINDOW,
    "AveragePool": _WINDOW,
    "Gemm": ("bias",),
    "Transpose": ("perm",),
}

_PER_RESULT = frozenset({"Add", "Sigmoid", "Mul", "ReduceMean", "Pow", "Div", "Sub", "Sqrt", "Tanh"})
_PER_PIXEL = {"linear": 5, "bilinear": 11, "bicubic": 259, "trilinear": 31}


@lru_cache(maxsize=1 << 16)
def node_features(operator: Operator, shape: Shape) -> NDArray[np.float32]:
    """Return float32, shape (N_FEATURES,), of a node whose result has ``shape``: kind, attributes, sizes."""
    features = np.zeros(N_FEATURES, dtype=np.float32)
    if operator.op_type in KINDS:
        features[KINDS.index(operator.op_type)] = 1.0
    at = N_KINDS
    for name in _ATTRIBUTES.get(operator.op_type, ()):
        for value in _attribute(operator, name):
            features[at] = _scaled(value, *_SCALES[name])
            at += 1
    sizes = (*shape, *(0,) * N_SIZES)[:N_SIZES]
    features[-N_SIZES:] = [_scaled(size, *scale) for size, scale in zip(sizes, _SIZE_SCALES, strict=True)]
    features.setflags(write=False)
    return features


def _scaled(value: float, centre: float, scale: float) -> np.float32:
    return (np.float32(value) - np.float32(centre)) / np.float32(scale)


def _attribute(operator: Operator, name: str) -> tuple[float, ...]:
    """Return the numbers of an attribute that are features: the first of a list, all axes of a permutation."""
    if name == "bias":
        return (float(len(operator.inputs) + len(operator.weights) > 2),)
    value = operator.attribute(name, _DEFAULTS.get(name, ()))
    if name == "kernel_shape" and not value:
        value = (operator.weights[0] if operator.weights else operator.inputs[1])[2:]
    numbers = tuple(float(v) for v in value) if isinstance(value, tuple) else (float(value or 0),)
    return (*numbers, *(0.0,) * N_ATTRIBUTES)[:N_ATTRIBUTES] if name == "perm" else numbers[:1] or (0.0,)


@lru_cache(maxsize=1 << 16)
def node_work(operator: Operator, shape: Shape) -> tuple[int, int, int]:
    """Return FLOPs, parameters and numbers accessed (results and parameters) of a node whose result has ``shape``."""
    if operator.op_type not in KINDS:
        return 0, 0, 0
    flops, params = _flops_and_params(operator, shape)
    return flops, params, prod(shape) + params


def _flops_and_params(operator: Operator, shape: Shape) -> tuple[int, int]:
    op_type = operator.op_type
    has_bias = len(operator.inputs) + len(operator.weights) > 2
    if op_type in ("Conv", "ConvTranspose", "Gemm"):
        rows, length = _weight_matrix(operator)
        results = rows if op_type == "Gemm" else prod(shape[1:])
        return results * (2 * length - 1 + has_bias), rows * (length + has_bias)
    if op_type == "BatchNormalization":
        return 4 * prod(shape), 4 * shape[1]
    if op_type == "GlobalAveragePool":
        return prod(shape[1:]) * operator.inputs[0][-1] // max(shape[-1], 1), 0
    if op_type == "AveragePool":
        window = operator.attribute("kernel_shape", ())
        return prod(shape[1:]) * prod(int(size) for size in (window if isinstance(window, tuple) else ())), 0
    if op_type == "Softmax":
        return 3 * (len(shape) // max(shape[0], 1)) - 1, 0
    if op_type == "Upsample":
        return prod(shape[1:]) * _PER_PIXEL.get(str(operator.attribute("mode")), 0), 0
    return (prod(shape) if op_type in _PER_RESULT else 0), 0


def _weight_matrix(operator: Operator) -> tuple[int, int]:
    """Return the rows of a layer's weight, one a result, and their length."""
    weight = operator.weights[0] if operator.weights else operator.inputs[1]
    if operator.op_type != "Gemm":
        return weight[0], prod(weight[1:])
    first, second = weight[-2:]
    return (first, second) if operator.attribute("transB") else (second, first)
