"""NNLQP's transfer experiment on measured rows: each platform is left out, and learned from few networks of all families.

    python -m benchmarks.transfer_platform                                  # the shipped rows
    python -m benchmarks.transfer_platform --rows rows/*.parquet --leave-out cpu-openvino-bf16
    python -m benchmarks.transfer_platform --predictors kernel_gnn nnlp     # trained on all other platforms first: hours

``few_shot`` is what ``adapt`` does with a describing predictor. What the other platforms tell of a network is either predicted, by
operator tables fitted to each of them, or looked up: every network here was measured there, as an evolving database has it.
It chooses its samples by ``select_support_set``'s rule, and is tried with random ones too; "from graphs alone" knows no other platform.
A named predictor is fitted to the other platforms and adapted (with pretraining), or fitted to the samples alone (without), on
random samples, as NNLQP draws them (section 8.5 there). MAPE, Acc(10 %) and Spearman are over all networks of the platform that
were not sampled; "all" takes four fifths.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from benchmarks.record import record
from nnlqp_nas.core import LatencyPredictor, LatencyTable, ModelGraph, Platform
from nnlqp_nas.core.plugins import PREDICTORS, load_plugin, plugin_names
from nnlqp_nas.datasets.latency_row import read_rows
from nnlqp_nas.datasets.measured import MEASURED, tables_of
from nnlqp_nas.transfer import VARIANTS, Features, FewShotModel, VariantSpread, choose_rows, describe_graphs, source_features, take

Times = NDArray[np.float64]
Rows = NDArray[np.int64]

FEW_SHOT = "few_shot"
SOURCE = "operator_linear"
ALL_SHARE = 0.8
N_CANDIDATES = 700
"""Networks among which samples are chosen, so that seeds differ."""


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=Path, nargs="+", help="measured rows, parquet (default: those shipped)")
    parser.add_argument("--leave-out", nargs="+", default=[], help="platforms to learn (default: each with enough networks)")
    parser.add_argument("--predictors", nargs="*", default=["operator_linear", "flops_linear"], choices=plugin_names(PREDICTORS))
    parser.add_argument("--samples", type=int, nargs="+", default=[10, 20, 32, 100, 200, 300])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.samples, arguments.seeds = [20], 1
    tables = _by_platform(tables_of(read_rows(arguments.rows or sorted(MEASURED.glob("*.parquet")))))
    found = {}
    for platform in sorted(tables):
        n = len(tables[platform])
        is_wanted = str(platform) in arguments.leave_out if arguments.leave_out else n >= 3 * min(arguments.samples)
        if is_wanted:
            found[str(platform)] = {"n": n, "samples": _judge(platform, tables, arguments)}
            _print(str(platform), found[str(platform)])
    record("transfer_platform", {"seeds": arguments.seeds, "platforms": found}, arguments.quick, arguments.json)


def _by_platform(tables: Sequence[LatencyTable]) -> dict[Platform, LatencyTable]:
    """Return one table a platform, all families together, batch size 1, each network once."""
    found: dict[Platform, dict[str, tuple[ModelGraph, float]]] = {}
    for table in tables:
        if table.batch_size == 1:
            kept = found.setdefault(table.platform, {})
            kept |= {graph.key: (graph, float(ms)) for graph, ms in zip(table.graphs, table.latency_ms, strict=True)}
    return {
        platform: LatencyTable(platform, 1, [graph for graph, _ in kept.values()], np.array([ms for _, ms in kept.values()]))
        for platform, kept in found.items()
    }


def _judge(platform: Platform, tables: Mapping[Platform, LatencyTable], arguments: argparse.Namespace) -> dict[str, Any]:
    table = tables[platform]
    others = [other for known, other in sorted(tables.items()) if known != platform]
    described = _describe(table, others)
    bases = {name: load_plugin(PREDICTORS, name)().fit(others) for name in arguments.predictors} if others else {}
    n_all = round(ALL_SHARE * len(table))
    result: dict[str, Any] = {}
    for n in [*(n for n in arguments.samples if n < n_all), n_all]:
        runs: dict[str, list[dict[str, float]]] = {}
        for seed in range(arguments.seeds):
            order = np.random.default_rng(seed).permutation(len(table))
            support, rest = np.sort(order[:n]), np.sort(order[n:])
            for name, features in described.items():
                runs.setdefault(f"{name}, random", []).append(_few_shot(features, table.latency_ms, support, rest))
                if n < n_all:
                    chosen = _choose(features, order, n)
                    left = np.setdiff1d(order, chosen)
                    runs.setdefault(name, []).append(_few_shot(features, table.latency_ms, chosen, left))
            for name, base in bases.items():
                samples = LatencyTable(platform, 1, [table.graphs[i] for i in support], table.latency_ms[support])
                adapted = base.adapt(platform, samples.graphs, samples.latency_ms)
                runs.setdefault(name, []).append(_score(adapted, table, rest))
                alone = load_plugin(PREDICTORS, name)().fit([samples])
                runs.setdefault(f"{name} from the samples alone", []).append(_score(alone, table, rest))
        label = "all" if n == n_all else str(n)
        result[label] = {"n": n, **{name: _means(scores) for name, scores in runs.items()}}
    return result


def _describe(table: LatencyTable, others: Sequence[LatencyTable]) -> dict[str, Features]:
    """Return features of the networks by what is known beside their graphs."""
    alone = describe_graphs(table.graphs)
    if not others:
        return {f"{FEW_SHOT} from graphs alone": alone}
    known = [load_plugin(PREDICTORS, SOURCE)().fit([other]) for other in others]
    predicted = [np.log(one.predict(table.graphs, other.platform).latency_ms) for one, other in zip(known, others, strict=True)]
    measured = [_look_up(table.graphs, other, instead) for other, instead in zip(others, predicted, strict=True)]
    names = [str(other.platform) for other in others]
    sources = {f"{FEW_SHOT}, sources predicted": np.stack(predicted, 1), f"{FEW_SHOT}, sources measured": np.stack(measured, 1)}
    pretrained = {
        name: {**VariantSpread.learn(alone[VARIANTS], log_ms).weigh(alone), **source_features(log_ms, names)}
        for name, log_ms in sources.items()
    }
    return {**pretrained, f"{FEW_SHOT} from graphs alone": alone}


def _look_up(graphs: Sequence[ModelGraph], table: LatencyTable, instead: Times) -> Times:
    """Return log latencies as measured; ``instead`` where a platform has none of a network."""
    known = {graph.key: float(np.log(ms)) for graph, ms in zip(table.graphs, table.latency_ms, strict=True)}
    return np.array([known.get(graph.key, float(other)) for graph, other in zip(graphs, instead, strict=True)])


def _choose(features: Features, order: Rows, n: int) -> Rows:
    looked_at = np.sort(order[: max(N_CANDIDATES, n)])
    return np.sort(looked_at[choose_rows(take(features, looked_at), n)])


def _few_shot(features: Features, latency_ms: Times, support: Rows, rest: Rows) -> dict[str, float]:
    model = FewShotModel.fit(take(features, support), latency_ms[support])
    log_ms, margin = model.predict(take(features, rest))
    return _errors(np.exp(log_ms), np.exp(log_ms - margin), np.exp(log_ms + margin), latency_ms[rest])


def _score(predictor: LatencyPredictor, table: LatencyTable, rest: Rows) -> dict[str, float]:
    prediction = predictor.predict([table.graphs[i] for i in rest], table.platform)
    return _errors(prediction.latency_ms, prediction.low_ms, prediction.high_ms, table.latency_ms[rest])


def _errors(predicted: Times, low: Times, high: Times, truth: Times) -> dict[str, float]:
    relative = np.abs(predicted / truth - 1.0)
    return {
        "mape": 100.0 * float(relative.mean()),
        "acc10": 100.0 * float((relative <= 0.1).mean()),
        "median_ape": 100.0 * float(np.median(relative)),
        "spearman": float(spearmanr(predicted, truth)[0]),
        "coverage": float(((low <= truth) & (truth <= high)).mean()),
    }


def _means(scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: round(float(np.mean([score[name] for score in scores])), 4) for name in scores[0]}


def _print(platform: str, found: Mapping[str, Any]) -> None:
    for label, row in found["samples"].items():
        shown = "  ".join(
            f"{name}: {scores['mape']:.1f} % ({scores['acc10']:.0f}, cov {scores['coverage']:.2f})"
            for name, scores in row.items()
            if name != "n"
        )
        print(f"{platform} {label:>4} (n={row['n']}): {shown}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
