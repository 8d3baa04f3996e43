from __future__ import annotations

import os
from dataclasses import astuple
from math import prod
from pathlib import Path

import numpy as np
import pytest

from nnlqp_nas.core import GraphView
from nnlqp_nas.graphs import LayerBuilder, graph_cost, graph_costs, operator_cost
from nnlqp_nas.search_spaces.nasbench201 import NasBench201

TABLE = Path(os.environ.get("NNLQP_NAS_DATA", Path(__file__).parents[3] / "shared" / "data")) / "nasbench201_static.parquet"


@pytest.mark.data
@pytest.mark.skipif(not TABLE.exists(), reason=f"the published tables are not at {TABLE.parent}")
def test_costs_of_nasbench201_equal_the_published_table() -> None:
    import pyarrow.parquet as pq

    space = NasBench201()
    for row in pq.read_table(TABLE).to_pylist()[::53]:
        architecture = space.decode(row["arch_str"])
        cost = graph_cost(space.graph(architecture, GraphView.AS_WRITTEN))
        assert cost.macs / 1e6 == pytest.approx(row["macs_m"], rel=1e-6)
        assert cost.params / 1e6 == pytest.approx(row["params_m"], rel=1e-6)
        if row["output_connected"]:
            live = graph_cost(space.graph(architecture, GraphView.OPTIMISED))
            assert live.macs / 1e6 == pytest.approx(row["live_macs_m"], rel=1e-6)


def test_batch_size_scales_activations_and_not_weights() -> None:
    space = NasBench201()
    graph = space.graph(space.architecture(*["nor_conv_3x3"] * 6))
    one, eight = graph_cost(graph, 1), graph_cost(graph, 8)
    assert (eight.macs, eight.flops) == (8 * one.macs, 8 * one.flops)
    assert (eight.read_bytes, eight.write_bytes) == (8 * one.read_bytes, 8 * one.write_bytes)
    assert (eight.params, eight.weight_bytes) == (one.params, one.weight_bytes)


def test_costs_of_single_layers() -> None:
    net = LayerBuilder(GraphView.AS_WRITTEN)
    x = net.input(8, 10, 10)
    conv = net.conv(x, 16, 3, stride=2, groups=4, bias=True)
    pool = net.max_pool(conv, 2)
    tokens = net.reshape(pool, 16, 4)
    product = net.matmul(tokens, net.transpose(tokens, 0, 2, 1))
    graph = net.finish(net.linear(net.flatten(product), 3))
    costs = [operator_cost(operator) for operator in graph.operators]
    assert costs[0].moved_bytes == 0
    assert costs[conv].macs == 16 * 5 * 5 * 2 * 9
    assert costs[conv].flops == 2 * costs[conv].macs + 16 * 5 * 5
    assert costs[conv].params == 16 * 2 * 9 + 16
    assert costs[conv].read_bytes == 4 * 8 * 10 * 10
    assert costs[pool].flops == prod(graph.operators[pool].output) * 4
    assert costs[tokens].moved_bytes == 0
    assert costs[product].macs == 16 * 16 * 4
    assert costs[-1].macs == 256 * 3


def test_costs_of_many_networks_are_those_of_each() -> None:
    space, rng = NasBench201(n_cells=1), np.random.default_rng(0)
    graphs = [space.graph(space.sample(rng)) for _ in range(20)]
    for batch_size in (1, 8):
        expected = [astuple(graph_cost(graph, batch_size)) for graph in graphs]
        np.testing.assert_array_equal(graph_costs(graphs, batch_size), expected)
    assert graph_costs([]).shape == (0, 6)
