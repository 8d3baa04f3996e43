"""Baseline: latency as a line in FLOPs and bytes moved."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nnlqp_nas.core import ModelGraph
from nnlqp_nas.graphs import graph_cost

from .linear import LinearPredictor


class FlopsLinear(LinearPredictor):
    """``latency = a + b FLOPs + c bytes``: the 'FLOPs + MAC' baseline of nn-Meter and NNLQP.

    MAC is memory access cost there: bytes of activations and weights, read and written.
    """

    name = "flops_linear"

    @staticmethod
    def describe(graphs: Sequence[ModelGraph], batch_size: int) -> NDArray[np.float64]:
        costs = [graph_cost(graph, batch_size) for graph in graphs]
        return np.array([[1.0, cost.flops, cost.moved_bytes] for cost in costs])
