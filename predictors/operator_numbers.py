"""All numbers of an operator that the kernel GNN needs, side by side and computed once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nnlqp_nas.core import Operator
from nnlqp_nas.graphs import operator_cost

from .operator_features import KINDS, MEASURES, N_FEATURES, features, kind_of, measures
from .row_memory import RowMemory

WORK_NAMES = ("launches", "flops", "activation_bytes", "weight_bytes")
"""What a kernel's price is made of."""

PLACE_NAMES = ("log2_flops", "log2_channels_in", "log2_channels_out", "log2_pixels", "log2_window")
"""By which measures what was seen is told from what was not."""

FEATURES = slice(0, N_FEATURES)
WORK = slice(FEATURES.stop, FEATURES.stop + len(WORK_NAMES))
PLACE = slice(WORK.stop, WORK.stop + 1 + len(PLACE_NAMES))
"""The kind's position in ``KINDS``, and the measures :data:`PLACE_NAMES` of one input."""

_PLACED = tuple(MEASURES.index(name) for name in PLACE_NAMES)
_UNLAUNCHED = frozenset({"input", "move"})
_memories: dict[int, RowMemory] = {}


def operator_numbers(operators: Sequence[Operator], batch_size: int) -> NDArray[np.float64]:
    """Return float64, shape (operators, columns): :data:`FEATURES` and :data:`WORK` at a batch size, and :data:`PLACE`."""
    distinct = {operator.digest: operator for operator in operators}
    found = list(distinct.values())
    memory = _memories.setdefault(batch_size, RowMemory())
    rows = memory.look_up(list(distinct), lambda missing: np.array([_describe(found[i], batch_size) for i in missing], dtype=np.float64))
    if len(found) == len(operators):
        return rows
    position = {digest: i for i, digest in enumerate(distinct)}
    return rows[[position[operator.digest] for operator in operators]]


def _describe(operator: Operator, batch_size: int) -> tuple[float, ...]:
    cost, kind = operator_cost(operator, batch_size), kind_of(operator)
    work = kind not in _UNLAUNCHED, cost.flops, cost.read_bytes + cost.write_bytes, cost.weight_bytes
    one_input = measures(operator, 1)
    return *features(operator, batch_size), *work, KINDS.index(kind), *(one_input[i] for i in _PLACED)
