from __future__ import annotations

import subprocess
import sys

import numpy as np
import optuna
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nnlqp_nas.core import InvalidSettingError, Measurement, MeasurementFailure, Source
from nnlqp_nas.graphs import write_onnx
from nnlqp_nas.oracles import LoweringOracle
from nnlqp_nas.search.chance import bound_ms, probability_of_fit
from nnlqp_nas.search.optuna import ConstraintPruner, LatencyConstraint
from nnlqp_nas.search.regularised_evolution import RegularisedEvolutionSampler

from .small_problem import BUDGET_MS, PLATFORM, SPACE, FormulaOracle, accuracy_of, latency_of

optuna.logging.set_verbosity(optuna.logging.WARNING)


def answer_of(latency_ms, low_ms, high_ms, coverage=0.9, source=Source.PREDICTED):
    return Measurement(
        graph_key="0" * 32,
        platform=PLATFORM,
        batch_size=1,
        latency_ms=latency_ms,
        source=source,
        interval_ms=(low_ms, high_ms),
        coverage=coverage,
    )


def suggest(trial):
    return SPACE.architecture(*(trial.suggest_categorical(parameter.name, parameter.choices) for parameter in SPACE.parameters))


def lowering(oracle=None):
    return LoweringOracle(oracle or FormulaOracle(), [SPACE])


@given(st.floats(0.01, 100), st.floats(1.01, 3), st.floats(1.01, 3), st.floats(0.5, 0.99), st.floats(0.02, 0.98))
def test_the_bound_fits_with_the_probability_it_was_asked_for(latency_ms, below, above, coverage, probability):
    answer = answer_of(latency_ms, latency_ms / below, latency_ms * above, coverage)
    assert probability_of_fit(answer, bound_ms(answer, probability)) == pytest.approx(probability, abs=1e-6)
    assert bound_ms(answer, (1 + coverage) / 2) == pytest.approx(latency_ms * above)
    assert bound_ms(answer, (1 - coverage) / 2) == pytest.approx(latency_ms / below)
    assert bound_ms(answer, 0.5) == pytest.approx(latency_ms)


def test_the_bound_holds_as_often_as_asked_for_where_errors_are_log_normal():
    rng = np.random.default_rng(0)
    truth_ms = 10 * np.exp(0.2 * rng.standard_normal(20_000))
    answer = answer_of(10.0, 10 * np.exp(-0.2 * 1.645), 10 * np.exp(0.2 * 1.645))
    for probability in (0.5, 0.8, 0.95, 0.99):
        assert (truth_ms <= bound_ms(answer, probability)).mean() == pytest.approx(probability, abs=0.01)


def test_what_was_measured_is_exact():
    answer = answer_of(2.0, 1.5, 2.8, None, Source.DATABASE)
    assert bound_ms(answer, 0.999) == 2.0
    assert (probability_of_fit(answer, 2.0), probability_of_fit(answer, 1.99)) == (1.0, 0.0)


@pytest.mark.parametrize("kind", ["architecture", "graph", "path", "module"])
def test_takes_whatever_the_oracle_takes(kind, tmp_path):
    architecture = SPACE.architecture(*(parameter.choices[2] for parameter in SPACE.parameters))
    graph = SPACE.graph(architecture)
    if kind == "path":
        write_onnx(tmp_path / "model.onnx", graph)
    model = {"architecture": architecture, "graph": graph, "path": tmp_path / "model.onnx"}.get(kind) or SPACE.module(architecture)
    assert kind != "module" or isinstance(model, torch.nn.Module)
    trial = optuna.create_study().ask()
    verdict = LatencyConstraint(lowering(), BUDGET_MS)(trial, model)
    latency_ms = latency_of(graph)
    assert verdict.answer.latency_ms == pytest.approx(latency_ms)
    assert bool(verdict) == (1.1 * latency_ms <= BUDGET_MS) == (trial.constraints["latency_ms"] <= 0)
    assert trial.user_attrs["predicted_ms"] == pytest.approx(latency_ms)
    assert trial.user_attrs["interval_ms"] == pytest.approx([0.9 * latency_ms, 1.1 * latency_ms])
    assert trial.user_attrs["latency_source"] == "predicted"
    assert (trial.user_attrs["fit_probability"] >= 0.95) == bool(verdict)


