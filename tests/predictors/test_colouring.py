"""Colours merge nodes; what the network computes must not change by it."""

from __future__ import annotations

import numpy as np
import torch

from nnlqp_nas.core import ModelGraph
from nnlqp_nas.predictors.colouring import colour
from nnlqp_nas.predictors.kernel_gnn_network import ColourBatch, KernelGnnNetwork

from .conftest import draw_graphs


def _node_by_node(network: KernelGnnNetwork, graph: ModelGraph, platforms: torch.Tensor) -> torch.Tensor:
    """Message passing as papers write it: every node of the graph for itself."""
    one = ColourBatch.of(colour([graph], 0), 1)
    number = {operator: i for i, operator in enumerate(dict.fromkeys(graph.operators))}
    place = torch.tensor([number[operator] for operator in graph.operators])
    edges = torch.tensor([(s, t) for t, sources in enumerate(graph.sources) for s in sources]).T
    h = network.embed(one.features)[place]
    for conv_in, conv_out, norm in zip(network.reads, network.read_by, network.norms, strict=True):
        h = norm(h + torch.nn.functional.silu(conv_in((h, h), edges) + conv_out((h, h), edges.flip(0))))
    base = one.work[place] @ network.rates[platforms].exp().T
    price = base * (network.factors(h) @ network.platforms[platforms].T).clamp(-8, 8).exp()
    return torch.log(price.sum(0) + network.overhead[platforms].exp())


@torch.no_grad()
def test_running_on_colours_equals_running_on_nodes() -> None:
    torch.manual_seed(0)
    graphs = draw_graphs(12, 5)
    platforms = torch.arange(3)
    for n_rounds in (1, 2, 3):
        network = KernelGnnNetwork(3, width=16, n_rounds=n_rounds, platform_width=4)
        network.rates.normal_(-12.0, 2.0)
        together = network(ColourBatch.of(colour(graphs, n_rounds), 1), platforms)
        alone = torch.stack([_node_by_node(network, graph, platforms) for graph in graphs])
        torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


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
