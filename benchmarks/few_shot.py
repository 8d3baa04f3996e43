"""How right a platform is predicted after few measurements, on the published tasks of NASFLAT.

    python -m benchmarks.few_shot                                   # NASFLAT's tasks ND, FD, F1-F4, FA
    python -m benchmarks.few_shot --task F4 --seeds 3 --samples 20
    python -m benchmarks.few_shot --space fbnet --sources raspi4 fpga --targets pixel3
    python -m benchmarks.few_shot --space nasbench201 --rows rows/*.parquet   # each platform learned from all others

The published tables are read from the folder NNLQP_NAS_DATA. Known devices give the latencies of 900 (NAS-Bench-201) or 4,000 (FBNet)
networks, drawn at random; the target gives those of its samples. Spearman and MAPE are over all networks that were not
sampled, averaged over targets; samples are chosen by ``select_support_set``'s rule, or at random. One configuration for all
tasks; its priors were found by leaving source devices out. Published methods are shown as published: there all
networks count, the samples too, over three trials. HELP and MultiPredict know as many source networks, NASFLAT 800.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from benchmarks.device_table import DeviceTable
from benchmarks.few_shot_picture import draw_few_shot
from benchmarks.linear_floor import predict_in_folds, predict_linear
from benchmarks.record import record
from nnlqp_nas.core import InvalidSettingError
from nnlqp_nas.transfer import Features, FewShotModel, choose_rows, take

Times = NDArray[np.float64]

LABELS = {"N0": "ND", "F0": "FD", "F1": "F1", "F2": "F2", "F3": "F3", "F4": "F4", "F5": "FA"}
SPACES = {"nb201": "nasbench201", "fbnet": "fbnet"}
N_SOURCE = {"nasbench201": 900, "fbnet": 4000}
N_CANDIDATES = 1000
PUBLISHED = {
    "HELP": {"ND": 0.948, "FD": 0.910, "F1": 0.793, "F2": 0.543, "F3": 0.413, "F4": 0.799, "FA": 0.370},
    "MultiPredict": {"ND": 0.930, "FD": 0.960, "F1": 0.756, "F2": 0.567, "F3": 0.434, "F4": 0.763, "FA": 0.450},
    "NASFLAT": {"ND": 0.959, "FD": 0.961, "F1": 0.809, "F2": 0.871, "F3": 0.814, "F4": 0.734, "FA": 0.577},
}
"""Spearman at 20 samples, as plotted in NASFLAT (Akhauri and Abdelfattah, MLSys 2024, arXiv 2403.02446)."""


@dataclass(frozen=True)
class Task:
    """Which devices are known and which are to be learned."""

    name: str
    space: str
    sources: tuple[str, ...]
    targets: tuple[str, ...]


def main() -> None:
    """Run the command line."""
    arguments = _parse()
    folder = Path(arguments.data or os.environ.get("NNLQP_NAS_DATA", "."))
    tasks = _tasks(arguments, folder)
    tables: dict[str, DeviceTable] = {}
    found: dict[str, Any] = {}
    for task in tasks:
        if task.space not in tables:
            rows = arguments.rows
            tables[task.space] = DeviceTable.measured(task.space, rows) if rows else DeviceTable.published(task.space, folder)
        found[task.name] = _judge(task, tables[task.space], arguments)
        _print(task.name, found[task.name])
        # Kept task by task: all of them take some minutes.
        result = {"samples": arguments.samples, "seeds": arguments.seeds, "published": PUBLISHED, "tasks": found}
        record(arguments.name, result, arguments.quick, arguments.json and task is tasks[-1])
    if arguments.name == "few_shot" and 20 in arguments.samples and not arguments.quick:
        draw_few_shot(Path(__file__).parents[1] / "docs" / "few_shot.png", found, PUBLISHED)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder of the published tables (default: NNLQP_NAS_DATA)")
    parser.add_argument("--rows", type=Path, nargs="+", default=[], help="measured rows (parquet) in the place of a published table")
    parser.add_argument("--task", nargs="+", choices=list(LABELS.values()), help="some of NASFLAT's tasks (default: all)")
    parser.add_argument("--space", choices=list(N_SOURCE), help="space of a task of your own")
    parser.add_argument("--sources", nargs="+", default=[], help="known devices of your task (default: all but the target)")
    parser.add_argument("--targets", nargs="+", default=[], help="devices to learn (default: each in turn)")
    parser.add_argument("--samples", type=int, nargs="+", default=[5, 10, 20, 50])
    parser.add_argument("--n-source", type=int, help="networks known of each source (default: 900 of NAS-Bench-201, 4000 of FBNet)")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--name", default="few_shot", help="name of the result")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.samples, arguments.seeds, arguments.task = [20], 1, arguments.task or ["F2"]
    return arguments


def _tasks(arguments: argparse.Namespace, folder: Path) -> list[Task]:
    if arguments.space:
        return _own_tasks(arguments, folder)
    path = folder / "device_tasks.json"
    if not path.is_file():
        raise SystemExit(f"expected the published tables in NNLQP_NAS_DATA or --data, got {folder} without device_tasks.json")
    splits = json.loads(path.read_text())["nasflat"]
    named = {LABELS[key]: split for key, split in splits.items() if key in LABELS}
    return [
        Task(name, SPACES[named[name]["space"]], tuple(named[name]["source"]), tuple(named[name]["target"]))
        for name in arguments.task or LABELS.values()
    ]


def _own_tasks(arguments: argparse.Namespace, folder: Path) -> list[Task]:
    table = DeviceTable.measured(arguments.space, arguments.rows) if arguments.rows else DeviceTable.published(arguments.space, folder)
    unknown = {*arguments.sources, *arguments.targets} - set(table.latency_ms)
    if unknown:
        raise SystemExit(f"expected devices among {', '.join(table.latency_ms)}, got {', '.join(sorted(unknown))}")
    targets = arguments.targets or list(table.latency_ms)
    if arguments.sources:
        return [Task("own", arguments.space, tuple(arguments.sources), tuple(targets))]
    return [Task(name, arguments.space, tuple(source for source in table.latency_ms if source != name), (name,)) for name in targets]


def _judge(task: Task, table: DeviceTable, arguments: argparse.Namespace) -> dict[str, Any]:
    n_source = min(arguments.n_source or N_SOURCE[task.space], len(table))
    runs: dict[str, dict[str, list[dict[str, float]]]] = {}
    for seed in range(arguments.seeds):
        known = np.random.default_rng(1000 + seed).permutation(len(table))[:n_source]
        for view in sorted({table.views[target] for target in task.targets}):
            targets = [target for target in task.targets if table.views[target] is view]
            features = table.features(targets[0], task.sources, known)
            order = _orders(features, len(table), max(arguments.samples), seed)
            for target in targets:
                for n in arguments.samples:
                    for name, scores in _try(table, target, features, order, n, n == 20).items():
                        runs.setdefault(f"{n}", {}).setdefault(f"{name}/{target}", []).append(scores)
    summary = {n: _summarise(by_name) for n, by_name in runs.items()}
    return {**summary, "ceiling": _ceiling(task, table), "n_source": n_source, "sources": task.sources, "targets": task.targets}


def _orders(features: Features, n: int, n_samples: int, seed: int) -> dict[str, list[int]]:
    """Return candidates in the order in which they are to be measured, chosen and at random; more than needed, for faulty values."""
    drawn = np.random.default_rng(seed).permutation(n)
    looked_at = drawn[:N_CANDIDATES]
    chosen = choose_rows(take(features, looked_at), n_samples + 10)
    return {"chosen": [int(looked_at[i]) for i in chosen], "random": [int(i) for i in drawn[: 2 * n_samples + 10]]}


def _try(
    table: DeviceTable, target: str, features: Features, orders: dict[str, list[int]], n: int, is_calibrated: bool
) -> dict[str, dict[str, float]]:
    truth = table.latency_ms[target]
    result = {}
    for name, order in orders.items():
        support = [row for row in order if np.isfinite(truth[row])][:n]
        is_chosen = name == "chosen"
        model = FewShotModel.fit(take(features, support), truth[support], is_calibrated and is_chosen)
        log_ms, margin = model.predict(features)
        result[name] = _scores(np.exp(log_ms), truth, support)
        if is_calibrated and is_chosen:
            rest = _unsampled(truth, support)
            result[name]["coverage"] = float((np.abs(np.log(truth[rest]) - log_ms[rest]) <= margin[rest]).mean())
            result[name]["interval_width"] = float(np.median(2 * margin[rest]))
    support = [row for row in orders["random"] if np.isfinite(truth[row])][:n]
    sources = features["level"].values + features["contrast"].values * np.sqrt(features["contrast"].values.shape[1])
    floor = predict_linear(sources, table.operation_counts, support, truth[support])
    return {**result, "floor": _scores(floor, truth, support)}


def _unsampled(truth: Times, support: Sequence[int]) -> NDArray[np.int64]:
    return np.setdiff1d(np.flatnonzero(np.isfinite(truth)), support)


def _scores(predicted: Times, truth: Times, support: Sequence[int]) -> dict[str, float]:
    rest = _unsampled(truth, support)
    relative = np.abs(predicted[rest] / truth[rest] - 1.0)
    return {"spearman": float(spearmanr(predicted[rest], truth[rest])[0]), "mape": 100.0 * float(relative.mean())}


def _summarise(runs: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Return means over targets and seeds; deviations are those of the means over targets from seed to seed."""
    table: dict[str, Any] = {}
    for name in ("chosen", "random", "floor"):
        mine = {key.partition("/")[2]: scores for key, scores in runs.items() if key.startswith(f"{name}/")}
        row: dict[str, Any] = {}
        for score in next(iter(mine.values()))[0]:
            each = np.array([[run[score] for run in scores] for scores in mine.values()])
            row[score] = round(float(each.mean()), 4)
            row[f"{score}_sd"] = round(float(each.mean(0).std(ddof=1)), 4) if each.shape[1] > 1 else 0.0
        row["targets"] = {target: round(float(np.mean([run["spearman"] for run in scores])), 4) for target, scores in mine.items()}
        table |= row if name == "chosen" else {name: row}
    return table


