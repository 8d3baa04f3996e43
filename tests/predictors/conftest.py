from __future__ import annotations

import numpy as np
import pytest

from nnlqp_nas.core import GraphView, LatencyTable, ModelGraph, Platform
from nnlqp_nas.graphs import operator_cost
from nnlqp_nas.predictors.kernel_gnn import KernelGnn, KernelGnnSettings
from nnlqp_nas.search_spaces.nasbench201 import NasBench201

EAGER = Platform.parse("gpu-formula-torch-fp32")
ENGINE = Platform.parse("cpu-formula-fp32")


def draw_graphs(n: int, seed: int, view: GraphView = GraphView.OPTIMISED) -> list[ModelGraph]:
    space, rng = NasBench201(), np.random.default_rng(seed)
    drawn: dict[str, ModelGraph] = {}
    while len(drawn) < n:
        graph = space.graph(space.sample(rng), view)
        if len(graph) > 10:
            drawn[graph.key] = graph
    return list(drawn.values())


def formula_ms(graph: ModelGraph, launch_ms: float, gflops: float, gbytes: float, batch_size: int = 1) -> float:
    """A device whose kernels take a launch and the longer of arithmetic and traffic."""
    total = 0.0
    for operator in graph.operators[1:]:
        cost = operator_cost(operator, batch_size)
        total += launch_ms + max(cost.flops / gflops, cost.moved_bytes / gbytes) * 1e-6
    return total


def formula_table(
    platform: Platform, n: int, seed: int, launch_ms: float, gflops: float, gbytes: float, batch_size: int = 1
) -> LatencyTable:
    graphs = draw_graphs(n, seed, platform.view)
    latency_ms = np.array([formula_ms(graph, launch_ms, gflops, gbytes, batch_size) for graph in graphs])
    return LatencyTable(platform, batch_size, graphs, latency_ms, "nasbench201")


@pytest.fixture(scope="session")
def tables() -> list[LatencyTable]:
    return [formula_table(ENGINE, 120, 1, 0.005, 40.0, 10.0), formula_table(EAGER, 120, 2, 0.02, 900.0, 300.0)]


@pytest.fixture(scope="session")
def kernel_gnn(tables: list[LatencyTable]) -> KernelGnn:
    return KernelGnn(KernelGnnSettings(n_members=2, width=16, platform_width=4, n_epochs=16, n_graphs=24)).fit(tables)


@pytest.fixture(scope="session")
def fresh_graphs() -> list[ModelGraph]:
    return draw_graphs(40, 99)
