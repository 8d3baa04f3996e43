"""Prices are remembered by surrounding; no figure may depend on what was asked before, or beside."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from nnlqp_nas.core import ModelGraph
from nnlqp_nas.predictors.familiarity import Domains, totals
from nnlqp_nas.predictors.kernel_gnn import KernelGnn
from nnlqp_nas.predictors.kernel_gnn_arrays import _product
from nnlqp_nas.predictors.kernel_gnn_network import ColourBatch
from nnlqp_nas.predictors.kernel_prices import KernelPrices
from nnlqp_nas.predictors.neighbourhoods import Neighbourhoods
from nnlqp_nas.predictors.operator_numbers import FEATURES, PLACE, operator_numbers
from nnlqp_nas.predictors.row_memory import RowMemory
from nnlqp_nas.predictors.surroundings import N_ROUNDS, surroundings
from nnlqp_nas.search_spaces.googlenet import GoogLeNet
from nnlqp_nas.search_spaces.mobilenetv3 import MobileNetV3

from .conftest import EAGER, ENGINE, draw_graphs
from .test_colouring import _node_by_node


@pytest.fixture(scope="module")
def strange() -> list[ModelGraph]:
    """Joins of several branches and long chains: what the training networks do not have."""
    spaces, rng = (GoogLeNet(), MobileNetV3()), np.random.default_rng(0)
    return [space.graph(space.sample(rng)) for space in spaces for _ in range(3)]


@torch.no_grad()
@pytest.mark.parametrize("batch_size", [1, 8])
def test_sums_of_remembered_prices_are_what_the_network_says(
    kernel_gnn: KernelGnn, fresh_graphs: list[ModelGraph], strange: list[ModelGraph], batch_size: int
) -> None:
    graphs = [*fresh_graphs, *strange]
    network = kernel_gnn.trained()
    truth = network.double()(_in_double(ColourBatch.of(graphs, batch_size)), torch.arange(2)).numpy()
    network.float()
    remembered = KernelPrices(network, [0, 1], batch_size)
    for _ in range(2):  # computed, then remembered
        np.testing.assert_allclose(remembered.sum_over(graphs).log_ms, truth, atol=1e-6)


def _in_double(batch: ColourBatch) -> ColourBatch:
    return replace(batch, surroundings=batch.surroundings.double(), work=batch.work.double(), count_of=batch.count_of.double())


def test_no_bit_of_a_figure_depends_on_the_company(
    kernel_gnn: KernelGnn, fresh_graphs: list[ModelGraph], strange: list[ModelGraph]
) -> None:
    graphs = [*fresh_graphs, *strange]
    together = replace(kernel_gnn).predict(graphs, ENGINE)
    for order in (range(len(graphs)), reversed(range(len(graphs)))):
        predictor = replace(kernel_gnn)
        alone = {i: predictor.predict([graphs[i]], ENGINE) for i in order}
        for name in ("latency_ms", "low_ms", "high_ms", "is_extrapolating"):
            np.testing.assert_array_equal([getattr(alone[i], name)[0] for i in range(len(graphs))], getattr(together, name))


def test_what_a_domain_does_not_hold_is_summed_as_node_by_node(kernel_gnn: KernelGnn, strange: list[ModelGraph]) -> None:
    domains = [kernel_gnn.domains[i] for i in kernel_gnn.seen[kernel_gnn.known.index(EAGER)]]
    sums = KernelPrices(kernel_gnn.trained(), [kernel_gnn.known.index(EAGER)], 1, domains).sum_over(strange)
    np.testing.assert_allclose(sums.sizes, totals(strange), rtol=1e-12)
    batch = ColourBatch.of(strange, 1)
    price = kernel_gnn.trained().price(batch, torch.tensor([kernel_gnn.known.index(EAGER)])).mean(0)
    is_known = Domains(domains).know(operator_numbers(batch.operators, 1)[:, PLACE])[batch.first.numpy()]
    share = batch.sum_by_graph(price * torch.from_numpy(~is_known)) / batch.sum_by_graph(price)
    np.testing.assert_allclose(sums.strange, share.detach().numpy(), rtol=1e-5)
    assert (sums.strange > 0.0).any()


def test_some_nodes_are_described_as_among_all(strange: list[ModelGraph]) -> None:
    nodes = Neighbourhoods.of(strange, N_ROUNDS)
    everywhere = np.concatenate([_node_by_node(graph, 1) for graph in strange])
    chosen = np.random.default_rng(1).permutation(len(everywhere))[:50]
    colouring = nodes.colouring(chosen)
    own = operator_numbers(colouring.operators, 1)[:, FEATURES].astype(np.float32)
    np.testing.assert_allclose(surroundings(colouring, own), everywhere[chosen], rtol=1e-5, atol=1e-6)


def test_nodes_of_one_name_look_alike_in_whichever_network(strange: list[ModelGraph]) -> None:
    graphs = [*strange, *draw_graphs(8, 3)]
    names = Neighbourhoods.of(graphs, N_ROUNDS).names
    apart = np.concatenate([Neighbourhoods.of([graph], N_ROUNDS).names for graph in graphs])
    np.testing.assert_array_equal(names, apart)
    everywhere = np.concatenate([_node_by_node(graph, 1) for graph in graphs])
    _, first, place = np.unique(names, return_index=True, return_inverse=True)
    np.testing.assert_array_equal(everywhere[first[place]], everywhere)


def test_rows_are_computed_once_until_there_is_no_room() -> None:
    memory, asked = RowMemory(capacity=5), []

    def look_up(*keys: int) -> list[float]:
        def compute(missing: list[int]) -> np.ndarray:
            asked.extend(keys[i] for i in missing)
            return np.array([[10.0 * keys[i], 1.0] for i in missing])

        return memory.look_up(keys, compute)[:, 0].tolist()

    assert look_up(1, 2) == [10.0, 20.0]
    assert look_up(2, 3, 1) == [20.0, 30.0, 10.0]
    assert asked == [1, 2, 3]
    assert look_up(4, 1, 5, 6) == [40.0, 10.0, 50.0, 60.0]  # begins anew
    assert asked == [1, 2, 3, 4, 1, 5, 6]
    assert look_up(6, 4) == [60.0, 40.0]
    assert len(memory) == 4
    assert len(pickle.loads(pickle.dumps(memory))) == 0


@pytest.mark.parametrize(("n_members", "n_inputs", "n_columns"), [(2, 16, 1), (1, 48, 1), (4, 48, 3), (1, 392, 32), (2, 48, 48)])
def test_no_bit_of_a_row_depends_on_the_rows_beside_it(n_members: int, n_inputs: int, n_columns: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n_members, 300, n_inputs)).astype(np.float32)
    weights = torch.from_numpy(rng.normal(size=(n_members, n_inputs, n_columns)).astype(np.float32))
    every = _product(x, weights)
    for n_rows in range(1, 300, 3):
        np.testing.assert_array_equal(_product(np.ascontiguousarray(x[:, :n_rows]), weights), every[:, :n_rows])


def test_threads_share_a_predictor(kernel_gnn: KernelGnn, fresh_graphs: list[ModelGraph]) -> None:
    alone = replace(kernel_gnn).predict(fresh_graphs, ENGINE).latency_ms
    shared = replace(kernel_gnn)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda graph: shared.predict([graph], ENGINE).latency_ms[0], fresh_graphs * 3))
    np.testing.assert_array_equal(answers, np.tile(alone, 3))
