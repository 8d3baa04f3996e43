"""NNLP trained here: it learns, adapts, and says when it does not know."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from scipy.stats import spearmanr

from nnlqp_nas.core import CheckpointError, InvalidSettingError, LatencyPredictor, LatencyTable, ModelGraph, Platform
from nnlqp_nas.predictors.held_out import FAR_MARGIN
from nnlqp_nas.predictors.nnlp import Nnlp, NnlpSettings
from nnlqp_nas.search_spaces.mobilenetv3 import MobileNetV3
from nnlqp_nas.testing import LatencyPredictorContract, TrainingRunContract

from .conftest import EAGER, ENGINE, draw_graphs, formula_ms

SMALL = NnlpSettings(width=24, head_width=24, n_epochs=20, n_adapt_epochs=100, learning_rate=5e-3, held_out=0.2)


@pytest.fixture(scope="module")
def nnlp(tables: list[LatencyTable]) -> Nnlp:
    return Nnlp(SMALL).fit(tables)


class TestNnlp(LatencyPredictorContract):
    @pytest.fixture
    def predictor(self, nnlp: Nnlp) -> Nnlp:
        return nnlp

    @pytest.fixture
    def graphs(self, fresh_graphs: list[ModelGraph]) -> list[ModelGraph]:
        return fresh_graphs[:16]


class TestNnlpTraining(TrainingRunContract):
    @pytest.fixture
    def untrained(self) -> LatencyPredictor:
        return Nnlp(NnlpSettings(width=8, head_width=8, n_epochs=3, learning_rate=5e-3))

    @pytest.fixture
    def training_tables(self, tables: list[LatencyTable]) -> list[LatencyTable]:
        return [LatencyTable(t.platform, t.batch_size, t.graphs[:30], t.latency_ms[:30]) for t in tables]


def test_fine_tuning_for_a_further_platform_keeps_the_known_ones(nnlp: Nnlp, fresh_graphs: list[ModelGraph]) -> None:
    new = Platform.parse("npu-new-int8")
    tables = [LatencyTable(platform, 1, fresh_graphs[:8], np.linspace(1.0, 2.0, 8)) for platform in (ENGINE, new)]
    run = nnlp.start_training(tables, from_scratch=False)
    begun = run.predictor()
    assert set(begun.platforms) == {*nnlp.platforms, new}
    np.testing.assert_allclose(begun.predict(fresh_graphs, ENGINE).latency_ms, nnlp.predict(fresh_graphs, ENGINE).latency_ms)
    run.advance()
    tuned = run.predictor()
    assert not np.allclose(tuned.predict(fresh_graphs, ENGINE).latency_ms, nnlp.predict(fresh_graphs, ENGINE).latency_ms)
    np.testing.assert_array_equal(tuned.predict(fresh_graphs, EAGER).latency_ms, nnlp.predict(fresh_graphs, EAGER).latency_ms)
    assert nnlp.start_training(tables).predictor().platforms == tuple(sorted((ENGINE, new)))


def test_a_state_of_another_training_is_refused(fresh_graphs: list[ModelGraph]) -> None:
    table = LatencyTable(ENGINE, 1, fresh_graphs[:4], np.ones(4))
    small, wide = (Nnlp(NnlpSettings(width=width, head_width=8)).start_training([table]) for width in (8, 16))
    small.advance()
    for state in (small.state, {}, {"epoch": np.array([1])}):
        with pytest.raises(CheckpointError, match="state"):
            wide.restore(state)


def test_learns_two_platforms_at_once(nnlp: Nnlp) -> None:
    for platform, law in ((ENGINE, (0.005, 40.0, 10.0)), (EAGER, (0.02, 900.0, 300.0))):
        graphs = draw_graphs(40, 77, platform.view)
        truth = np.array([formula_ms(graph, *law) for graph in graphs])
        prediction = nnlp.predict(graphs, platform)
        assert np.median(np.abs(prediction.latency_ms / truth - 1.0)) < 0.15
        assert spearmanr(prediction.latency_ms, truth)[0] > 0.95
        assert ((prediction.low_ms <= truth) & (truth <= prediction.high_ms)).mean() > 0.7


def test_the_same_seed_trains_the_same_predictor(fresh_graphs: list[ModelGraph]) -> None:
    tables = [LatencyTable(ENGINE, 1, fresh_graphs[:20], np.linspace(1.0, 2.0, 20))]
    settings = NnlpSettings(width=8, head_width=8, norm_static=True, n_epochs=1)
    one, same, other = (Nnlp(settings).fit(tables, seed).predict(fresh_graphs, ENGINE).latency_ms for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_networks_unlike_the_training_ones_are_said_to_be_so(nnlp: Nnlp, fresh_graphs: list[ModelGraph]) -> None:
    space = MobileNetV3()
    strange = nnlp.predict([space.graph(space.sample(np.random.default_rng(0)))], ENGINE)
    assert strange.is_extrapolating.all()
    assert np.log(strange.high_ms / strange.latency_ms)[0] >= FAR_MARGIN - 1e-9
    assert nnlp.predict(fresh_graphs, ENGINE).is_extrapolating.mean() < 0.1


def test_fine_tuning_starts_from_what_was_learned_with_a_new_head(nnlp: Nnlp, fresh_graphs: list[ModelGraph]) -> None:
    barely = Nnlp(NnlpSettings(width=24, head_width=24, n_adapt_epochs=1, learning_rate=1e-9), nnlp.parts)
    source = barely.parts[0].network.state_dict()
    once = barely.adapt(Platform.parse("npu-new-int8"), fresh_graphs[:8], np.ones(8))
    tuned = once.parts[-1].network.state_dict()
    for name in ("graph_conv_1.lin_l.weight", "graph_conv_2.lin_r.weight"):
        np.testing.assert_allclose(tuned[name], source[name], atol=1e-6)
    assert not np.allclose(tuned["heads.0.fc_1.weight"], source["heads.0.fc_1.weight"], atol=1e-3)
    again = once.adapt(Platform.parse("npu-new-int8"), fresh_graphs[:8], np.ones(8)).parts[-1].network.state_dict()
    np.testing.assert_allclose(again["heads.0.fc_1.weight"], tuned["heads.0.fc_1.weight"], atol=1e-6)


def test_an_adapted_predictor_is_saved_whole(nnlp: Nnlp, fresh_graphs: list[ModelGraph], tmp_path: Path) -> None:
    new = Platform.parse("npu-new-int8")
    adapted = Nnlp(NnlpSettings(width=24, head_width=24, n_adapt_epochs=1), nnlp.parts).adapt(new, fresh_graphs[:4], np.ones(4))
    adapted.save(tmp_path / "nnlp.safetensors")
    loaded = Nnlp.load(tmp_path / "nnlp.safetensors")
    assert loaded.settings == adapted.settings
    for platform in (*nnlp.platforms, new):
        expected = adapted.predict(fresh_graphs, platform)
        np.testing.assert_array_equal(loaded.predict(fresh_graphs, platform).high_ms, expected.high_ms)


def test_foreign_weights_are_refused(nnlp: Nnlp, tmp_path: Path) -> None:
    from nnlqp_nas.predictors.checkpoint import write_checkpoint

    path = tmp_path / "nnlp.safetensors"
    nnlp.save(path)
    arrays = load_file(path)
    part = {
        "network": dict(nnlp.parts[0].network.sizes),
        "platforms": list(map(str, nnlp.platforms)),
        "margins": [0.1, 0.1],
        "n_domains": 0,
    }
    for change in (
        {"network": {**part["network"], "width": 10**9}},
        {"platforms": ["npu-a-int8"]},
        {"margins": ["a", "b"]},
        {"network": {}},
    ):
        write_checkpoint(path, "nnlp", arrays, {"settings": {}, "parts": [{**part, **change}]}, nnlp.platforms)
        with pytest.raises(CheckpointError):
            Nnlp.load(path)
    write_checkpoint(path, "nnlp", arrays, {"settings": {"width": 0}, "parts": [part]}, nnlp.platforms)
    with pytest.raises(CheckpointError):
        Nnlp.load(path)


def test_settings_out_of_range_and_learning_from_nothing_are_refused(fresh_graphs: list[ModelGraph]) -> None:
    for wrong in ({"width": 0}, {"n_epochs": 0}, {"learning_rate": 0.0}, {"held_out": 1.0}):
        with pytest.raises(InvalidSettingError, match="expected"):
            NnlpSettings(**wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidSettingError, match="at least 1"):
        Nnlp().fit([])
    with pytest.raises(InvalidSettingError, match="trained"):
        Nnlp().adapt(ENGINE, fresh_graphs[:2], [1.0, 2.0])
