"""NNI's strategies and experiments under a latency budget: what they keep is within it, and nothing is left behind."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

pytest.importorskip("pytorch_lightning")
pytest.importorskip("nni")

from nnlqp_nas.core import InvalidSettingError
from nnlqp_nas.graphs import graph_cost
from nnlqp_nas.quality import AccuracySurrogate, CallableQuality
from nnlqp_nas.search.nni import (
    LatencyProfiler,
    QualityEvaluator,
    as_model_space,
    keep_within_budget,
    map_space,
    run_strategy,
    within_budget,
)

from ..small_problem import BUDGET_MS, SPACE, FormulaOracle, accuracy_of, latency_of
from .own_spaces import OwnSpace, hub

pytestmark = pytest.mark.nni


def make_strategies():
    from nni.nas.strategy import GridSearch, Random, RegularizedEvolution

    return {
        "random": Random(seed=0),
        "evolution": RegularizedEvolution(population_size=8, sample_size=4, seed=0),
        "grid": GridSearch(seed=0),
    }


def make_problem(name):
    """Return a model space of the hub, an evaluator, a profiler, and a budget that half of the space meets."""
    model_space = getattr(hub(), name)()
    mapped = map_space(model_space)
    macs = CallableQuality(lambda architecture: graph_cost(mapped.space.graph(architecture)).macs / 1e6, "MACs")
    quality = AccuracySurrogate("cifar10") if name == "NasBench201" else macs
    profiler = LatencyProfiler(model_space, FormulaOracle())
    return model_space, QualityEvaluator(quality, mapped.to_architecture), profiler, {"NasBench201": 10.0, "MobileNetV3Space": 45.0}[name]


@pytest.mark.parametrize("name", ["NasBench201", "MobileNetV3Space"])
@pytest.mark.parametrize("strategy", ["random", "evolution"])
def test_every_model_kept_is_within_the_budget(name, strategy):
    model_space, evaluator, profiler, budget_ms = make_problem(name)
    kept = run_strategy(make_strategies()[strategy], model_space, evaluator, profiler, budget_ms, n_models=12)
    assert len(kept) == 12
    assert all(profiler.profile(model.sample) == model.latency_ms <= budget_ms for model in kept)
    assert [model.metric for model in kept] == sorted((model.metric for model in kept), reverse=True)


# NNI leaves the log of an experiment to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed file.*experiment.log:ResourceWarning")
@pytest.mark.parametrize("name", ["NasBench201", "MobileNetV3Space"])
def test_an_experiment_keeps_the_budget_and_leaves_nothing(name, home, tmp_path):
    from nni.nas.experiment import NasExperiment, NasExperimentConfig
    from nni.nas.space import ModelStatus
    from nni.nas.strategy import Random

    model_space, evaluator, profiler, budget_ms = make_problem(name)
    config = NasExperimentConfig("sequential", "simplified", "local")
    config.max_trial_number = 12
    config.experiment_working_directory = str(tmp_path)
    strategy = keep_within_budget(Random(seed=1), profiler, budget_ms)
    experiment = NasExperiment(model_space, evaluator, strategy, config)
    try:
        assert experiment.run()
        models = list(strategy.list_models(sort=False))
    finally:
        experiment.stop()
    kept, rejected = ([model for model in models if model.status == status] for status in (ModelStatus.Trained, ModelStatus.Invalid))
    assert len(kept) == 12
    assert len(kept) + len(rejected) == len(models)
    assert rejected
    assert all(profiler.profile(model.sample) <= budget_ms for model in kept)
    assert all(profiler.profile(model.sample) > budget_ms for model in rejected)
    assert all(model.metric is None for model in rejected)
    assert_nothing_is_left(home)


def test_a_search_space_of_this_project_is_searched_by_nni():
    model_space = as_model_space(SPACE)
    mapped = map_space(model_space)
    profiler = LatencyProfiler(model_space, FormulaOracle())
    evaluator = QualityEvaluator(CallableQuality(accuracy_of), mapped.to_architecture)
    kept = run_strategy(make_strategies()["evolution"], model_space, evaluator, profiler, BUDGET_MS, n_models=30)
    assert len(kept) == 30
    for model in kept:
        architecture = mapped.to_architecture(model.sample)
        assert model.metric == accuracy_of(architecture)
        assert model.latency_ms == pytest.approx(1.1 * latency_of(SPACE.graph(architecture)))
        assert model.latency_ms <= BUDGET_MS


def test_an_infeasible_budget_ends_in_words():
    model_space, evaluator, profiler, _ = make_problem("NasBench201")
    with pytest.raises(InvalidSettingError, match="20 in a row were above it; raise budget_ms"):
        run_strategy(make_strategies()["random"], model_space, evaluator, profiler, 1e-3, n_models=5, patience=20)


def test_the_users_own_function_gets_the_module_that_nni_builds():
    from nni import report_final_result
    from nni.nas.evaluator import FunctionalEvaluator

    seen = []

    def evaluate(module):
        seen.append(sum(parameter.numel() for parameter in module.parameters()))
        report_final_result(float(seen[-1]))

    model_space = OwnSpace()
    profiler = LatencyProfiler(model_space, FormulaOracle(), input_shape=(3, 8, 8))
    kept = run_strategy(make_strategies()["grid"], model_space, FunctionalEvaluator(evaluate), profiler, 0.165, n_models=100)
    assert sorted(seen) == sorted(model.metric for model in kept)
    assert all(model.latency_ms <= 0.165 for model in kept)
    assert {model.sample["depth"] for model in kept} == {1, 2}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore::Warning")  # Lightning speaks of loaders, devices and its own deprecations
def test_one_shot_strategies_sample_within_the_budget(tmp_path, monkeypatch):
    """Random sampling of a super-network: every member that is trained is within the budget."""
    from nni.nas.evaluator.pytorch import Classification, DataLoader
    from nni.nas.experiment import NasExperiment
    from nni.nas.strategy import RandomOneShot
    from sklearn.datasets import load_digits
    from torch import tensor
    from torch.utils.data import TensorDataset

    monkeypatch.chdir(tmp_path)
    digits = load_digits()
    images = tensor(digits.images[:128] / 16).float()[:, None].repeat(1, 3, 1, 1)
    loader = DataLoader(TensorDataset(images, tensor(digits.target[:128])), batch_size=32)
    settings = {"enable_progress_bar": False, "enable_checkpointing": False, "logger": False, "accelerator": "cpu"}
    evaluator = Classification(train_dataloaders=loader, val_dataloaders=loader, max_epochs=1, num_classes=10, **settings)
    model_space = OwnSpace()
    profiler = LatencyProfiler(model_space, FormulaOracle(), input_shape=(3, 8, 8))
    keeps, answers = within_budget(profiler, 0.165), []

    def record(sample):
        answers.append((keeps(sample), profiler.profile(sample)))
        return answers[-1][0]

    strategy = RandomOneShot(filter=record)
    experiment = NasExperiment(model_space, evaluator, strategy)
    experiment.config.experiment_working_directory = str(tmp_path)
    try:
        assert experiment.run()
        assert {is_kept for is_kept, _ in answers} == {True, False}
        assert all(is_kept == (latency_ms <= 0.165) for is_kept, latency_ms in answers)
        # What NNI exports after training is any member; one drawn as in training is within the budget.
        assert all(keeps(strategy.oneshot_module.resample()) for _ in range(10))
    finally:
        experiment.stop()


def assert_nothing_is_left(home: Path) -> None:
    children = psutil.Process().children(recursive=True)
    assert [child.name() for child in children if "nni" in " ".join(child.cmdline())] == []
    left = [path for path in home.rglob("*") if path.is_file() and path.name != ".experiment"]
    assert left == []
