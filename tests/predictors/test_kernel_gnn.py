from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from scipy.stats import spearmanr

from nnlqp_nas.core import CheckpointError, InvalidSettingError, LatencyPredictor, LatencyTable, ModelGraph
from nnlqp_nas.predictors.kernel_gnn import KernelGnn, KernelGnnSettings
from nnlqp_nas.predictors.operator_linear import OperatorLinear
from nnlqp_nas.search_spaces.mobilenetv3 import MobileNetV3
from nnlqp_nas.testing import TrainingRunContract

from .conftest import EAGER, ENGINE, draw_graphs, formula_ms, formula_table


class TestKernelGnnTraining(TrainingRunContract):
    @pytest.fixture
    def untrained(self) -> LatencyPredictor:
        return KernelGnn(KernelGnnSettings(n_members=2, width=8, platform_width=2, n_epochs=4, n_graphs=16))

    @pytest.fixture
    def training_tables(self) -> list[LatencyTable]:
        return [formula_table(ENGINE, 40, 1, 0.005, 40.0, 10.0), formula_table(EAGER, 40, 2, 0.02, 900.0, 300.0)]


def test_learns_a_device_and_is_right_on_networks_it_has_not_seen(kernel_gnn: KernelGnn) -> None:
    for platform, law in ((ENGINE, (0.005, 40.0, 10.0)), (EAGER, (0.02, 900.0, 300.0))):
        graphs = draw_graphs(80, 77, platform.view)
        truth = np.array([formula_ms(graph, *law) for graph in graphs])
        prediction = kernel_gnn.predict(graphs, platform)
        assert np.median(np.abs(prediction.latency_ms / truth - 1.0)) < 0.05
        assert spearmanr(prediction.latency_ms, truth)[0] > 0.98


def test_a_platform_seen_at_two_batch_sizes_is_priced_at_both() -> None:
    settings = KernelGnnSettings(n_members=2, width=16, platform_width=4, n_epochs=24, n_graphs=16)
    tables = [formula_table(EAGER, 80, 2, 0.02, 900.0, 300.0, size) for size in (1, 32)]
    predictor = KernelGnn(settings).fit(tables)
    graphs = draw_graphs(40, 78, EAGER.view)
    for size in (1, 32):
        truth = np.array([formula_ms(graph, 0.02, 900.0, 300.0, size) for graph in graphs])
        assert np.median(np.abs(predictor.predict(graphs, EAGER, size).latency_ms / truth - 1.0)) < 0.1


def test_the_same_seed_trains_the_same_predictor(tables: list[LatencyTable], fresh_graphs: list[ModelGraph]) -> None:
    settings = KernelGnnSettings(n_members=2, width=8, platform_width=2, n_epochs=2, n_graphs=32)
    first, second = (KernelGnn(settings).fit(tables, seed=3).predict(fresh_graphs, ENGINE).latency_ms for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_networks_unlike_the_training_ones_are_said_to_be_so_and_get_a_wider_interval(
    kernel_gnn: KernelGnn, fresh_graphs: list[ModelGraph]
) -> None:
    space = MobileNetV3()
    strange = [space.graph(space.sample(np.random.default_rng(seed))) for seed in range(3)]
    far, near = kernel_gnn.predict(strange, ENGINE), kernel_gnn.predict(fresh_graphs, ENGINE)
    assert far.is_extrapolating.all()
    assert near.is_extrapolating.mean() < 0.1
    assert (far.high_ms / far.low_ms).min() > (near.high_ms / near.low_ms)[~near.is_extrapolating].max()


def test_a_checkpoint_with_foreign_weights_is_refused(kernel_gnn: KernelGnn, tmp_path: Path) -> None:
    path = tmp_path / "predictor.safetensors"
    kernel_gnn.save(path)
    with pytest.raises(CheckpointError, match="operator_linear"):
        OperatorLinear.load(path)
    arrays = load_file(path)
    header_size = int.from_bytes(path.read_bytes()[:8], "little")
    metadata = json.loads(path.read_bytes()[8 : 8 + header_size])["__metadata__"]
    for name, change in (
        ("network.platforms", np.zeros((2, 4, 9), np.float32)),
        ("network.rates", np.full_like(arrays["network.rates"], np.nan)),
    ):
        save_file({**arrays, name: change}, path, metadata)
        with pytest.raises(CheckpointError):
            KernelGnn.load(path)
    save_file(arrays, path, {**metadata, "settings": "{}"})
    with pytest.raises(CheckpointError):
        KernelGnn.load(path)


def test_a_checkpoint_of_another_release_is_refused(kernel_gnn: KernelGnn) -> None:
    arrays, settings = kernel_gnn.to_arrays()
    with pytest.raises(CheckpointError, match="generation 4, got generation 1"):
        KernelGnn.from_arrays(arrays, {name: value for name, value in settings.items() if name != "generation"})


def test_the_error_on_unseen_domains_is_told_by_leaving_domains_out() -> None:
    settings = KernelGnnSettings(n_members=1, width=8, platform_width=2, n_epochs=2, n_graphs=16, n_far_folds=2)
    first = formula_table(ENGINE, 20, 1, 0.005, 40.0, 10.0)
    slower = replace(formula_table(ENGINE, 20, 2, 0.005, 40.0, 10.0), domain="other")
    alike = KernelGnn(settings).fit([first, slower]).far_error(ENGINE)
    told = KernelGnn(settings).fit([first, replace(slower, latency_ms=8.0 * slower.latency_ms)])
    unlike = told.far_error(ENGINE)
    assert 0.0 < alike < 1.0 < unlike
    assert told.far_error(EAGER) == unlike, "a platform that tells no error gets the largest one told"
    with pytest.raises(InvalidSettingError, match="2 folds of domains"):
        KernelGnn(settings).fit([first])


def test_what_platforms_differ_in_is_learned_and_kept(kernel_gnn: KernelGnn, tmp_path: Path) -> None:
    assert kernel_gnn.spread is not None
    kernel_gnn.save(tmp_path / "a.safetensors")
    read = KernelGnn.load(tmp_path / "a.safetensors").spread
    assert read is not None
    assert read.columns == kernel_gnn.spread.columns
    np.testing.assert_array_equal(read.scale, kernel_gnn.spread.scale)
    times, read_times = kernel_gnn.times, KernelGnn.load(tmp_path / "a.safetensors").times
    assert times is not None
    assert read_times is not None
    assert read_times.variants == times.variants
    for name in ("rates", "common"):
        np.testing.assert_array_equal(getattr(read_times, name), getattr(times, name))
    np.testing.assert_array_equal(read_times.spread.scale, times.spread.scale)
