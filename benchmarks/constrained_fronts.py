"""Evaluations of accuracy until what the search with the oracle found is reached, by plain Optuna and at random."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.constrained_budgets import HELP, Keep, make_target, missing_seeds, with_memory
from benchmarks.device_table import DeviceTable
from benchmarks.table_oracle import TableQuality
from nnlqp_nas.core import Architecture, GraphView, Measurement, ModelGraph, SearchSpace
from nnlqp_nas.database import open_database
from nnlqp_nas.oracles import CachedOracle, PredictedOracle
from nnlqp_nas.search import OptunaSearch, SearchProblem
from nnlqp_nas.search.candidate import Candidate, find_hypervolume
from nnlqp_nas.search.refine import reprice

N_OURS = 150
N_MOST = {"best": 400, "front": 1500}
"""Trials of plain Optuna: TPE, whose time grows with the square of them, for the best network, NSGA-II for the front."""
N_TPE_FRONT = 400
N_AT_ONCE = 30
"""Evaluations of ours between two refinements of what it knows of the device."""
POPULATION = 50
LEAST_CHANCE = 0.2
"""Of fitting, below which a network is not evaluated: the most accurate ones that fit are near the budget, and an evaluation tells."""
NEAR = {"best": 0.99, "front": 0.98}
"""Share of what the whole table holds under the budget that counts as near: a goal that is none of ours."""
Members = dict[Architecture, float]
Score = Callable[[Sequence[tuple[float, float]], float], list[float]]
"""From accuracies and true latencies, in the order of evaluation, and the budget, to what has been reached after each."""
OTHERS = {"best": ("optuna", "random"), "front": ("optuna", "optuna_tpe", "random")}


def run_fronts(folder: Path, n_seeds: int, is_quick: bool, keep: Keep, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Compare on each of HELP's devices, under the middle of its budgets.

    ``best``: the most accurate network that truly fits; ``front``: the hypervolume of those that truly fit, in accuracy and
    latency. Ours is the guided search, whose oracle knows the device from 11 measurements and from those it evaluated. Optuna
    learns latency and accuracy (:func:`without_chance`) of a network from its evaluation: TPE, its default, for the best; for
    the front NSGA-II, its default there, and TPE. Counted are evaluations of distinct networks until the goal is first
    reached: what ours had reached after 150 evaluations, and (``near``) a share of what the whole table holds.
    """
    table = with_memory(DeviceTable.published("nasbench201", folder))
    column = pq.read_table(folder / "nasbench201_accuracy_200ep.parquet", columns=["cifar100_test_200ep"])["cifar100_test_200ep"]
    accuracy = without_chance(table, np.array(column, dtype=np.float64))
    for seed in missing_seeds(rows, n_seeds):
        for device in list(HELP)[:1] if is_quick else HELP:
            budget_ms = float(sorted(HELP[device])[1])
            row: dict[str, Any] = {"seed": seed, "device": device, "budget_ms": budget_ms}
            rows.append(row | _compare(table, device, accuracy, budget_ms, seed, 100 if is_quick else None))
            print({goal: {**rows[-1][goal], "steps": ...} for goal in OTHERS}, file=sys.stderr, flush=True)
        keep(_found(rows))
    return _found(rows)


def without_chance(table: DeviceTable, accuracy: NDArray[np.float64]) -> Members:
    """Return the mean accuracy of all networks of the table that compute the same.

    Each was trained for itself, and their accuracies differ by chance: who evaluates many of them would win by the best of many draws.
    """
    keys = ModelGraph.keys_of([table.space.graph(architecture, GraphView.OPTIMISED) for architecture in table.architectures])
    _, place = np.unique(keys, return_inverse=True)
    mean = np.bincount(place, accuracy) / np.bincount(place)
    return dict(zip(table.architectures, mean[place].tolist(), strict=True))


