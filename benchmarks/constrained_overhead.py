"""What the oracle costs a search: pricing many candidates, and the constraint in an Optuna study."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from benchmarks.constrained_budgets import Keep, missing_seeds
from benchmarks.constrained_fronts import suggest
from benchmarks.table_oracle import TableQuality
from nnlqp_nas import load_oracle, load_space
from nnlqp_nas.core import Architecture, LatencyOracle, Measurement, MeasurementFailure, Platform, SearchSpace, Spent
from nnlqp_nas.quality import AccuracySurrogate, Quality, ZeroCostProxy
from nnlqp_nas.search import CostBudget, OptunaSearch, SearchProblem
from nnlqp_nas.search.optuna import LatencyConstraint

PLATFORM = "cpu-onnxruntime-fp32"
BUDGET_MS = 30.0
N_PRICED = 1000
N_TRIALS = {"free": 1000, "surrogate": 200, "naswot": 16}
"""Trials of the studies of one's own loop, by what they evaluate."""
N_SHORT = 200
"""Trials of a study of :class:`OptunaSearch`, and the first ones of a loop, which are told apart."""


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


def run_overhead(_: Path, n_seeds: int, is_quick: bool, keep: Keep, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Time pricing, and studies of MobileNetV3 with TPE; the predictor is loaded before, and has seen one network.

    ``search`` is :class:`OptunaSearch`, which prices 64 candidates in one query, with an evaluation that costs nothing. The others
    are loops of one's own with :class:`LatencyConstraint`, one network at a time: ``free`` evaluates nothing, so that the
    study's own time is Optuna's alone; ``surrogate`` looks accuracies up in the shipped surrogate of Once-for-All, the cheapest
    evaluation there is; ``naswot`` scores the network untrained. Overhead is the CPU time of the constraint (lowering, pricing,
    stating it to Optuna) over that of all else in the study.
    """
    for seed in missing_seeds(rows, n_seeds):
        row: dict[str, Any] = {"seed": seed, **_price(seed), "search": _search(seed, 40 if is_quick else N_SHORT)}
        for kind, n_trials in N_TRIALS.items():
            row[kind] = _loop(seed, kind, min(n_trials, 40 if is_quick else n_trials))
        rows.append(row)
        print(row, file=sys.stderr, flush=True)
        keep(_found(rows))
    return _found(rows)


def _found(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the rows and their medians."""
    summary = {name: float(np.median([row[name] for row in rows])) for name in ("price_cpu_s", "price_clock_s")}
    for kind in ("search", *N_TRIALS):
        summary |= {f"{kind}_{name}": float(np.median([row[kind][name] for row in rows])) for name in rows[0][kind]}
    print(summary, file=sys.stderr, flush=True)
    return {"rows": rows, "priced": N_PRICED, "n_trials": N_TRIALS, "n_short": N_SHORT, **summary}


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
    quality = TableQuality(_worth, "digits", "points")
    begin_s = time.process_time()
    candidates = OptunaSearch("tpe").run(SearchProblem(space, oracle, quality, BUDGET_MS, n_trials, 10 * n_trials, 1, seed))
    return _figures(time.process_time() - begin_s - oracle.cpu_s, oracle.cpu_s, len(candidates))


def _loop(seed: int, kind: str, n_trials: int) -> dict[str, float]:
    space = load_space("mobilenetv3", resolution=224, width=1.0) if kind == "surrogate" else load_space("mobilenetv3")
    oracle, evaluate = _warm_oracle(seed, space), _evaluation(kind, space)
    constraint, spent_s = LatencyConstraint(oracle, BUDGET_MS), 0.0

    def objective(trial: optuna.Trial) -> float:
        nonlocal spent_s
        member = suggest(trial, space)
        begin_s = time.process_time()
        constraint(trial, member)
        spent_s += time.process_time() - begin_s
        return evaluate(member)

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    found: dict[str, float] = {}
    begin_s = time.process_time()
    for n in sorted({min(N_SHORT, n_trials), n_trials}):
        study.optimize(objective, n_trials=n - len(study.trials))
        figures = _figures(time.process_time() - begin_s - spent_s, spent_s, n)
        found |= figures if n == n_trials else {f"{name}_of_first_{n}": value for name, value in figures.items()}
    return found


def _figures(own_s: float, spent_s: float, n: int) -> dict[str, float]:
    return {"overhead": round(spent_s / own_s, 4), "own_ms": round(1000 * own_s / n, 3), "constraint_ms": round(1000 * spent_s / n, 3)}


def _evaluation(kind: str, space: SearchSpace) -> Callable[[Architecture], float]:
    if kind == "free":
        return _worth
    quality: Quality = ZeroCostProxy(space, "naswot", batch_size=8)
    if kind == "surrogate":
        quality = AccuracySurrogate("imagenet", space="mobilenetv3")
    return lambda member: float(quality.evaluate([member])[0])


def _worth(architecture: Architecture) -> float:
    return float(sum(architecture.code))


def _warm_oracle(seed: int, space: SearchSpace | None = None) -> TimedOracle:
    """Return an oracle whose predictor is loaded, and whose clock stands at zero."""
    space = space or load_space("mobilenetv3")
    oracle = TimedOracle(load_oracle(PLATFORM, "predict", "sqlite://", spaces=[space]))
    oracle.query([space.sample(np.random.default_rng(10_000 + seed))])
    oracle.cpu_s = 0.0
    return oracle
