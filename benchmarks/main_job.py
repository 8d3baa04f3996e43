"""How right the main job is on this machine.

    python -m benchmarks.main_job                              # 20 samples, 50 fresh networks
    python -m benchmarks.main_job --outcome runs/search/X/outcome.json   # measure the verified networks once more

The first adapts a pretrained predictor to this machine with 20 measured NAS-Bench-201 networks and compares its
predictions with measurements of 50 others: distinct, not among the 20, and never measured for the pretraining. Beside it
stand the pretrained predictor as it is and the linear baselines fitted to the same 20.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau, spearmanr
from tqdm import tqdm

from benchmarks.record import record
from nnlqp_nas import load_predictor, load_space
from nnlqp_nas.core import LatencyPredictor, Measurement, MeasurementBackend, MeasurementError, ModelGraph, Platform
from nnlqp_nas.core.plugins import BACKENDS, PREDICTORS, load_plugin
from nnlqp_nas.datasets.latency_row import read_rows
from nnlqp_nas.datasets.measured import MEASURED
from nnlqp_nas.transfer import select_support_set

Times = NDArray[np.float64]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--platform", default="cpu-onnxruntime-fp32")
    parser.add_argument("--predictor", default="universal", help="name or file of the pretrained predictor")
    parser.add_argument("--n-samples", type=int, default=20)
    parser.add_argument("--n-fresh", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=3, help="support sets, each of its own seed")
    parser.add_argument("--outcome", type=Path, help="outcome.json of a search, to measure its verified networks again")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    platform = Platform.parse(arguments.platform)
    backend = load_plugin(BACKENDS, platform.software)(platform)
    if arguments.outcome:
        result = _measure_again(json.loads(arguments.outcome.read_text()), backend)
    else:
        result = _judge_adaptation(arguments, platform, backend)
    record("main_job_again" if arguments.outcome else "main_job", result, arguments.quick, arguments.json)


def _judge_adaptation(arguments: argparse.Namespace, platform: Platform, backend: MeasurementBackend) -> dict[str, Any]:
    n_fresh, n_seeds = (10, 1) if arguments.quick else (arguments.n_fresh, arguments.seeds)
    base = load_predictor(arguments.predictor)
    pretraining = {row.graph_key for row in read_rows(sorted(MEASURED.glob("*.parquet")))}
    pool = _draw(2000, platform, pretraining)
    fresh, candidates = pool[:n_fresh], pool[n_fresh : n_fresh + 1000]
    fresh_ms = _measure(backend, fresh)
    runs = []
    for seed in range(n_seeds):
        support = [candidates[i] for i in select_support_set(candidates, arguments.n_samples, seed)]
        support_ms = _measure(backend, support)
        runs.append(_errors(base, platform, support, support_ms, fresh, fresh_ms))
    summary = {name: {key: round(float(np.mean([run[name][key] for run in runs])), 4) for key in runs[0][name]} for name in runs[0]}
    for name, row in summary.items():
        print(f"{name:28s}" + "  ".join(f"{key} {value:.4g}" for key, value in row.items()), file=sys.stderr)
    setting = {"platform": str(platform), "predictor": arguments.predictor, "n_samples": arguments.n_samples, "n_fresh": len(fresh)}
    return {**setting, "mean": summary, "seeds": runs}


def _errors(
    base: LatencyPredictor, platform: Platform, support: list[ModelGraph], support_ms: Times, fresh: list[ModelGraph], truth: Times
) -> dict[str, dict[str, float]]:
    predictors = {"adapted": base.adapt(platform, support, support_ms)}
    if platform in base.platforms:
        predictors["pretrained as it is"] = base
    for name in ("operator_linear", "flops_linear"):
        predictors[name] = load_plugin(PREDICTORS, name)().adapt(platform, support, support_ms)
    result = {}
    for name, predictor in predictors.items():
        p = predictor.predict(fresh, platform)
        relative = np.abs(p.latency_ms / truth - 1)
        result[name] = {
            "spearman": float(spearmanr(p.latency_ms, truth)[0]),
            "kendall": float(kendalltau(p.latency_ms, truth)[0]),
            "median_ape": 100 * float(np.median(relative)),
            "mape": 100 * float(relative.mean()),
            "acc10": 100 * float((relative <= 0.1).mean()),
            "coverage": float(((p.low_ms <= truth) & (truth <= p.high_ms)).mean()),
        }
    return result


def _draw(n: int, platform: Platform, without: set[str]) -> list[ModelGraph]:
    """Return n distinct networks that do not reduce to nothing, none of them in ``without``."""
    space, rng = load_space("nasbench201"), np.random.default_rng(2026)
    drawn: dict[str, ModelGraph] = {}
    while len(drawn) < n:
        graph = space.graph(space.sample(rng), platform.view)
        if graph.key not in without and len(graph) > 10:
            drawn[graph.key] = graph
    return list(drawn.values())


def _measure(backend: MeasurementBackend, graphs: Sequence[ModelGraph]) -> Times:
    with tqdm(total=len(graphs), desc="measure", file=sys.stderr, disable=None) as bar:
        results = backend.measure(graphs, on_result=lambda _: bar.update())
    good = [result for result in results if isinstance(result, Measurement)]
    if len(good) != len(results):
        raise MeasurementError(f"expected every network to be measured, got {len(results) - len(good)} failures")
    return np.array([result.latency_ms for result in good])


def _measure_again(outcome: dict[str, Any], backend: MeasurementBackend) -> dict[str, Any]:
    space, budget_ms = load_space(outcome["space"]), outcome["budget_ms"]
    verified = [entry for entry in outcome["front"] if entry["measured_ms"] is not None]
    again = _measure(backend, [space.graph(space.decode(entry["architecture"]), backend.platform.view) for entry in verified])
    rows = [{**entry, "measured_again_ms": float(ms)} for entry, ms in zip(verified, again, strict=True)]
    n_within = int((again <= budget_ms).sum())
    print(f"{n_within} of {len(rows)} within {budget_ms:.4g} ms in a second measurement", file=sys.stderr)
    ratio = float(np.median([row["measured_again_ms"] / row["measured_ms"] for row in rows]))
    return {"budget_ms": budget_ms, "n_verified": len(rows), "n_within_again": n_within, "median_ratio": ratio, "networks": rows}


if __name__ == "__main__":
    main()