def test_nothing_over_the_budget_is_trained_in_a_loop_of_ones_own():
    constraint, trained = LatencyConstraint(lowering(), BUDGET_MS), []

    def objective(trial):
        architecture = suggest(trial)
        constraint.require(trial, architecture)
        trained.append(architecture)
        return accuracy_of(architecture)

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(objective, n_trials=60)
    assert trained
    assert all(1.1 * latency_of(SPACE.graph(architecture)) <= BUDGET_MS for architecture in trained)
    states = [trial.state.name for trial in study.trials]
    assert states.count("COMPLETE") == len(trained)
    assert states.count("PRUNED") == 60 - len(trained) > 0
    assert study.best_trial.constraints["latency_ms"] <= 0


def test_the_pruner_prunes_what_does_not_fit_and_asks_another_about_the_rest():
    constraint = LatencyConstraint(lowering(), BUDGET_MS)

    def objective(trial):
        verdict = constraint(trial, suggest(trial))
        trial.report(0.0, 0)
        if trial.should_prune():
            raise optuna.TrialPruned
        assert verdict
        return 0.0

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0), pruner=ConstraintPruner())
    study.optimize(objective, n_trials=30)
    assert {trial.state.name for trial in study.trials} == {"COMPLETE", "PRUNED"}
    strict = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    strict.pruner = ConstraintPruner(optuna.pruners.ThresholdPruner(upper=-1.0))
    strict.optimize(objective, n_trials=10)
    assert {trial.state.name for trial in strict.trials} == {"PRUNED"}


def test_evolution_asks_before_a_trial_runs():
    constraint = LatencyConstraint(lowering(), BUDGET_MS)

    def accepts(params):
        return bool(constraint.judge(SPACE.architecture(*(params[parameter.name] for parameter in SPACE.parameters))))

    study = optuna.create_study(direction="maximize", sampler=RegularisedEvolutionSampler(8, 4, accepts, seed=0))
    study.optimize(lambda trial: float(bool(constraint(trial, suggest(trial)))), n_trials=40)
    assert all(trial.value == 1.0 for trial in study.trials[1:])


def test_two_platforms_and_a_chance_of_ones_own():
    trial = optuna.create_study().ask()
    model = SPACE.graph(suggest(trial))
    latency_ms = latency_of(model)
    phone = LatencyConstraint(FormulaOracle(factor=2.0), 2.05 * latency_ms, probability=0.5, name="phone")
    server = LatencyConstraint(FormulaOracle(), 1.05 * latency_ms, name="server")
    assert phone(trial, model)
    assert not server(trial, model)
    assert trial.constraints == {"phone_latency_ms": pytest.approx(-1 / 41), "server_latency_ms": pytest.approx(1.1 / 1.05 - 1)}
    assert trial.user_attrs["phone_predicted_ms"] == pytest.approx(2 * trial.user_attrs["server_predicted_ms"])


class RefusingOracle(FormulaOracle):
    def _answer(self, graph, batch_size):
        return MeasurementFailure(graph_key=graph.key, platform=PLATFORM, batch_size=batch_size, stage="compile", reason="no such operator")


def test_what_the_platform_cannot_run_does_not_fit_and_says_why():
    trial = optuna.create_study().ask()
    verdict = LatencyConstraint(lowering(RefusingOracle()), BUDGET_MS)(trial, suggest(trial))
    assert not verdict
    assert trial.constraints["latency_ms"] > 0
    assert trial.user_attrs == {"latency_failure": "compile: no such operator"}
    with pytest.raises(optuna.TrialPruned, match="failed to compile"):
        LatencyConstraint(lowering(RefusingOracle()), BUDGET_MS, name="again").require(trial, suggest(trial))


@pytest.mark.parametrize("wrong", [{"budget_ms": 0.0}, {"budget_ms": float("inf")}, {"probability": 1.0}, {"probability": 0.0}])
def test_settings_are_checked(wrong):
    with pytest.raises(InvalidSettingError, match="expected"):
        LatencyConstraint(FormulaOracle(), **{"budget_ms": 1.0, **wrong})


def test_the_module_is_named_like_optuna_and_hides_it_from_nobody():
    code = "from nnlqp_nas.search.optuna import LatencyConstraint, optuna; assert optuna.create_study and optuna.__name__ == 'optuna'"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