def _ceiling(task: Task, table: DeviceTable) -> dict[str, Any]:
    """Return Spearman of a linear fit to all networks of each target, in five folds."""
    found = {}
    for target in task.targets:
        truth = table.latency_ms[target]
        valid = np.isfinite(truth)
        counts = table.described(table.views[target])[0].counts[valid]
        found[target] = round(float(spearmanr(predict_in_folds(counts, truth[valid]), truth[valid])[0]), 4)
    return {"spearman": round(float(np.mean(list(found.values()))), 4), "targets": found}


def _print(name: str, found: dict[str, Any]) -> None:
    published = "  ".join(f"{method} {values[name]:.3f}" for method, values in PUBLISHED.items() if name in values)
    for n, row in found.items():
        if n.isdigit():
            print(
                f"{name} {n:>3} samples: {row['spearman']:.4f} +- {row['spearman_sd']:.4f}, MAPE {row['mape']:.2f} %"
                f" | random {row['random']['spearman']:.4f} | floor {row['floor']['spearman']:.4f}, MAPE {row['floor']['mape']:.2f} %"
                + (f" | coverage {row['coverage']:.3f}" if "coverage" in row else ""),
                file=sys.stderr,
            )
    print(f"{name} all samples, linear: {found['ceiling']['spearman']:.4f} | published, 20: {published}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main()
    except InvalidSettingError as error:
        raise SystemExit(str(error)) from error
