"""Colours merge nodes; what the network computes must not change by it."""

from __future__ import annotations

import numpy as np
import torch

from nnlqp_nas.core import ModelGraph
from nnlqp_nas.predictors.colouring import colour
from nnlqp_nas.predictors.kernel_gnn_network import ColourBatch, KernelGnnNetwork
from nnlqp_nas.predictors.operator_features import N_KINDS, features
from nnlqp_nas.predictors.surroundings import N_OWN

from .conftest import draw_graphs
from .test_subsampling import strides_one_by_one


def _mean(values: list[np.ndarray], width: int) -> np.ndarray:
    return np.mean(values, axis=0) if values else np.zeros(width)


def _node_by_node(graph: ModelGraph, batch_size: int) -> np.ndarray:
    """Means over neighbours as papers write them: every node of the graph for itself."""
    readers: list[list[int]] = [[] for _ in graph.operators]
    for node, sources in enumerate(graph.sources):
        for source in sources:
            readers[source].append(node)
    strides = strides_one_by_one(graph)
    own = [np.array([*features(operator, batch_size), np.log2(strides[i])]) for i, operator in enumerate(graph.operators)]
    read = [_mean([own[i] for i in sources], N_OWN) for sources in graph.sources]
    reader = [_mean([own[i] for i in nodes], N_OWN) for nodes in readers]
    degree = [np.log2([1.0 + len(sources), 1.0 + len(nodes)]) for sources, nodes in zip(graph.sources, readers, strict=True)]
    kinds = [np.concatenate([a[:N_KINDS], d[:1], b[:N_KINDS], d[1:]]) for a, b, d in zip(read, reader, degree, strict=True)]
    rows = []
    for node, sources in enumerate(graph.sources):
        far = [_mean([kinds[i] for i in nodes], 2 * N_KINDS + 2) for nodes in (sources, readers[node])]
        rows.append(np.concatenate([own[node], read[node], reader[node], degree[node], *far]))
    return np.array(rows)


def test_running_on_colours_equals_running_on_nodes() -> None:
    for size in (1, 8):
        graphs = draw_graphs(12, 5)
        batch = ColourBatch.of(graphs, size)
        total = batch.sum_by_graph(batch.surroundings.double().exp())
        alone = np.stack([np.exp(_node_by_node(graph, size)).sum(0) for graph in graphs])
        np.testing.assert_allclose(total.numpy(), alone, rtol=1e-4)


@torch.no_grad()
def test_a_part_of_a_batch_is_priced_as_in_the_whole() -> None:
    torch.manual_seed(0)
    batch = ColourBatch.of(draw_graphs(12, 5), 1)
    network = KernelGnnNetwork(3, n_members=2, width=16, platform_width=4)
    network.rates.normal_(-12.0, 2.0)
    rows = np.array([7, 2, 11])
    platforms = torch.tensor([2, 0])
    part = network(batch.part(rows), platforms)
    assert part.shape == (3, 2, 2)
    torch.testing.assert_close(part, network(batch, platforms)[rows], rtol=1e-5, atol=1e-5)


def test_colours_are_far_fewer_than_nodes_and_all_nodes_are_counted() -> None:
    graphs = draw_graphs(60, 3)
    colouring = colour(graphs, 2)
    n_nodes = sum(len(graph) for graph in graphs)
    assert colouring.count_of.sum() == n_nodes
    assert len(colouring.rounds[-1].own) < n_nodes / 2
    counted = np.bincount(colouring.graph_of, colouring.count_of, len(graphs))
    np.testing.assert_array_equal(counted, [len(graph) for graph in graphs])


def test_last_colours_know_their_operator() -> None:
    graphs = draw_graphs(5, 4)
    colouring = colour(graphs, 2)
    operators = [colouring.operators[i] for i in colouring.last_to_first()]
    for i, graph in enumerate(graphs):
        rows = colouring.graph_of == i
        counted = sum(
            n
            for colour_, n in zip(colouring.colour_of[rows], colouring.count_of[rows], strict=True)
            if operators[colour_].op_type == "Conv"
        )
        assert counted == sum(operator.op_type == "Conv" for operator in graph.operators)
