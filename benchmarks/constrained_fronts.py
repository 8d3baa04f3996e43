"""Evaluations of accuracy until the front of the search with the oracle is reached, by plain Optuna and at random."""

from __future__ import annotations

import sys
from collections.abc import Sequence
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
N_MOST = 1500
POPULATION = 50
Point = tuple[float, float]
"""Accuracy and true latency of one evaluated network."""


def run_fronts(folder: Path, n_seeds: int, is_quick: bool, keep: Keep) -> dict[str, Any]:
    """Compare on each of HELP's devices, under the middle of its budgets; all three are NSGA-II's or random, in two objectives."""
    table = DeviceTable.published("nasbench201", folder)
    column = pq.read_table(folder / "nasbench201_accuracy_200ep.parquet", columns=["cifar100_test_200ep"])["cifar100_test_200ep"]
    accuracy = dict(zip(table.architectures, np.array(column, dtype=np.float64).tolist(), strict=True))
    rows = []
    for seed in range(n_seeds):
        for device in list(HELP)[:1] if is_quick else HELP:
            budget_ms = float(sorted(HELP[device])[1])
            true_ms = dict(zip(table.architectures, table.latency_ms[device].tolist(), strict=True))
            ours = _search_with_oracle(table, device, accuracy, budget_ms, seed)
            others = {"optuna": _search_plainly(table, accuracy, true_ms, budget_ms, seed, is_quick)}
            others["random"] = [table.architectures[i] for i in np.random.default_rng(seed).permutation(len(table))[:N_MOST]]
            goal = _progress([(accuracy[a], true_ms[a]) for a in ours], budget_ms)[-1]
            row: dict[str, Any] = {"seed": seed, "device": device, "budget_ms": budget_ms, "n_ours": len(ours)}
            row |= {"hypervolume": goal[0], "best": goal[1]}
            for name, order in others.items():
                progress = _progress([(accuracy[a], true_ms[a]) for a in order], budget_ms)
                row |= {
                    f"{name}_to_front": _first(progress, 0, goal),
                    f"{name}_to_best": _first(progress, 1, goal),
                    f"{name}_n": len(order),
                }
            rows.append(row)
            print(row, file=sys.stderr, flush=True)
        keep({"rows": rows, "n_ours": N_OURS, "n_most": N_MOST, **_summarise(rows)})
    return {"rows": rows, "n_ours": N_OURS, "n_most": N_MOST, **_summarise(rows)}


def _search_with_oracle(
    table: DeviceTable, device: str, accuracy: dict[Architecture, float], budget_ms: float, seed: int
) -> list[Architecture]:
    """Return what the search evaluates, in order; the oracle knows the device from its support set."""
    target = make_target(table, device, seed)
    platform = target.truth.platform
    predictor = target.predictor.adapt(platform, target.samples.graphs, target.samples.latency_ms)
    quality = TableQuality(accuracy, "nasbench201:cifar100", "CIFAR-100 test accuracy, %")
    oracle = PredictedOracle(predictor, platform)
    problem = SearchProblem(table.space, oracle, quality, budget_ms, N_OURS, 20 * N_OURS, 1, seed, PROBABILITY)
    OptunaSearch("nsga2", 2, n_ask=POPULATION).run(problem)
    return list(quality.asked)


def _search_plainly(
    table: DeviceTable, accuracy: dict[Architecture, float], true_ms: dict[Architecture, float], budget_ms: float, seed: int, is_quick: bool
) -> list[Architecture]:
    """Return the distinct networks that Optuna evaluates, in order; a repeated one costs it nothing here."""
    seen: dict[Architecture, None] = {}

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        member = suggest(trial, table.space)
        seen.setdefault(member)
        trial.set_constraint("latency_ms", true_ms[member] / budget_ms - 1.0)
        return accuracy[member], true_ms[member]

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.NSGAIISampler(population_size=POPULATION, seed=seed)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    study.optimize(objective, n_trials=300 if is_quick else N_MOST)
    return list(seen)


def suggest(trial: optuna.Trial, space: SearchSpace) -> Architecture:
    """Let a trial choose a member of a space."""
    choices = [trial.suggest_categorical(parameter.name, parameter.choices) for parameter in space.parameters]
    return space.architecture(*(choice for choice in choices if choice is not None))


def _progress(points: Sequence[Point], budget_ms: float) -> list[tuple[float, float]]:
    """Return, after each evaluation, the hypervolume of the networks that truly fit, and the best accuracy among them."""
    front: list[Candidate] = []
    progress = []
    for i, (accuracy, ms) in enumerate(points):
        if ms <= budget_ms and not any((c.accuracy or 0.0) >= accuracy and c.predicted_ms <= ms for c in front):
            front.append(Candidate(Architecture("front", (i,)), str(i), ms, (ms, ms), accuracy))
        progress.append((find_hypervolume(front, budget_ms), max((c.accuracy or 0.0 for c in front), default=0.0)))
    return progress


def _first(progress: Sequence[tuple[float, float]], at: int, goal: tuple[float, float]) -> int | None:
    """Return after how many evaluations the goal was reached; None where it was not."""
    return next((n for n, reached in enumerate(progress, 1) if reached[at] >= goal[at] - 1e-9), None)


def _summarise(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return median ratios of evaluations; where the goal was not reached, of all evaluations that were tried, a lower bound."""
    summary: dict[str, Any] = {}
    for name in ("optuna", "random"):
        for goal in ("front", "best"):
            ratios = [(row[f"{name}_to_{goal}"] or row[f"{name}_n"]) / row["n_ours"] for row in rows]
            summary[f"{name}_to_{goal}_ratio"] = round(float(np.median(ratios)), 2)
            summary[f"{name}_to_{goal}_never"] = sum(row[f"{name}_to_{goal}"] is None for row in rows)
    print(summary, file=sys.stderr, flush=True)
    return summary