def _found(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {"rows": rows, "n_ours": N_OURS, "n_most": N_MOST, "n_tpe_front": N_TPE_FRONT, "near": NEAR, **summarise_fronts(rows)}


def _compare(table: DeviceTable, device: str, accuracy: Members, budget_ms: float, seed: int, n_most: int | None) -> dict[str, Any]:
    """Return, for each goal, after how many evaluations ours and the others reached it."""
    true_ms = dict(zip(table.architectures, table.latency_ms[device].tolist(), strict=True))
    row: dict[str, Any] = {}
    for goal, score in (("best", best_so_far), ("front", hypervolume_so_far)):
        plain = partial(_search_plainly, table.space, accuracy, true_ms, budget_ms, seed, goal)
        orders = {
            "ours": _search_with_oracle(table, device, accuracy, budget_ms, seed, goal),
            "optuna": plain(goal == "best", n_most or N_MOST[goal]),
            "random": [table.architectures[i] for i in np.random.default_rng(seed).permutation(len(table))],
        }
        if goal == "front":
            orders["optuna_tpe"] = plain(True, n_most or N_TPE_FRONT)
        progress = {name: score([(accuracy[a], true_ms[a]) for a in order], budget_ms) for name, order in orders.items()}
        reached, most = progress["ours"][-1], score([(accuracy[a], true_ms[a]) for a in table.architectures], budget_ms)[-1]
        row[goal] = {"reached": reached, "optimum": most, "n": {name: len(order) for name, order in orders.items()}}
        row[goal] |= {"same": {name: first_at_least(found, reached) for name, found in progress.items()}}
        row[goal] |= {"near": {name: first_at_least(found, NEAR[goal] * most) for name, found in progress.items()}}
        row[goal] |= {"steps": {name: steps_of(found) for name, found in progress.items()}}
    return row


def _search_with_oracle(table: DeviceTable, device: str, accuracy: Members, budget_ms: float, seed: int, goal: str) -> list[Architecture]:
    """Return what the search evaluates, in order.

    The oracle knows the device from its support set, and from every network evaluated so far: an evaluation tells the latency too, as
    it does plain Optuna.
    """
    target, database = make_target(table, device, seed), open_database("sqlite://")
    platform, graphs = target.truth.platform, target.samples.graphs
    quality = TableQuality(accuracy, "nasbench201:cifar100", "CIFAR-100 test accuracy, %")
    candidates: list[Candidate] = []
    while len(quality.asked) < N_OURS:
        database.add(target.truth.query(graphs))
        predictor = replace(target.predictor, is_calibrated=False).adapt(platform, target.samples.graphs, target.samples.latency_ms)
        oracle = CachedOracle(PredictedOracle(predictor, platform), database)
        n_trials = min(N_OURS, len(quality.asked) + N_AT_ONCE)
        problem = SearchProblem(table.space, oracle, quality, budget_ms, n_trials, 20 * N_OURS, 1, seed, LEAST_CHANCE)
        fresh = list(quality.asked)
        candidates = OptunaSearch("guided", 1 if goal == "best" else 2, memory=N_OURS).run(problem, known=reprice(candidates, problem))
        fresh = [architecture for architecture in quality.asked if architecture not in fresh]
        graphs = [table.space.graph(architecture, platform.view) for architecture in fresh]
        for architecture, answer in zip(fresh, target.truth.query(graphs), strict=True):
            if isinstance(answer, Measurement):
                target.learn(architecture, answer.latency_ms)
    return list(quality.asked)


def _search_plainly(
    space: SearchSpace, accuracy: Members, true_ms: Members, budget_ms: float, seed: int, goal: str, is_tpe: bool, n_trials: int
) -> list[Architecture]:
    """Return the distinct networks that Optuna evaluates, in order; a repeated one costs it nothing here."""
    seen: dict[Architecture, None] = {}

    def objective(trial: optuna.Trial) -> float | tuple[float, float]:
        member = suggest(trial, space)
        seen.setdefault(member)
        trial.set_constraint("latency_ms", true_ms[member] / budget_ms - 1.0)
        return accuracy[member] if goal == "best" else (accuracy[member], true_ms[member])

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed) if is_tpe else optuna.samplers.NSGAIISampler(population_size=POPULATION, seed=seed)
    study = optuna.create_study(directions=["maximize"] if goal == "best" else ["maximize", "minimize"], sampler=sampler)
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


def steps_of(progress: Sequence[float]) -> list[tuple[int, float]]:
    """Return the evaluations that reached more than all before, and what they reached."""
    return [(n, round(now, 4)) for n, (before, now) in enumerate(pairwise([0.0, *progress]), 1) if now > before]


def first_at_least(progress: Sequence[float], goal: float) -> int | None:
    """Return after how many evaluations the goal was reached; None where it was not."""
    return next((n for n, reached in enumerate(progress, 1) if reached >= goal - 1e-9), None)


def summarise_fronts(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return median ratios of evaluations, others' to ours, and how often others never reached the goal.

    Where one did not reach it, all that it tried count: the ratio is a lower bound where others did not, and an upper one where ours
    did not reach what is near.
    """
    summary: dict[str, Any] = {}
    for goal, others in OTHERS.items():
        mine = [row[goal] for row in rows]
        summary[f"{goal}_share_of_optimum"] = round(float(np.mean([one["reached"] / one["optimum"] for one in mine])), 4)
        for kind in ("same", "near"):
            summary[f"{goal}_{kind}_ours"] = float(np.median([_needed(one, kind, "ours") for one in mine]))
            summary[f"{goal}_{kind}_ours_never"] = sum(one[kind]["ours"] is None for one in mine)
            for name in others:
                ratios = [_needed(one, kind, name) / _needed(one, kind, "ours") for one in mine]
                summary[f"{goal}_{kind}_{name}_ratio"] = round(float(np.median(ratios)), 2)
                summary[f"{goal}_{kind}_{name}_never"] = sum(one[kind][name] is None for one in mine)
    print(summary, file=sys.stderr, flush=True)
    return summary


def _needed(found: dict[str, Any], kind: str, name: str) -> int:
    return int(found[kind][name] or found["n"][name])
