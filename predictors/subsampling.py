"""At which stride a node is read: some engines compute no more of it.

A 1x1 convolution of stride 2 reads one pixel of four. Where all readers of a map read it so, through activations and sums as well, an
engine may move the stride to the convolution that computes the map, whose work falls to a quarter. OpenVINO and tract do, ONNX
Runtime does not: what it saves is a platform's own and learned.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nnlqp_nas.core import Operator

from .operator_features import is_pointwise, kind_of, strides_of
from .row_memory import RowMemory

_Ints = NDArray[np.int64]

_PASSED_ON = frozenset({"normalise", "relu", "clip", "sigmoid", "hard_sigmoid", "hard_swish", "gelu", "add", "mul", "elementwise"})
_PASSES_ON = 0
"""The role of an operator that reads as its own readers do; any other role is the stride at which it reads."""

_memory = RowMemory()


def subsampling(digests: NDArray[np.uint64], operators: Sequence[Operator], source: _Ints, target: _Ints) -> _Ints:
    """Return int64, shape (nodes,): the stride at which all readers of a node read it, 1 where one of them, or nobody, reads it as it is.

    Args:
        digests: Of the operators, shape (nodes,).
        operators: Of the nodes.
        source: Shape (edges,), a node ...
        target: Shape (edges,), ... that this one reads.
    """
    strides = np.ones(len(digests), dtype=np.int64)
    distinct, first, place = np.unique(digests, return_index=True, return_inverse=True)
    roles = _memory.look_up(distinct.tolist(), lambda missing: np.array([[_role(operators[first[i]])] for i in missing], dtype=np.float64))
    role = roles[:, 0].astype(np.int64)[place]
    if role.max(initial=1) <= 1:
        return strides
    read_at, is_read = role[target], np.bincount(source, minlength=len(strides)) > 0
    while True:
        before = strides
        strides = np.where(is_read, np.iinfo(np.int64).max, 1)
        np.minimum.at(strides, source, np.where(read_at == _PASSES_ON, before[target], read_at))
        if np.array_equal(strides, before):
            return strides


def _role(operator: Operator) -> int:
    if kind_of(operator) in _PASSED_ON:
        return _PASSES_ON if all(shape == operator.output for shape in operator.inputs) else 1
    strides = strides_of(operator)
    return strides[0] if is_pointwise(operator) and len(set(strides)) == 1 else 1
