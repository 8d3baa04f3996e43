from __future__ import annotations

import numpy as np
import pytest

from nnlqp_nas.core import GraphView, ModelGraph, Platform
from nnlqp_nas.graphs import graph_cost
from nnlqp_nas.search_spaces.nasbench201 import NasBench201
from nnlqp_nas.training.training_data import MeasuredNetwork, TrainingData

ENGINE = Platform.parse("cpu-formula-fp32")
EAGER = Platform.parse("gpu-formula-torch-fp32")


def draw_networks(n: int, seed: int = 0) -> list[MeasuredNetwork]:
    """Return n members on two platforms that execute different views of them."""
    space, rng = NasBench201(n_cells=1), np.random.default_rng(seed)
    networks = []
    for i in range(n):
        architecture = space.sample(rng)
        for platform, rate in ((ENGINE, 1e-8), (EAGER, 1e-9)):
            graph = space.graph(architecture, platform.view)
            networks.append(MeasuredNetwork(graph, platform, 1, 0.01 + rate * graph_cost(graph).flops, f"family{i % 3}"))
    return networks


def optimised_keys(graphs: list[ModelGraph]) -> set[str]:
    from nnlqp_nas.graphs import viewed

    return {viewed(graph, GraphView.OPTIMISED).key for graph in graphs}


@pytest.fixture(scope="session")
def networks() -> list[MeasuredNetwork]:
    return draw_networks(60)


@pytest.fixture(scope="session")
def data(networks: list[MeasuredNetwork]) -> TrainingData:
    return TrainingData.of("formula", networks)
