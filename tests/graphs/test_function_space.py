from __future__ import annotations

from functools import cache

import numpy as np
import optuna
import pytest

from nnlqp_nas.core import Architecture, GraphView, InvalidSettingError
from nnlqp_nas.core.platform import Platform
from nnlqp_nas.graphs import FunctionSpace, LayerBuilder, read_graph, to_onnx
from nnlqp_nas.graphs.code_trial import CodeTrial
from nnlqp_nas.oracles import LoweringOracle, PredictedOracle
from nnlqp_nas.testing.constant_predictor import ConstantPredictor
from nnlqp_nas.testing.search_space_contract import SearchSpaceContract

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402


def plain(trial):
    """A graph whose parameters always matter."""
    net = LayerBuilder(GraphView.AS_WRITTEN)
    x = net.input(3, 16, 16)
    for i in range(3):
        x = net.relu(
            net.batch_norm(net.conv(x, trial.suggest_int(f"width_{i}", 8, 40, step=8), trial.suggest_categorical(f"k_{i}", [1, 3])))
        )
    return net.finish(net.linear(net.flatten(net.global_avg_pool(x)), 10))


def conditional(trial):
    """An ONNX model whose second half is there for some answers only."""
    net = LayerBuilder(GraphView.AS_WRITTEN)
    x = net.input(3, 16, 16)
    for i in range(trial.suggest_int("depth", 1, 3)):
        x = net.relu(net.conv(x, trial.suggest_categorical(f"width_{i}", [4, 8, 12])))
        if trial.suggest_categorical(f"kind_{i}", ["plain", "wide"]) == "wide":
            x = net.conv(x, net.shape(x)[1], trial.suggest_int(f"kernel_{i}", 1, 5, step=2))
    ratio = trial.suggest_float("ratio", 0.5, 1.5, step=0.5)
    graph = net.finish(net.linear(net.flatten(net.global_avg_pool(x)), round(10 * ratio)))
    return to_onnx(graph)


class Narrow(nn.Sequential):
    input_shape = (1, 3, 8, 8)


def module(trial):
    layers, channels = [], 3
    for i in range(trial.suggest_int("depth", 1, 2)):
        width = trial.suggest_categorical(f"width_{i}", [4, 8, 16, 24])
        layers += [nn.Conv2d(channels, width, 3, 1 + i, 1), nn.BatchNorm2d(width), nn.ReLU()]
        channels = width
    features = trial.suggest_int("features", 8, 40)
    return Narrow(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, features), nn.ReLU(), nn.Linear(features, 10))


@cache
def space_of(function) -> FunctionSpace:
    return FunctionSpace(function)


class TestPlainFunction(SearchSpaceContract):
    @pytest.fixture
    def space(self) -> FunctionSpace:
        return space_of(plain)


class TestConditionalFunction(SearchSpaceContract):
    @pytest.fixture
    def space(self) -> FunctionSpace:
        return space_of(conditional)


@pytest.mark.slow
class TestModuleFunction(SearchSpaceContract):
    @pytest.fixture
    def space(self) -> FunctionSpace:
        return space_of(module)


def test_parameters_are_those_that_the_function_may_ask_for():
    space = FunctionSpace(conditional)
    names = {parameter.name: parameter.choices for parameter in space.parameters}
    expected = {"depth": (1, 2, 3), "ratio": (0.5, 1.0, 1.5)}
    for i in range(3):
        expected |= {f"width_{i}": (4, 8, 12), f"kind_{i}": ("plain", "wide"), f"kernel_{i}": (1, 3, 5)}
    assert names == expected
    assert space.name == "conditional"
    assert FunctionSpace(plain, name="mine").sample(np.random.default_rng(0)).space == "mine"


def test_answers_that_are_not_asked_for_do_not_distinguish_networks():
    space = FunctionSpace(conditional)
    encoding = {"depth": 1, "width_0": 8, "kind_0": "plain", "ratio": 1.0}
    member = space.decode(encoding)
    assert space.encode(member) == encoding
    everything = {parameter.name: parameter.choices[-1] for parameter in space.parameters} | encoding
    assert space.architecture(*(everything[parameter.name] for parameter in space.parameters)) == member
    for wrong in ({**encoding, "kernel_0": 3}, {"depth": 1}, {**encoding, "width_0": 9}):
        with pytest.raises(InvalidSettingError, match="expected"):
            space.decode(wrong)


# The function serves Optuna itself as it stands, and what Optuna's trial chose is a member.
def test_trials_of_optuna_are_members():
    space = FunctionSpace(conditional)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(20):
        trial = study.ask()
        graph = read_graph(conditional(trial), GraphView.AS_WRITTEN)
        member = space.decode(trial.params)
        space.check(member)
        assert space.graph(member, GraphView.AS_WRITTEN).key == graph.key
        assert space.encode(member) == trial.params


