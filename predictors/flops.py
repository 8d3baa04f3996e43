"""Baseline: latency as a line in FLOPs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nnlqp_nas.core import ModelGraph
from nnlqp_nas.graphs import graph_cost

from .linear import LinearPredictor


class Flops(LinearPredictor):
    """``latency = a + b FLOPs``, the simplest baseline of nn-Meter and NNLQP; :class:`FlopsLinear` adds memory access."""

    name = "flops"

    @staticmethod
    def describe(graphs: Sequence[ModelGraph], batch_size: int) -> NDArray[np.float64]:
        return np.array([[1.0, graph_cost(graph, batch_size).flops] for graph in graphs])
