from __future__ import annotations

import numpy as np
import pytest

from benchmarks.evaluation import Cells
from benchmarks.measured_networks import PROBES, MeasuredNetworks
from benchmarks.transfer_experiment import ALL, ALONE, METHODS, OURS, RANDOM, TABLE, TransferExperiment
from benchmarks.transfer_family import PRETRAINED, judge_platform, over_platforms, split_family
from benchmarks.transfer_features import TransferFeatures, rotated
from benchmarks.transfer_nnlp import NnlpTransfer
from nnlqp_nas.core import InvalidSettingError, LatencyTable, ModelGraph, Platform
from nnlqp_nas.graphs import graph_cost
from nnlqp_nas.predictors.kernel_gnn import KernelGnn, KernelGnnSettings
from nnlqp_nas.search_spaces.nasbench201 import NasBench201
from nnlqp_nas.transfer import FeatureGroup, describe_graphs

PLATFORMS = [Platform.parse(f"board-{name}-fp32") for name in ("a", "b", "c")]


def draw_graphs(n: int, seed: int) -> list[ModelGraph]:
    space, rng = NasBench201(), np.random.default_rng(seed)
    drawn: dict[str, ModelGraph] = {}
    while len(drawn) < n:
        graph = space.graph(space.sample(rng))
        if len(graph) > 10:
            drawn[graph.key] = graph
    return list(drawn.values())


def formula_ms(graphs: list[ModelGraph], which: int) -> np.ndarray:
    cost = [graph_cost(graph) for graph in graphs]
    return np.array([0.1 + (1.0 + which) * one.flops / 1e8 + (3.0 - which) * one.moved_bytes / 1e7 for one in cost])


@pytest.fixture(scope="module")
def tables() -> list[LatencyTable]:
    graphs = draw_graphs(60, 0)
    parts = {"cells": slice(0, 40), "others": slice(40, 56), PROBES: slice(56, 60)}
    return [
        LatencyTable(platform, 1, graphs[at], formula_ms(graphs[at], which), domain)
        for which, platform in enumerate(PLATFORMS)
        for domain, at in parts.items()
    ]


@pytest.fixture(scope="module")
def networks(tables: list[LatencyTable]) -> MeasuredNetworks:
    return MeasuredNetworks.of(tables, has_probes=False)


def test_networks_of_all_platforms_count_and_probes_only_if_asked_for(tables: list[LatencyTable]) -> None:
    short = [*tables[:-3], LatencyTable(PLATFORMS[2], 1, tables[-3].graphs[1:], tables[-3].latency_ms[1:], "cells"), *tables[-2:]]
    networks = MeasuredNetworks.of(short, has_probes=False)
    assert len(networks) == 55
    assert set(networks.families) == {"cells", "others"}
    assert len(MeasuredNetworks.of(short, has_probes=True)) == 59
    table = networks.table(PLATFORMS[1], np.array([3, 7]))
    np.testing.assert_allclose(table.latency_ms, formula_ms(list(table.graphs), 1))


def test_platforms_without_networks_in_common_are_refused(tables: list[LatencyTable]) -> None:
    with pytest.raises(InvalidSettingError, match="at least 2 platforms with 30 networks in common, got 1 with 56"):
        MeasuredNetworks.of(tables[:3], has_probes=False)


def test_a_rotated_group_has_the_same_products_in_fewer_columns() -> None:
    values = np.random.default_rng(0).normal(size=(5, 40))
    group = rotated(FeatureGroup(tuple(map(str, range(40))), values))
    assert len(group.columns) <= 5
    np.testing.assert_allclose(group.values @ group.values.T, values @ values.T, atol=1e-3 * (values**2).sum())


@pytest.mark.slow
def test_features_do_not_depend_on_the_platform_left_out(tables: list[LatencyTable]) -> None:
    target = PLATFORMS[2]
    moved = [LatencyTable(t.platform, 1, t.graphs, t.latency_ms ** (2.0 if t.platform == target else 1.0), t.domain) for t in tables]
    first, second = (TransferFeatures(MeasuredNetworks.of(given, False)) for given in (tables, moved))
    for name in ("measured", "predicted"):
        for group, other in zip(getattr(first, name)(target).values(), getattr(second, name)(target).values(), strict=True):
            np.testing.assert_array_equal(group.values, other.values)


def test_platforms_are_learned_and_finished_parts_are_kept(networks: MeasuredNetworks, tmp_path) -> None:
    cells = Cells(tmp_path / "cells.jsonl")
    found = TransferExperiment(networks, [12], True, 2, 1, METHODS, None, [], cells).judge(PLATFORMS[2])
    assert set(found) == {"12", ALL}
    assert set(found["12"]) == set(METHODS)
    assert set(found[ALL]) == {RANDOM, ALONE, TABLE}
    assert found["12"][OURS]["mape"] < 3.0
    assert found["12"][OURS]["n_seeds"] == 2
    again = TransferExperiment(networks, [12], True, 2, 1, METHODS, None, [], Cells(cells.path, runs=False)).judge(PLATFORMS[2])
    assert again == found


@pytest.mark.slow
def test_nnlp_is_fine_tuned_for_so_many_passes(networks: MeasuredNetworks, tmp_path) -> None:
    transfer = NnlpTransfer(networks, (PLATFORMS[2],), 6, 1, 40, tmp_path)
    assert transfer.sources == PLATFORMS[:2]
    assert [transfer.adaptation_epochs(n) for n in (4, 400)] == [10, 1]
    samples = networks.table(PLATFORMS[2], np.arange(8))
    assert PLATFORMS[2] in transfer.adapt(samples).platforms
    assert transfer.train_alone(samples, 0).platforms == (PLATFORMS[2],)


@pytest.mark.slow
def test_a_new_family_is_judged_on_networks_that_were_not_sampled(tables: list[LatencyTable]) -> None:
    known, new = split_family(tables, "cells")
    assert {table.domain for table in known} == {"others", PROBES}
    base = KernelGnn(KernelGnnSettings(1, 8, 4, n_epochs=2)).fit(known)
    found = {str(table.platform): judge_platform(base, table, [10]) for table in new}
    summary = over_platforms(found)
    assert set(summary[PRETRAINED]) == {"0", "10", ALL}
    assert summary[PRETRAINED][ALL]["mape"] < summary[PRETRAINED]["0"]["mape"]
    with pytest.raises(InvalidSettingError, match="expected a family of cells, operator_probes, others with 15 networks"):
        split_family(tables, "vit")


def test_graphs_are_described_alone(networks: MeasuredNetworks) -> None:
    assert set(TransferFeatures(networks).alone) == set(describe_graphs(networks.graphs[:1]))
