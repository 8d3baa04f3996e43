"""What the oracle costs a search: pricing many candidates, and the constraint in an Optuna study."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from benchmarks.constrained_budgets import Keep
from benchmarks.table_oracle import TableQuality
from nnlqp_nas import load_oracle, load_space
from nnlqp_nas.search import CostBudget, SearchProblem
from nnlqp_nas.search.optuna import LatencyConstraint

PLATFORM = "cpu-onnxruntime-fp32"
N_PRICED, N_TRIALS = 1000, 200


def run_overhead(_: Path, n_seeds: int, is_quick: bool, keep: Keep) -> dict[str, Any]:
    """Time both, in seconds of this process's CPU time and of the clock; the predictor is loaded before."""
    priced = [_price(seed) for seed in range(n_seeds)]
    studies = [_study(seed, 40 if is_quick else N_TRIALS) for seed in range(min(n_seeds, 3))]
    found = {
        "priced": N_PRICED,
        "price_cpu_s": [round(run["cpu_s"], 3) for run in priced],
        "price_s": [round(run["wall_s"], 3) for run in priced],
        "study_trials": 40 if is_quick else N_TRIALS,
        "study_cpu_s": [round(run["study_s"], 3) for run in studies],
        "constraint_cpu_s": [round(run["constraint_s"], 3) for run in studies],
        "overhead": [round(run["constraint_s"] / run["study_s"], 4) for run in studies],
    }
    print(found, file=sys.stderr, flush=True)
    keep(found)
    return found


def _price(seed: int) -> dict[str, float]:
    """Price and filter members of MobileNetV3 that were never seen before, lowering included."""
    space = load_space("mobilenetv3")
    oracle = load_oracle(PLATFORM, "predict", ":memory:")
    rng = np.random.default_rng(seed)
    oracle.query([space.sample(rng)])
    members = [space.sample(rng) for _ in range(N_PRICED)]
    problem = SearchProblem(space, oracle, TableQuality({}, "none", "none"), 30.0, budgets=(CostBudget("params", 6e6),))
    begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
    candidates = problem.price(members, [space.graph(member, oracle.platform.view) for member in members])
    n_fitting = sum(candidate is not None and candidate.fits(problem.budget_ms) for candidate in candidates)
    return {"wall_s": time.perf_counter() - begin_s, "cpu_s": time.process_time() - begin_cpu_s, "n_fitting": n_fitting}


def _study(seed: int, n_trials: int) -> dict[str, float]:
    """Run a TPE study of MobileNetV3 whose objective costs nothing, and tell the constraint's time from the study's own."""
    space = load_space("mobilenetv3")
    constraint = LatencyConstraint(load_oracle(PLATFORM, "predict", ":memory:"), 30.0)
    constraint.judge(space.sample(np.random.default_rng(seed)))
    spent_s = 0.0

    def objective(trial: optuna.Trial) -> float:
        nonlocal spent_s
        member = space.architecture(*(trial.suggest_categorical(parameter.name, parameter.choices) for parameter in space.parameters))
        begin_s = time.process_time()
        constraint(trial, member)
        spent_s += time.process_time() - begin_s
        return float(sum(member.code))

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    begin_s = time.process_time()
    study.optimize(objective, n_trials=n_trials)
    return {"study_s": time.process_time() - begin_s - spent_s, "constraint_s": spent_s}
