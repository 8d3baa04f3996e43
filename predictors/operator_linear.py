"""Baseline: latency as a sum over an operator table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nnlqp_nas.core import ModelGraph
from nnlqp_nas.graphs import operator_cost

from .linear import LinearPredictor
from .operator_features import KINDS, kind_of


class OperatorLinear(LinearPredictor):
    """For each kind of operator a launch, a FLOP rate and a byte rate; the network is their sum.

    A look-up table that generalises over shapes: kernels neither overlap nor fuse.
    """

    name = "operator_linear"

    @staticmethod
    def describe(graphs: Sequence[ModelGraph], batch_size: int) -> NDArray[np.float64]:
        features = np.zeros((len(graphs), len(KINDS), 3))
        for row, graph in zip(features, graphs, strict=True):
            for operator in graph.operators:
                cost = operator_cost(operator, batch_size)
                row[KINDS.index(kind_of(operator))] += (1.0, cost.flops, cost.moved_bytes)
        return features.reshape(len(graphs), -1)
