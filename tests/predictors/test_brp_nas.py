"""BRP-NAS's network: what it gathers, that it learns in its space, and what it cannot see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from nnlqp_nas.core import CheckpointError, InvalidSettingError, LatencyPredictor, LatencyTable, ModelGraph
from nnlqp_nas.predictors.brp_nas import BrpNas, BrpSettings
from nnlqp_nas.predictors.brp_network import GLOBAL, N_KINDS, BrpBatch, BrpNetwork
from nnlqp_nas.predictors.checkpoint import read_checkpoint, write_checkpoint
from nnlqp_nas.predictors.operator_features import KINDS, kind_of
from nnlqp_nas.search_spaces.nasbench201 import NasBench201
from nnlqp_nas.testing import LatencyPredictorContract, TrainingRunContract

from .conftest import ENGINE, draw_graphs, formula_ms, formula_table

SMALL = BrpSettings(width=24, n_layers=2, n_epochs=15, n_adapt_epochs=3, learning_rate=1e-2, n_graphs=8)


@pytest.fixture(scope="module")
def brp_nas(tables: list[LatencyTable]) -> BrpNas:
    return BrpNas(SMALL).fit(tables[:1])


class TestBrpNas(LatencyPredictorContract):
    @pytest.fixture
    def predictor(self, brp_nas: BrpNas) -> LatencyPredictor:
        return brp_nas

    @pytest.fixture
    def graphs(self, fresh_graphs: list[ModelGraph]) -> list[ModelGraph]:
        return fresh_graphs[:16]


class TestBrpTraining(TrainingRunContract):
    @pytest.fixture
    def untrained(self) -> LatencyPredictor:
        return BrpNas(BrpSettings(width=8, n_layers=2, n_epochs=3, learning_rate=4e-3, n_graphs=8))

    @pytest.fixture
    def training_tables(self, tables: list[LatencyTable]) -> list[LatencyTable]:
        return [LatencyTable(t.platform, t.batch_size, t.graphs[:20], t.latency_ms[:20]) for t in tables]


def test_the_network_of_the_paper() -> None:
    sizes = BrpSettings()
    network = BrpNetwork(sizes.width, sizes.n_layers)
    assert [tuple(layer.weight.shape) for layer in network.convolutions] == [(600, N_KINDS), (600, 600), (600, 600), (600, 600)]
    assert network.price.out_features == 1


@torch.no_grad()
def test_the_batch_computes_what_every_node_of_every_network_would(fresh_graphs: list[ModelGraph]) -> None:
    graphs = [*fresh_graphs[:3], fresh_graphs[0]]
    torch.manual_seed(0)
    network = BrpNetwork(16, 4).eval()
    answers = network(BrpBatch.of(graphs, 4))
    for graph, answer in zip(graphs, answers, strict=True):
        adjacency = torch.eye(len(graph) + 1)
        adjacency[0, 1:] = 1
        for node, sources in enumerate(graph.sources):
            for source in sources:
                adjacency[source + 1, node + 1] += 1
        kinds = torch.tensor([GLOBAL, *(KINDS.index(kind_of(operator)) for operator in graph.operators)])
        x = torch.nn.functional.one_hot(kinds, N_KINDS).float()
        for layer, norm in zip(network.convolutions, network.norms, strict=True):
            x = torch.relu(norm(layer(adjacency @ x)))
        assert float(answer) == pytest.approx(float(network.price(x[0])), rel=1e-4)


def test_what_gathers_the_same_is_computed_once(fresh_graphs: list[ModelGraph]) -> None:
    graph = fresh_graphs[0]
    once, twice = (BrpBatch.of(graphs, 4) for graphs in ([graph], [graph, graph]))
    assert [part.n_behind for part in once.gatherings] == [part.n_behind for part in twice.gatherings]
    assert once.gatherings[-1].n_behind == 1
    assert max(part.n_behind for part in once.gatherings) < len(graph) / 2
    assert twice.globals.tolist() == [0, 0]
    assert all(int(part.count.sum()) >= part.n_behind for part in once.gatherings)


def test_learns_the_order_of_its_space(brp_nas: BrpNas) -> None:
    graphs = draw_graphs(40, 77)
    truth = np.array([formula_ms(graph, 0.005, 40.0, 10.0) for graph in graphs])
    prediction = brp_nas.predict(graphs, ENGINE)
    assert spearmanr(prediction.latency_ms, truth)[0] > 0.8
    assert ((prediction.low_ms <= truth) & (truth <= prediction.high_ms)).mean() > 0.7


def test_width_and_input_size_are_out_of_its_sight_and_said_to_be_so(brp_nas: BrpNas) -> None:
    codes = [NasBench201(), NasBench201(channels=64, resolution=64)]
    narrow, wide = (space.graph(space.decode("|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|nor_conv_1x1~2|")) for space in codes)
    assert brp_nas.predict([narrow], ENGINE).latency_ms == pytest.approx(brp_nas.predict([wide], ENGINE).latency_ms, rel=1e-5)
    assert brp_nas.predict([wide], ENGINE).is_extrapolating.all()


def test_a_network_on_other_kinds_is_refused(brp_nas: BrpNas, tmp_path: Path) -> None:
    path = tmp_path / "brp.safetensors"
    brp_nas.save(path)
    arrays, settings = read_checkpoint(path, "brp_nas")
    write_checkpoint(path, "brp_nas", arrays, {**settings, "kinds": settings["kinds"][::-1]}, brp_nas.platforms)
    with pytest.raises(CheckpointError, match="kinds"):
        BrpNas.load(path)


def test_the_nearest_batch_size_answers_and_extrapolates(fresh_graphs: list[ModelGraph]) -> None:
    tables = [formula_table(ENGINE, 20, 1, 0.005, 40.0, 10.0, size) for size in (1, 8)]
    predictor = BrpNas(BrpSettings(width=8, n_layers=1, n_epochs=1, n_graphs=8)).fit(tables)
    eight = predictor.predict(fresh_graphs, ENGINE, 8)
    nine = predictor.predict(fresh_graphs, ENGINE, 9)
    np.testing.assert_allclose(nine.latency_ms, eight.latency_ms)
    assert nine.is_extrapolating.all()


def test_the_same_seed_trains_the_same_network_and_leaves_torchs_own_draws_alone(tables: list[LatencyTable]) -> None:
    few = [LatencyTable(ENGINE, 1, tables[0].graphs[:12], tables[0].latency_ms[:12])]
    untrained = BrpNas(BrpSettings(width=8, n_layers=1, n_epochs=2, n_graphs=4))
    one, same, other = (untrained.fit(few, seed).predict(few[0].graphs, ENGINE).latency_ms for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    run = untrained.start_training(few)
    torch.manual_seed(9)
    expected = torch.rand(3)
    torch.manual_seed(9)
    run.advance()
    assert torch.equal(torch.rand(3), expected)


def test_settings_out_of_range_and_learning_from_nothing_are_refused(fresh_graphs: list[ModelGraph]) -> None:
    for wrong in ({"width": 0}, {"n_epochs": 0}, {"learning_rate": 0.0}, {"held_out": 1.0}):
        with pytest.raises(InvalidSettingError, match="expected"):
            BrpSettings(**wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidSettingError, match="at least 1"):
        BrpNas().fit([])
    with pytest.raises(InvalidSettingError, match="trained"):
        BrpNas().adapt(ENGINE, fresh_graphs[:2], [1.0, 2.0])