def test_a_module_is_the_one_that_was_built_and_its_graph_the_exported_one():
    space = FunctionSpace(module)
    member = space.decode({"depth": 2, "width_0": 4, "width_1": 8, "features": 30})
    network = space.module(member)
    assert isinstance(network, Narrow)
    for view in GraphView:
        assert space.graph(member, view).key == read_graph(network, view).key
    assert space.module(member) is not network


def test_modules_without_a_shape_are_given_one():
    def bare(trial):
        return nn.Sequential(nn.Conv2d(3, trial.suggest_int("width", 1, 4), 3), nn.ReLU())

    space = FunctionSpace(bare, input_shape=(3, 8, 8))
    member = space.decode({"width": 2})
    assert space.graph(member).input_shapes == ((1, 3, 8, 8),)
    assert space.module(member).input_shape == (1, 3, 8, 8)


def test_an_oracle_prices_its_members():
    space = FunctionSpace(plain)
    platform = Platform.parse("cpu-onnxruntime-fp32")
    graphs = [space.graph(member) for member in (space.sample(np.random.default_rng(seed)) for seed in range(2))]
    predictor = ConstantPredictor().adapt(platform, graphs, [1.0, 3.0])
    oracle = LoweringOracle(PredictedOracle(predictor, platform), [space])
    answers = oracle.query([space.sample(np.random.default_rng(seed)) for seed in range(3)])
    assert all(answer.latency_ms > 0 for answer in answers)


def test_a_parameter_of_two_conditions_is_refused_until_an_example_reaches_it():
    def hidden(trial):
        net = LayerBuilder()
        x = net.input(3, 8, 8)
        if trial.suggest_categorical("a", [0, 1]) + trial.suggest_categorical("b", [0, 1]) == 2:
            x = net.conv(x, trial.suggest_int("width", 1, 4))
        return net.finish(net.flatten(x))

    short = FunctionSpace(hidden)
    assert [parameter.name for parameter in short.parameters] == ["a", "b"]
    with pytest.raises(InvalidSettingError, match=r"got width for .*; give FunctionSpace examples="):
        short.graph(Architecture("hidden", (1, 1)))
    whole = FunctionSpace(hidden, examples=[{"a": 1, "b": 1}])
    assert whole.encode(whole.decode({"a": 1, "b": 1, "width": 3})) == {"a": 1, "b": 1, "width": 3}
    assert whole.decode({"a": 0, "b": 1}).code == (0, 1, 0)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda trial: trial.suggest_float("x", 0.0, 1.0), "expected a step for x"),
        (lambda trial: trial.suggest_float("x", 0.1, 1.0, log=True), "expected a step for x"),
        (lambda trial: trial.suggest_int("x", 0, 10**6), "expected 1 to 4096 choices of x, got 1000001"),
        (lambda trial: trial.suggest_categorical("x", [None, 1]), "numbers or text"),
        (lambda trial: [trial.suggest_int("x", 0, high) for high in (3, 4)], "to offer the same choices each time"),
        (lambda trial: trial.suggest_int("x", 0, trial.suggest_int("high", 1, 2)), "to offer .* each time"),
        (lambda trial: {}[trial.suggest_int("x", 0, 3)], "to build a network for {'x': 0}, got KeyError: 0"),
        (lambda trial: 7, "to ask its trial for a parameter, got none"),
    ],
)
def test_functions_that_make_no_space_are_refused(function, message):
    with pytest.raises(InvalidSettingError, match=message):
        FunctionSpace(function, name="mine")


def test_what_is_no_network_is_refused_when_it_is_lowered():
    space = FunctionSpace(lambda trial: trial.suggest_int("x", 0, 3), name="mine")
    with pytest.raises(ValueError, match="expected"):
        space.graph(space.decode({"x": 1}))


def test_a_code_trial_is_a_trial():
    trial = CodeTrial({"lr": 0.3})
    assert isinstance(trial, optuna.trial.BaseTrial)
    assert trial.suggest_float("lr", 0.1, 0.5, step=0.1) == 0.3
    assert trial.suggest_int("width", 8, 64, log=True) == 8
    assert trial.params == {"lr": 0.3, "width": 8}
    assert trial.asked["lr"].choices == (0.1, 0.2, 0.3, 0.4, 0.5)
    assert set(trial.distributions) == {"lr", "width"}
    trial.report(1.0, 0)
    trial.set_user_attr("a", 1)
    trial.set_constraint("c", 0.5)
    assert (trial.should_prune(), trial.user_attrs, trial.constraints, trial.number, trial.datetime_start) == (
        False,
        {"a": 1},
        {"c": 0.5},
        0,
        None,
    )
