"""What the experiments with predictors share: methods, splits, metrics, results kept cell by cell, tables, pictures."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import kendalltau

from nnlqp_nas.core import InvalidSettingError, LatencyPredictor, LatencyTable, Prediction
from nnlqp_nas.core.plugins import PREDICTORS, load_plugin
from nnlqp_nas.training import errors_of

OURS, NNLP, NNLP_SELECTED = "kernel_gnn", "nnlp", "nnlp_selected"
METHODS = (OURS, "flops", "flops_linear", "operator_linear", "boosted_trees", NNLP, "brp_nas")
"""Entry points of the predictors compared; whoever trains ``nnlp`` also learns what it is when its epoch is chosen on the test set."""

SETTINGS: dict[str, dict[str, Any]] = {NNLP: {"norm_static": True, "n_epochs": 50}}
"""Where a method's own settings are not those of the experiment: NNLQP's are those of its publication."""

METRICS = ("mape", "acc10", "acc5", "spearman", "kendall", "coverage", "coverage_recalibrated")
"""What is told of a test; the last one where an experiment calibrates intervals anew."""

HALVES_SEED = 1
"""Says which half of the networks calibrates the intervals of the other."""

DOCS = Path(__file__).parents[1] / "docs"

Result = dict[str, Any]


def judge(answer: Prediction, truth_ms: NDArray[np.float64]) -> Result:
    """Return :func:`errors_of`, Kendall's tau, the intervals' median width and the median error, rounded.

    A predictor that says one number for all networks ranks none: its correlations are 0.
    """
    errors = errors_of(answer, truth_ms)
    ranks = errors["spearman"] is not None
    ratio = answer.latency_ms / truth_ms
    return {
        **{name: round(value, 3) if name != "n" else value for name, value in errors.items() if name != "spearman"},
        "spearman": round(errors["spearman"], 4) if ranks else 0.0,
        "kendall": round(float(kendalltau(answer.latency_ms, truth_ms)[0]), 4) if ranks else 0.0,
        "width": round(float(np.median(answer.high_ms / answer.low_ms)), 3),
        "bias": round(100 * float(np.median(ratio) - 1.0), 2),
    }


def untrained(method: str, settings: Mapping[str, Any]) -> LatencyPredictor:
    """Return a predictor of a kind, with the settings of the experiment."""
    predictor: Any = load_plugin(PREDICTORS, method)()
    changed = {**SETTINGS.get(method, {}), **settings}
    return replace(predictor, settings=replace(predictor.settings, **changed)) if changed else predictor


def learn_and_judge(
    method: str,
    settings: Mapping[str, Any],
    train: Sequence[LatencyTable],
    tests: Mapping[str, LatencyTable],
    seed: int,
    on_epoch: Callable[[int, Result], None] = lambda _epoch, _result: None,
) -> Result:
    """Train a method and judge it on every test table; NNLP also with the epoch that is best on each of them.

    Args:
        method: Entry point of the predictor.
        settings: What to change of its settings.
        train: What it learns from.
        tests: What it is judged on, by name.
        seed: Of its training.
        on_epoch: Told after every epoch of NNLP what would be returned if it were the last one.

    Returns:
        ``{"seconds": s, method: {test: judged}}``, and the same under ``nnlp_selected`` where the method is NNLP.
    """
    start = time.monotonic()
    if method != NNLP:
        predictor = untrained(method, settings).fit(train, seed)
        return {method: judge_all(predictor, tests), "seconds": round(time.monotonic() - start, 1)}
    run = untrained(method, settings).start_training(train, seed)
    best: dict[str, Result] = {}
    last: dict[str, Result] = {}
    while run.epoch < run.n_epochs:
        run.advance()
        last = judge_all(run.predictor(), tests)
        mean = float(np.mean([judged["mape"] for judged in last.values()]))
        print(f"{method} epoch {run.epoch} of {run.n_epochs}: MAPE {mean:.2f} %", file=sys.stderr, flush=True)
        for name, judged in last.items():
            if name not in best or judged["mape"] < best[name]["mape"]:
                best[name] = {**judged, "epoch": run.epoch}
        on_epoch(run.epoch, {NNLP: last, NNLP_SELECTED: dict(best), "seconds": round(time.monotonic() - start, 1)})
    return {NNLP: last, NNLP_SELECTED: best, "seconds": round(time.monotonic() - start, 1)}


def judge_all(predictor: LatencyPredictor, tests: Mapping[str, LatencyTable]) -> dict[str, Result]:
    """Return :func:`judge` of every test table."""
    answers = {name: predictor.predict(table.graphs, table.platform, table.batch_size) for name, table in tests.items()}
    return {name: judge(answers[name], table.latency_ms) for name, table in tests.items()}


def cross_calibrated(predictor: LatencyPredictor, tables: Sequence[LatencyTable]) -> list[Prediction]:
    """Return the answer for every table, its intervals calibrated on the networks of the other half of all tables."""
    halves = [np.array([place_of(graph.key, HALVES_SEED) < 0.5 for graph in table.graphs]) for table in tables]
    answers = [predictor.predict(table.graphs, table.platform, table.batch_size) for table in tables]
    for side in (False, True):
        other = [part(table, np.flatnonzero(half != side)) for table, half in zip(tables, halves, strict=True)]
        known = predictor.calibrated([table for table in other if len(table)])
        for i, (table, half) in enumerate(zip(tables, halves, strict=True)):
            answer = known.predict(table.graphs, table.platform, table.batch_size)
            low_ms, high_ms = (
                np.where(half == side, new, old) for new, old in ((answer.low_ms, answers[i].low_ms), (answer.high_ms, answers[i].high_ms))
            )
            answers[i] = replace(answers[i], low_ms=low_ms, high_ms=high_ms)
    return answers


def part(table: LatencyTable, rows: Iterable[int]) -> LatencyTable:
    """Return some networks of a table."""
    kept = list(rows)
    return replace(table, graphs=[table.graphs[i] for i in kept], latency_ms=table.latency_ms[kept])


def split(table: LatencyTable, share: float, seed: int) -> tuple[LatencyTable, LatencyTable]:
    """Return the training and the test networks; a network is on the same side in every table and for every platform."""
    is_test = np.array([place_of(graph.key, seed) < share for graph in table.graphs])
    return part(table, np.flatnonzero(~is_test)), part(table, np.flatnonzero(is_test))


def place_of(key: str, seed: int) -> float:
    """Return where a network stands in the order of a seed, from 0 to 1; the first ones test."""
    digest = hashlib.blake2b(f"{seed}:{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2.0**64


def joined(tables: Sequence[LatencyTable]) -> LatencyTable:
    """Return tables of one platform and batch size as one."""
    if len({(table.platform, table.batch_size) for table in tables}) != 1:
        raise InvalidSettingError(
            f"expected tables of one platform and batch size, got {[(str(t.platform), t.batch_size) for t in tables]}"
        )
    return replace(
        tables[0],
        graphs=[graph for table in tables for graph in table.graphs],
        latency_ms=np.concatenate([table.latency_ms for table in tables]),
        domain="+".join(sorted({table.domain for table in tables})),
    )


def digest_of(tables: Iterable[LatencyTable]) -> str:
    """Return a short digest of networks and latencies: results of other data are not these results."""
    digest = hashlib.blake2b(digest_size=6)
    for line in sorted(
        f"{t.platform} {t.batch_size} {t.domain} {g.key} {v:.9g}" for t in tables for g, v in zip(t.graphs, t.latency_ms, strict=True)
    ):
        digest.update(line.encode())
    return digest.hexdigest()


@dataclass(frozen=True)
class Cells:
    """Results of an experiment, a line of JSON each, so that a killed run goes on where it was.

    Attributes:
        path: File; it is made where it is missing. None keeps nothing.
        runs: Whether to run what is not finished.
    """

    path: Path | None
    runs: bool = True

    def look_up_or_run(self, key: Mapping[str, Any], run: Callable[[], Result]) -> Result | None:
        """Return the kept result of ``key``, or run it and keep what it returns; None where it is not to be run."""
        for line in self.path.read_text().splitlines() if self.path is not None and self.path.is_file() else ():
            entry = json.loads(line)
            if entry["key"] == dict(key):
                return dict(entry["result"])
        if not self.runs:
            return None
        print("running", *key.values(), file=sys.stderr, flush=True)
        result = run()
        self.keep(key, result)
        return result

    def keep(self, key: Mapping[str, Any], result: Result) -> None:
        """Add a result to the file."""
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a") as file:
                file.write(json.dumps({"key": dict(key), "result": result}) + "\n")


def over_seeds(results: Sequence[Result]) -> Result:
    """Return mean and standard deviation over seeds of every metric."""
    stated = {metric: [result[metric] for result in results] for metric in METRICS if metric in results[0]}
    mean = {metric: round(float(np.mean(values)), 3) for metric, values in stated.items()}
    spread = {f"{metric}_std": round(float(np.std(values)), 3) for metric, values in stated.items()}
    return {**mean, **spread, "n_seeds": len(results)}


def average(results: Sequence[Result]) -> Result:
    """Return the plain mean of every metric over families or platforms."""
    shared = [metric for metric in METRICS if all(metric in result for result in results)]
    return {metric: round(float(np.mean([result[metric] for result in results])), 3) for metric in shared}


def print_table(title: str, summary: Mapping[str, Mapping[str, Result]], metric: str) -> None:
    """Print one metric: a row a test set, a column a method."""
    methods = list(summary)
    rows = list(dict.fromkeys(row for of_method in summary.values() for row in of_method))
    print(f"\n{title}\n{'':28s}" + "".join(f"{method:>18s}" for method in methods))
    for row in rows:
        cells = [_shown(summary[method].get(row), metric) for method in methods]
        print(f"{row:28s}" + "".join(f"{cell:>18s}" for cell in cells))


def _shown(result: Result | None, metric: str) -> str:
    if result is None or metric not in result:
        return "-"
    spread = result.get(f"{metric}_std")
    return f"{result[metric]:.2f}" + (f" ± {spread:.2f}" if spread is not None else "")


def draw(name: str, title: str, summary: Mapping[str, Mapping[str, Result]]) -> Path:
    """Draw MAPE and Acc(10 %) of every method on every test set as docs/<name>.png."""
    methods = list(summary)
    rows = list(dict.fromkeys(row for of_method in summary.values() for row in of_method))
    figure = Figure(figsize=(max(7.0, 1.2 + 0.85 * len(rows)), 6.4), layout="constrained")
    FigureCanvasAgg(figure)
    width = 0.85 / len(methods)
    for axes, metric, label in zip(figure.subplots(2, 1, sharex=True), ("mape", "acc10"), ("MAPE, %", "Acc(10 %), %"), strict=True):
        for i, method in enumerate(methods):
            heights = [summary[method].get(row, {}).get(metric, np.nan) for row in rows]
            axes.bar(np.arange(len(rows)) + i * width, heights, width, label=method)
        axes.set_ylabel(label)
        axes.grid(axis="y", alpha=0.3)
        axes.set_xticks(np.arange(len(rows)) + 0.4, rows, rotation=35, ha="right")
        if metric == "mape":
            axes.set_yscale("log")
            axes.set_title(title)
            figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize="small")
    path = DOCS / f"{name}.png"
    figure.savefig(path, dpi=110)
    return path
