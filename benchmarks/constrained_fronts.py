"""Evaluations of accuracy until what the search with the oracle found is reached, by plain Optuna and at random."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pyarrow.parquet as pq

from benchmarks.constrained_budgets import HELP, PROBABILITY, Keep, make_target
from benchmarks.device_table import DeviceTable
from benchmarks.table_oracle import TableQuality
from nnlqp_nas.core import Architecture, SearchSpace
from nnlqp_nas.oracles import PredictedOracle
from nnlqp_nas.search import OptunaSearch, SearchProblem
from nnlqp_nas.search.candidate import Candidate, find_hypervolume

N_OURS = 150
N_MOST = {"best": 500, "front": 1500}
"""Trials of plain Optuna; TPE takes a time that grows with the square of them."""
POPULATION = 50
Members = dict[Architecture, float]
Score = Callable[[Sequence[tuple[float, float]], float], list[float]]
"""From accuracies and true latencies, in the order of evaluation, and the budget, to what has been reached after each."""


def run_fronts(folder: Path, n_seeds: int, is_quick: bool, keep: Keep) -> dict[str, Any]:
    """Compare on each of HELP's devices, under the middle of its budgets.

    ``best``: the most accurate network that truly fits; ours by regularised evolution, Optuna by TPE, its default. ``front``:
    the hypervolume of those that truly fit, in accuracy and latency; both by NSGA-II. The goal is what ours
    has reached after 150 evaluations.
    """
    table = DeviceTable.published("nasbench201", folder)
    column = pq.read_table(folder / "nasbench201_accuracy_200ep.parquet", columns=["cifar100_test_200ep"])["cifar100_test_200ep"]
    accuracy = dict(zip(table.architectures, np.array(column, dtype=np.float64).tolist(), strict=True))
    rows: list[dict[str, Any]] = []
    for seed in range(n_seeds):
        for device in list(HELP)[:1] if is_quick else HELP:
            budget_ms = float(sorted(HELP[device])[1])
            true_ms = dict(zip(table.architectures, table.latency_ms[device].tolist(), strict=True))
            row: dict[str, Any] = {"seed": seed, "device": device, "budget_ms": budget_ms}
            for goal, score in (("best", best_so_far), ("front", hypervolume_so_far)):
                ours = _search_with_oracle(table, device, accuracy, budget_ms, seed, goal)
                plain = _search_plainly(table.space, accuracy, true_ms, budget_ms, seed, goal, 100 if is_quick else N_MOST[goal])
                drawn = [table.architectures[i] for i in np.random.default_rng(seed).permutation(len(table))]
                reached = score([(accuracy[a], true_ms[a]) for a in ours], budget_ms)[-1]
                row[goal] = {"reached": reached, "n_ours": len(ours)}
                for name, order in (("optuna", plain), ("random", drawn)):
                    progress = score([(accuracy[a], true_ms[a]) for a in order], budget_ms)
                    row[goal] |= {name: first_at_least(progress, reached), f"{name}_n": len(order)}
            rows.append(row)
            print(row, file=sys.stderr, flush=True)
        keep({"rows": rows, "n_ours": N_OURS, "n_most": N_MOST, **summarise_fronts(rows)})
    return {"rows": rows, "n_ours": N_OURS, "n_most": N_MOST, **summarise_fronts(rows)}


def _search_with_oracle(table: DeviceTable, device: str, accuracy: Members, budget_ms: float, seed: int, goal: str) -> list[Architecture]:
    """Return what the search evaluates, in order; the oracle knows the device from its support set."""
    target = make_target(table, device, seed)
    platform = target.truth.platform
    predictor = target.predictor.adapt(platform, target.samples.graphs, target.samples.latency_ms)
    quality = TableQuality(accuracy, "nasbench201:cifar100", "CIFAR-100 test accuracy, %")
    oracle = PredictedOracle(predictor, platform)
    problem = SearchProblem(table.space, oracle, quality, budget_ms, N_OURS, 20 * N_OURS, 1, seed, PROBABILITY)
    search = OptunaSearch("evolution", 1, n_ask=32) if goal == "best" else OptunaSearch("nsga2", 2, n_ask=POPULATION)
    search.run(problem)
    return list(quality.asked)


def _search_plainly(
    space: SearchSpace, accuracy: Members, true_ms: Members, budget_ms: float, seed: int, goal: str, n_trials: int
) -> list[Architecture]:
    """Return the distinct networks that Optuna evaluates, in order; a repeated one costs it nothing here."""
    seen: dict[Architecture, None] = {}

    def objective(trial: optuna.Trial) -> float | tuple[float, float]:
        member = suggest(trial, space)
        seen.setdefault(member)
        trial.set_constraint("latency_ms", true_ms[member] / budget_ms - 1.0)
        return accuracy[member] if goal == "best" else (accuracy[member], true_ms[member])

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if goal == "best":
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    else:
        sampler = optuna.samplers.NSGAIISampler(population_size=POPULATION, seed=seed)
        study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    study.optimize(objective, n_trials=n_trials)
    return list(seen)


def suggest(trial: optuna.Trial, space: SearchSpace) -> Architecture:
    """Let a trial choose a member of a space."""
    choices = [trial.suggest_categorical(parameter.name, parameter.choices) for parameter in space.parameters]
    return space.architecture(*(choice for choice in choices if choice is not None))


def best_so_far(points: Sequence[tuple[float, float]], budget_ms: float) -> list[float]:
    """Return, after each evaluation, the best accuracy among the networks that truly fit; 0 before there is one."""
    fitting = np.array([accuracy if ms <= budget_ms else 0.0 for accuracy, ms in points])
    return [float(value) for value in np.maximum.accumulate(fitting)]


def hypervolume_so_far(points: Sequence[tuple[float, float]], budget_ms: float) -> list[float]:
    """Return, after each evaluation, the hypervolume of the networks that truly fit."""
    front: list[Candidate] = []
    progress: list[float] = []
    for i, (accuracy, ms) in enumerate(points):
        if ms <= budget_ms and not any((c.accuracy or 0.0) >= accuracy and c.predicted_ms <= ms for c in front):
            front.append(Candidate(Architecture("front", (i,)), str(i), ms, (ms, ms), accuracy))
            progress.append(find_hypervolume(front, budget_ms))
        else:
            progress.append(progress[-1] if progress else 0.0)
    return progress


def first_at_least(progress: Sequence[float], goal: float) -> int | None:
    """Return after how many evaluations the goal was reached; None where it was not."""
    return next((n for n, reached in enumerate(progress, 1) if reached >= goal - 1e-9), None)


def summarise_fronts(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return median ratios of evaluations; where the goal was not reached, that of all that were tried, a lower bound."""
    summary: dict[str, Any] = {}
    for goal in ("best", "front"):
        for name in ("optuna", "random"):
            ratios = [(row[goal][name] or row[goal][f"{name}_n"]) / row[goal]["n_ours"] for row in rows]
            summary[f"{goal}_{name}_ratio"] = round(float(np.median(ratios)), 2)
            summary[f"{goal}_{name}_never"] = sum(row[goal][name] is None for row in rows)
    print(summary, file=sys.stderr, flush=True)
    return summary
