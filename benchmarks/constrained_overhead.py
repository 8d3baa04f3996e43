"""What the oracle costs a search: pricing many candidates, and the constraint in an Optuna study."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from benchmarks.constrained_budgets import Keep
from benchmarks.constrained_fronts import suggest
from benchmarks.table_oracle import TableQuality
from nnlqp_nas import load_oracle, load_space
from nnlqp_nas.core import LatencyOracle, Measurement, MeasurementFailure, Platform, Spent
from nnlqp_nas.search import CostBudget, OptunaSearch, SearchProblem
from nnlqp_nas.search.optuna import LatencyConstraint

PLATFORM = "cpu-onnxruntime-fp32"
BUDGET_MS = 30.0
N_PRICED, N_TRIALS = 1000, 200


class TimedOracle(LatencyOracle):
    """Adds up the CPU seconds that another oracle takes to answer."""

    def __init__(self, inner: LatencyOracle) -> None:
        self.inner = inner
        self.cpu_s = 0.0

    @property
    def platform(self) -> Platform:
        return self.inner.platform

    @property
    def spent(self) -> Spent:
        return self.inner.spent

    def query(
        self,
        models: Sequence[Any],
        batch_size: int = 1,
        on_result: Callable[[Measurement | MeasurementFailure], None] | None = None,
    ) -> list[Measurement | MeasurementFailure]:
        begin_s = time.process_time()
        try:
            return self.inner.query(models, batch_size, on_result)
        finally:
            self.cpu_s += time.process_time() - begin_s


def run_overhead(_: Path, n_seeds: int, is_quick: bool, keep: Keep) -> dict[str, Any]:
    """Time pricing and studies of MobileNetV3 with TPE whose objective costs nothing; the predictor is loaded before.

    ``search`` is :class:`OptunaSearch`, which prices 64 candidates in one query; ``loop`` is a loop of one's own with
    :class:`LatencyConstraint`, which prices one network at a time. Overhead is the oracle's CPU time over all other.
    """
    priced = [_price(seed) for seed in range(n_seeds)]
    found: dict[str, Any] = {"priced": N_PRICED}
    found |= {name: [round(run[name], 3) for run in priced] for name in ("price_cpu_s", "price_clock_s")}
    n_trials = 40 if is_quick else N_TRIALS
    for name, run in (("search", _search), ("loop", _loop)):
        studies = [run(seed, n_trials) for seed in range(n_seeds)]
        found[name] = {
            "overhead": [round(study["oracle_s"] / study["own_s"], 4) for study in studies],
            "own_ms_a_candidate": [round(1000 * study["own_s"] / study["n"], 3) for study in studies],
            "oracle_ms_a_candidate": [round(1000 * study["oracle_s"] / study["n"], 3) for study in studies],
        }
    print(found, file=sys.stderr, flush=True)
    keep(found)
    return found


def _price(seed: int) -> dict[str, float]:
    """Price and filter members of MobileNetV3 that were never seen before, lowering included."""
    space, oracle, rng = load_space("mobilenetv3"), _warm_oracle(seed), np.random.default_rng(seed)
    members = [space.sample(rng) for _ in range(N_PRICED)]
    problem = SearchProblem(space, oracle, TableQuality({}, "none", "none"), BUDGET_MS, budgets=(CostBudget("params", 6e6),))
    begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
    candidates = problem.price(members, [space.graph(member, oracle.platform.view) for member in members])
    fitting = [candidate for candidate in candidates if candidate is not None and candidate.fits(problem.budget_ms)]
    figures = {"price_clock_s": time.perf_counter() - begin_s, "price_cpu_s": time.process_time() - begin_cpu_s}
    return {**figures, "n_fitting": len(fitting)}


def _search(seed: int, n_trials: int) -> dict[str, float]:
    space, oracle = load_space("mobilenetv3"), _warm_oracle(seed)
    quality = TableQuality(lambda architecture: float(sum(architecture.code)), "digits", "points")
    begin_s = time.process_time()
    candidates = OptunaSearch("tpe").run(SearchProblem(space, oracle, quality, BUDGET_MS, n_trials, 10 * n_trials, 1, seed))
    return {"own_s": time.process_time() - begin_s - oracle.cpu_s, "oracle_s": oracle.cpu_s, "n": len(candidates)}


def _loop(seed: int, n_trials: int) -> dict[str, float]:
    space, oracle = load_space("mobilenetv3"), _warm_oracle(seed)
    constraint = LatencyConstraint(oracle, BUDGET_MS)

    def objective(trial: optuna.Trial) -> float:
        member = suggest(trial, space)
        constraint(trial, member)
        return float(sum(member.code))

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    begin_s = time.process_time()
    study.optimize(objective, n_trials=n_trials)
    return {"own_s": time.process_time() - begin_s - oracle.cpu_s, "oracle_s": oracle.cpu_s, "n": n_trials}


def _warm_oracle(seed: int) -> TimedOracle:
    """Return an oracle whose predictor is loaded, and whose clock stands at zero."""
    oracle = TimedOracle(load_oracle(PLATFORM, "predict", "sqlite://"))
    space = load_space("mobilenetv3")
    oracle.query([space.sample(np.random.default_rng(10_000 + seed))])
    oracle.cpu_s = 0.0
    return oracle
