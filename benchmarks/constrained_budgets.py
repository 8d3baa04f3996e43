"""HELP's budgets, and budgets on FBNet's devices: does the network chosen truly fit, and how good is it?"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.device_table import DeviceTable
from benchmarks.knapsack import most_within
from benchmarks.source_tables import OperatorCounts, SourceTable
from benchmarks.table_oracle import TableQuality, TransferPredictor, TruthOracle
from nnlqp_nas.core import Architecture, GraphView, LatencyTable, Measurement, ModelGraph
from nnlqp_nas.datasets.published import platform_of_column
from nnlqp_nas.graphs import graph_cost
from nnlqp_nas.oracles import PredictedOracle
from nnlqp_nas.quality import Quality
from nnlqp_nas.search import OptunaSearch, Refined, RefiningSearch, SearchProblem
from nnlqp_nas.transfer import Features, choose_rows, describe_graphs, source_features, take

HELP = {
    "titan_rtx_256": {18: (17.8, 69.7), 21: (18.9, 71.5), 25: (24.2, 71.8)},
    "gold_6226": {8: (8.0, 67.3), 11: (10.7, 70.2), 14: (14.3, 72.1)},
    "pixel2": {14: (13.0, 69.7), 18: (19.0, 71.8), 22: (25.0, 73.2)},
    "eyeriss": {5: (3.9, 71.5), 7: (5.1, 71.8), 9: (9.1, 73.5)},
    "fpga": {4: (3.8, 70.2), 5: (4.7, 71.8), 6: (7.4, 73.5)},
}
"""Latency and accuracy that HELP reached under each budget, as its published code prints them; in five it is over the budget."""
SOURCES = {
    "nasbench201": (
        "1080ti_1",
        "1080ti_32",
        "1080ti_256",
        "silver_4114",
        "silver_4210r",
        "samsung_a50",
        "pixel3",
        "essential_ph_1",
        "samsung_s7",
    ),
    "fbnet": ("1080ti_1", "1080ti_32", "1080ti_64", "silver_4114", "silver_4210r", "samsung_a50", "pixel3", "essential_ph_1", "samsung_s7"),
}
"""HELP's training devices; its test devices are the targets."""
FBNET_TARGETS = ("fpga", "raspi4", "eyeriss")
"""Sums over operators exactly, so that the truth of every member of the space follows from the table."""
N_SOURCE = {"nasbench201": 900, "fbnet": 4000}
N_SUPPORT, N_VERIFIED, N_CANDIDATES = 11, 3, 1000
N_TRIALS = {"nasbench201": 600, "fbnet": 200}
PROBABILITY = 0.5
"""A network is verified before it is chosen: rating what fits as probably as not finds those near the budget too."""


Keep = Callable[[dict[str, Any]], None]


@dataclass
class Target:
    """One device to be learned, and what has been measured there so far.

    Attributes:
        truth: Measures.
        predictor: Knows the source devices.
        samples: Measured networks.
        known: Their architectures.
    """

    table: DeviceTable
    truth: TruthOracle
    predictor: TransferPredictor
    samples: LatencyTable
    known: list[Architecture]

    def search(self, quality: Quality, budget_ms: float, seed: int) -> Refined:
        """Search under a budget, with three measurements, which the device is known better by afterwards."""
        platform, n_trials = self.truth.platform, N_TRIALS[self.table.space.name]
        oracle = PredictedOracle(self.predictor.adapt(platform, self.samples.graphs, self.samples.latency_ms), platform)
        problem = SearchProblem(self.table.space, oracle, quality, budget_ms, n_trials, 6 * n_trials, 1, seed, PROBABILITY)
        loop = RefiningSearch(OptunaSearch("evolution", n_ask=64), self.truth, N_VERIFIED, n_at_once=1, n_more=20)
        refined = loop.run(problem, self.predictor, self.samples)
        for candidate in refined.candidates:
            answer = refined.measured.get(candidate.graph_key)
            if isinstance(answer, Measurement) and candidate.architecture not in self.known:
                self.learn(candidate.architecture, answer.latency_ms)
        return refined

    def learn(self, architecture: Architecture, latency_ms: float) -> None:
        """Add a measured network to the samples."""
        graph = self.table.space.graph(architecture, self.truth.platform.view)
        latencies = np.append(self.samples.latency_ms, latency_ms)
        self.samples = LatencyTable(self.truth.platform, 1, [*self.samples.graphs, graph], latencies)
        self.known.append(architecture)


