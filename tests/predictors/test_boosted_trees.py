"""Gradient-boosted trees: scikit-learn's answers from arrays, and checkpoints that cannot walk in circles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor

from nnlqp_nas.core import CheckpointError, InvalidSettingError, LatencyPredictor, LatencyTable, ModelGraph
from nnlqp_nas.predictors.boosted_trees import BoostedTrees, BoostedTreesSettings
from nnlqp_nas.predictors.checkpoint import read_checkpoint, write_checkpoint
from nnlqp_nas.predictors.forest import Forest
from nnlqp_nas.predictors.graph_statistics import BY_KIND, N_STATISTICS, WHOLE, graph_statistics
from nnlqp_nas.predictors.operator_features import KINDS
from nnlqp_nas.search_spaces.nasbench201 import NasBench201
from nnlqp_nas.testing import LatencyPredictorContract, TrainingRunContract

from .conftest import EAGER, ENGINE, draw_graphs, formula_ms

SETTINGS = BoostedTreesSettings(n_trees=60, min_samples_leaf=5)


@pytest.fixture(scope="module")
def boosted_trees(tables: list[LatencyTable]) -> BoostedTrees:
    return BoostedTrees(SETTINGS).fit(tables)


class TestBoostedTrees(LatencyPredictorContract):
    @pytest.fixture
    def predictor(self, boosted_trees: BoostedTrees) -> LatencyPredictor:
        return boosted_trees

    @pytest.fixture
    def graphs(self, fresh_graphs: list[ModelGraph]) -> list[ModelGraph]:
        return fresh_graphs[:16]


class TestBoostedTreesTraining(TrainingRunContract):
    @pytest.fixture
    def untrained(self) -> LatencyPredictor:
        return BoostedTrees(BoostedTreesSettings(n_trees=30, min_samples_leaf=5))

    @pytest.fixture
    def training_tables(self, tables: list[LatencyTable]) -> list[LatencyTable]:
        return [LatencyTable(t.platform, t.batch_size, t.graphs[:50], t.latency_ms[:50]) for t in tables[:1]]


def draw_problem(n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    features = rng.normal(size=(n, 6))
    return features, features[:, 0] * 2 + np.sin(3 * features[:, 1]) + rng.normal(size=n) * 0.1


def test_the_arrays_answer_as_scikit_learn_does() -> None:
    features, target = draw_problem(400)
    model = HistGradientBoostingRegressor(max_iter=40, early_stopping=False, random_state=0).fit(features, target)
    forest = Forest.constant(0.0).grown(features, target, 40, {}, seed=0)
    fresh, _ = draw_problem(1000)
    np.testing.assert_allclose(forest.predict(fresh), model.predict(fresh), rtol=1e-9, atol=1e-12)


def test_growing_in_steps_is_boosting_on() -> None:
    features, target = draw_problem(400)
    at_once = Forest.constant(0.0).grown(features, target, 40, {}, seed=0)
    in_steps = Forest.constant(0.0)
    for _ in range(4):
        in_steps = in_steps.grown(features, target, 10, {}, seed=0)
    error = [float(np.abs(forest.predict(features) - target).mean()) for forest in (at_once, in_steps)]
    assert error[1] == pytest.approx(error[0], rel=0.1)


def test_too_few_samples_to_split_shift_the_forest() -> None:
    features, target = draw_problem(200)
    forest = Forest.constant(0.0).grown(features, target, 10, {}, seed=0)
    shifted = forest.grown(features[:8], forest.predict(features[:8]) + 1.5, 50, {}, seed=0)
    assert len(shifted.roots) == len(forest.roots)
    np.testing.assert_allclose(shifted.predict(features), forest.predict(features) + 1.5)


@pytest.mark.parametrize(
    ("name", "value"), [("left", 0), ("right", 10**6), ("feature", 6), ("feature", -1), ("roots", 10**6), ("left", -1)]
)
def test_trees_that_lead_astray_are_refused(name: str, value: int) -> None:
    features, target = draw_problem(200)
    arrays = Forest.constant(0.0).grown(features, target, 2, {}, seed=0).to_arrays("a.")
    Forest.from_arrays("a.", arrays, 6)
    damaged = arrays[f"a.{name}"].copy()
    damaged[1] = value
    with pytest.raises(CheckpointError, match="children"):
        Forest.from_arrays("a.", {**arrays, f"a.{name}": damaged}, 6)
    with pytest.raises(CheckpointError, match="whole numbers"):
        Forest.from_arrays("a.", {**arrays, "a.left": arrays["a.left"].astype(np.float64)}, 6)


def test_trees_on_other_statistics_are_refused(boosted_trees: BoostedTrees, tmp_path: Path) -> None:
    path = tmp_path / "trees.safetensors"
    boosted_trees.save(path)
    arrays, settings = read_checkpoint(path, "boosted_trees")
    write_checkpoint(path, "boosted_trees", arrays, {**settings, "statistics": settings["statistics"][::-1]}, boosted_trees.platforms)
    with pytest.raises(CheckpointError, match="statistics"):
        BoostedTrees.load(path)


def test_statistics_name_what_they_count() -> None:
    space = NasBench201()
    graph = space.graph(space.decode("|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_1x1~2|"))
    numbers = graph_statistics([graph], 4)[0]
    assert numbers.shape == (N_STATISTICS,)
    assert numbers[WHOLE.index("n_operators")] == len(graph)
    assert numbers[WHOLE.index("log2_batch")] == 2
    counts = numbers[len(WHOLE) :].reshape(len(KINDS), len(BY_KIND))[:, 0]
    assert counts.sum() == len(graph)
    assert numbers[WHOLE.index("depth")] <= len(graph)
    assert graph_statistics([], 1).shape == (0, N_STATISTICS)


def test_learns_both_platforms(boosted_trees: BoostedTrees) -> None:
    for platform, law in ((ENGINE, (0.005, 40.0, 10.0)), (EAGER, (0.02, 900.0, 300.0))):
        graphs = draw_graphs(40, 77, platform.view)
        truth = np.array([formula_ms(graph, *law) for graph in graphs])
        prediction = boosted_trees.predict(graphs, platform)
        assert np.median(np.abs(prediction.latency_ms / truth - 1.0)) < 0.15
        assert ((prediction.low_ms <= truth) & (truth <= prediction.high_ms)).mean() > 0.7


def test_settings_out_of_range_and_learning_from_nothing_are_refused(fresh_graphs: list[ModelGraph], tmp_path: Path) -> None:
    for wrong in ({"n_trees": 7}, {"n_trees": 0}, {"learning_rate": 0.0}, {"held_out": 1.0}, {"max_leaf_nodes": 1}):
        with pytest.raises(InvalidSettingError, match="expected"):
            BoostedTreesSettings(**wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidSettingError, match="at least 1"):
        BoostedTrees().fit([])
    with pytest.raises(InvalidSettingError, match="trained"):
        BoostedTrees().adapt(ENGINE, fresh_graphs[:2], [1.0, 2.0])