def run_help(folder: Path, n_seeds: int, is_quick: bool, keep: Keep, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Search under HELP's fifteen budgets; what is there is kept after each seed."""
    table = with_memory(DeviceTable.published("nasbench201", folder))
    column = pq.read_table(folder / "nasbench201_accuracy_200ep.parquet", columns=["cifar100_test_200ep"])["cifar100_test_200ep"]
    accuracy = np.array(column, dtype=np.float64)
    by_architecture = dict(zip(table.architectures, accuracy.tolist(), strict=True))
    for seed in missing_seeds(rows, n_seeds):
        for device in list(HELP)[:1] if is_quick else HELP:
            target = make_target(table, device, seed)
            truth = table.latency_ms[device]
            for budget_ms, (help_ms, help_accuracy) in HELP[device].items():
                quality = TableQuality(by_architecture, "nasbench201:cifar100", "CIFAR-100 test accuracy, %")
                refined = target.search(quality, float(budget_ms), seed)
                chosen = _choose(target, by_architecture.__getitem__, budget_ms, refined)
                row = {"seed": seed, "device": device, "budget_ms": budget_ms, **chosen, "n_evaluated": len(quality.asked)}
                row |= {"optimum": float(accuracy[truth <= budget_ms].max()), "help_ms": help_ms, "help": help_accuracy}
                rows.append({**row, "n_measured": len(target.truth.asked)})
                _print_row(rows[-1])
        keep({"rows": rows, **summarise(rows), "published": HELP, **_settings(table)})
    return {"rows": rows, **summarise(rows), "published": HELP, **_settings(table)}


def run_fbnet(folder: Path, n_seeds: int, is_quick: bool, keep: Keep, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Search FBNet's space for the most multiply-accumulates under budgets at quarters of the table's latencies."""
    table = with_memory(DeviceTable.published("fbnet", folder))
    macs = _memoised(lambda architecture: graph_cost(table.space.graph(architecture)).macs / 1e6)
    costs = _additive(table, np.array([macs(architecture) for architecture in table.architectures]))
    for seed in missing_seeds(rows, n_seeds):
        for device in FBNET_TARGETS[:1] if is_quick else FBNET_TARGETS:
            target = make_target(table, device, seed)
            times = _additive(table, table.latency_ms[device])
            for budget_ms in np.quantile(table.latency_ms[device], (0.25, 0.5, 0.75)).tolist():
                quality = TableQuality(macs, "fbnet:macs", "million multiply-accumulates")
                refined = target.search(quality, budget_ms, seed)
                row = {"seed": seed, "device": device, "budget_ms": budget_ms, **_choose(target, macs, budget_ms, refined)}
                row |= {"optimum": most_within(costs, times, budget_ms), "n_evaluated": len(quality.asked)}
                rows.append({**row, "n_measured": len(target.truth.asked)})
                _print_row(rows[-1])
        keep({"rows": rows, **summarise(rows), **_settings(table)})
    return {"rows": rows, **summarise(rows), **_settings(table)}


def missing_seeds(rows: Sequence[dict[str, Any]], n_seeds: int) -> list[int]:
    """Return the seeds below ``n_seeds`` that have no rows yet."""
    return sorted(set(range(n_seeds)) - {row["seed"] for row in rows})


def make_target(table: DeviceTable, device: str, seed: int) -> Target:
    """Measure the support set of a device; the source devices are known at random networks."""
    sources = SOURCES[table.space.name]
    known = np.random.default_rng(1000 + seed).permutation(len(table))[: N_SOURCE[table.space.name]]
    looked_at = np.random.default_rng(seed).permutation(len(table))[:N_CANDIDATES]
    features = table.features(device, sources, known)
    order = [int(looked_at[i]) for i in choose_rows(take(features, looked_at), N_SUPPORT + 10)]
    platform = platform_of_column(device)[0]
    truth = TruthOracle(platform, _truth(table, device))
    # Fitted to the same networks as those of the features above, for networks beyond the table.
    describe = _described(table, device, sources, known, features)
    nothing = LatencyTable(platform, 1, [], np.zeros(0))
    target = Target(table, truth, TransferPredictor(describe), nothing, [])
    for row in order:
        answer = truth.query([table.space.graph(table.architectures[row], platform.view)])[0]
        if isinstance(answer, Measurement):
            target.learn(table.architectures[row], answer.latency_ms)
        if len(target.samples) == N_SUPPORT:
            break
    return target


def _described(
    table: DeviceTable, device: str, sources: Sequence[str], rows: NDArray[np.int64], features: Features
) -> Callable[[Sequence[ModelGraph]], Features]:
    """Return what describes networks of the space: looked up where the table has them all, else computed."""
    if table.space.size == len(table):
        place = _places(table, table.views[device])
        return lambda graphs: take(features, [place[graph.key] for graph in graphs])
    known = [SourceTable.fit(table.described(table.views[name])[0], table.latency_ms[name], rows) for name in sources]

    def describe(graphs: Sequence[ModelGraph]) -> Features:
        counts = OperatorCounts.of(graphs)
        return {**describe_graphs(graphs), **source_features(np.stack([source.log_latency(counts) for source in known], axis=1), sources)}

    return describe


def _truth(table: DeviceTable, device: str) -> Callable[[ModelGraph], float]:
    """Return the true latency of a member's graph: the table's value, or the sum that the table's values are."""
    latency_ms, view = table.latency_ms[device], table.views[device]
    if table.space.size == len(table):
        place = _places(table, view)
        return lambda graph: float(latency_ms[place[graph.key]])
    counts = table.described(view)[0]
    exact = SourceTable.fit(counts, latency_ms, np.arange(len(table)))
    return lambda graph: float(np.exp(exact.log_latency(OperatorCounts.of([graph]))[0]))


def with_memory(table: DeviceTable) -> DeviceTable:
    """Return the table with a space that lowers the networks it is asked for again and again only once."""
    space = copy(table.space)
    space.graph = lru_cache(maxsize=4096)(table.space.graph)  # type: ignore[method-assign]
    return replace(table, space=space)


@cache
def _places(table: DeviceTable, view: GraphView) -> dict[str, int]:
    """Return the row of each network by the key of its graph; as written, no two networks are one."""
    return {table.space.graph(architecture, view).key: i for i, architecture in enumerate(table.architectures)}


def _additive(table: DeviceTable, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what each choice adds to a value that is a sum over choices, float64, shape (parameters, choices).

    Raises:
        SystemExit: If the values are no such sum.
    """
    n_choices = [len(parameter.choices) for parameter in table.space.parameters]
    codes = np.array([architecture.code for architecture in table.architectures])
    design = np.concatenate([np.eye(n)[codes[:, i]] for i, n in enumerate(n_choices)], axis=1)
    solution = np.linalg.lstsq(design, values, rcond=None)[0]
    worst = float(np.abs(design @ solution / values - 1.0).max())
    if worst > 1e-3:
        raise SystemExit(f"expected values that are sums over the choices, got one {worst:.1%} off")
    return np.asarray(solution.reshape(len(n_choices), -1), dtype=np.float64)


def _memoised(function: Callable[[Architecture], float]) -> Callable[[Architecture], float]:
    known: dict[Architecture, float] = {}

    def look_up(architecture: Architecture) -> float:
        if architecture not in known:
            known[architecture] = function(architecture)
        return known[architecture]

    return look_up


def _choose(target: Target, value_of: Callable[[Architecture], float], budget_ms: float, refined: Refined) -> dict[str, Any]:
    """Return the best network that was measured to fit, or, where none was, the one that most probably does."""
    pairs = zip(target.known, target.samples.latency_ms.tolist(), strict=True)
    fitting = [(value_of(architecture), architecture, true_ms) for architecture, true_ms in pairs if true_ms <= budget_ms]
    if fitting:
        value, architecture, true_ms = max(fitting)
    else:
        surest = max(refined.candidates, key=lambda candidate: candidate.fit_probability or 0.0)
        architecture, value = surest.architecture, value_of(surest.architecture)
        graph = target.table.space.graph(architecture, target.truth.platform.view)
        true_ms = target.truth._latency_ms(graph)
    return {"architecture": architecture.key, "value": value, "true_ms": true_ms, "fits": bool(true_ms <= budget_ms)}


def summarise(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return how many truly fit, a seed, and how far the values are below the optimum under the budget."""
    seeds = sorted({row["seed"] for row in rows})
    fits = [sum(row["fits"] for row in rows if row["seed"] == seed) for seed in seeds]
    gaps = [row["optimum"] - row["value"] for row in rows]
    summary: dict[str, Any] = {"n_budgets": len(rows) // len(seeds), "fits_by_seed": fits, "fits_mean": float(np.mean(fits))}
    summary |= {"gap_mean": float(np.mean(gaps)), "gap_worst": float(max(gaps))}
    summary |= {"gap_percent_mean": 100.0 * float(np.mean([gap / row["optimum"] for gap, row in zip(gaps, rows, strict=True)]))}
    if "help" in rows[0]:
        kept = [row for row in rows if row["help_ms"] <= row["budget_ms"]]
        # HELP's figures have one decimal.
        summary["at_least_help"] = float(np.mean([round(row["value"], 1) >= row["help"] for row in rows]))
        summary["at_least_help_where_it_fits"] = float(np.mean([round(row["value"], 1) >= row["help"] for row in kept]))
        summary["help_fits"] = sum(ms <= budget for budgets in HELP.values() for budget, (ms, _) in budgets.items())
    return {**summary, "n_measured_most": max(row["n_measured"] for row in rows), "mean": _by_budget(rows)}


def _by_budget(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return each budget's means over the seeds."""
    table = []
    for device, budget_ms in dict.fromkeys((row["device"], row["budget_ms"]) for row in rows):
        mine = [row for row in rows if (row["device"], row["budget_ms"]) == (device, budget_ms)]
        values = [row["value"] for row in mine]
        entry: dict[str, Any] = {
            "device": device,
            "budget_ms": budget_ms,
            "value": float(np.mean(values)),
            "value_sd": float(np.std(values)),
        }
        entry |= {"true_ms": float(np.mean([row["true_ms"] for row in mine])), "fits": sum(row["fits"] for row in mine)}
        entry |= {name: mine[0][name] for name in ("optimum", "help", "help_ms") if name in mine[0]}
        table.append(entry)
    return table


def _settings(table: DeviceTable) -> dict[str, Any]:
    n_trials = N_TRIALS[table.space.name]
    return {"n_support": N_SUPPORT, "n_verified_a_budget": N_VERIFIED, "n_trials": n_trials, "probability": PROBABILITY}


def _print_row(row: dict[str, Any]) -> None:
    published = f"  HELP {row['help']:.1f} at {row['help_ms']:.1f} ms" if "help" in row else ""
    verdict = "fits" if row["fits"] else "OVER"
    print(
        f"seed {row['seed']}  {row['device']:>14} <= {row['budget_ms']:8.3f} ms: {row['value']:8.2f} at {row['true_ms']:8.3f} ms {verdict}"
        f"  optimum {row['optimum']:8.2f}{published}  ({row['n_measured']} measured, {row['n_evaluated']} evaluated)",
        file=sys.stderr,
        flush=True,
    )
