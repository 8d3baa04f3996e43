"""NNI's multi-trial strategies on its hub's spaces under a latency budget: is every model that is kept within it?

Quality is the shipped surrogate of NAS-Bench-201 there, and multiply-accumulates (the larger the better) elsewhere.
The budget is the median of what 100 random members may take. ``python -m benchmarks.nni_search [--quick] [--json]``.
"""

from __future__ import annotations

import argparse
import logging
import time
from typing import Any

import numpy as np

import nnlqp_nas
from nnlqp_nas.graphs import graph_cost
from nnlqp_nas.quality import AccuracySurrogate, CallableQuality, Quality
from nnlqp_nas.search.nni import LatencyProfiler, MappedSpace, QualityEvaluator, map_space, run_strategy

from .record import record

SPACES = ("NasBench201", "MobileNetV3Space", "ProxylessNAS")


def make_strategies(seed: int) -> dict[str, Any]:
    """Return NNI's strategies; an object runs once."""
    from nni.nas.strategy import Random, RegularizedEvolution

    return {
        "random": Random(seed=seed),
        "evolution": RegularizedEvolution(population_size=20, sample_size=10, mutation_prob=0.1, seed=seed),
    }


def make_quality(mapped: MappedSpace) -> Quality:
    """Return what is maximised on a space."""
    if mapped.space.name == "nasbench201":
        return AccuracySurrogate("cifar10")
    return CallableQuality(lambda architecture: graph_cost(mapped.space.graph(architecture)).macs / 1e6, "million MACs", "million MACs")


def run_space(name: str, platform: str, n_models: int, seeds: int) -> list[dict[str, Any]]:
    """Search a space with each strategy and return what was kept."""
    from nni.nas.hub import pytorch as hub

    model_space = getattr(hub, name)()
    mapped = map_space(model_space)
    oracle = nnlqp_nas.load_oracle(platform, policy="predict", spaces=[mapped.space])
    profiler = LatencyProfiler(model_space, oracle)
    rng = np.random.default_rng(0)
    begin_s = time.perf_counter()
    priced_ms = profiler.profile_many([mapped.to_sample(mapped.space.sample(rng)) for _ in range(100)])
    pricing_s = time.perf_counter() - begin_s
    budget_ms = float(np.median(priced_ms))
    rows = []
    for seed in range(seeds):
        for strategy_name, strategy in make_strategies(seed).items():
            quality = make_quality(mapped)
            begin_s = time.perf_counter()
            kept = run_strategy(strategy, model_space, QualityEvaluator(quality, mapped.to_architecture), profiler, budget_ms, n_models)
            seconds = time.perf_counter() - begin_s
            fresh = LatencyProfiler(model_space, nnlqp_nas.load_oracle(platform, policy="predict"))
            within = sum(latency_ms <= budget_ms for latency_ms in fresh.profile_many([model.sample for model in kept]))
            rows.append(
                {"space": name, "strategy": strategy_name, "seed": seed, "budget_ms": budget_ms, "kept": len(kept), "within_budget": within}
                | {"best": kept[0].metric, "metric": quality.metric, "seconds": round(seconds, 2), "pricing_100_s": round(pricing_s, 3)}
            )
    return rows


def main() -> None:
    """Run the experiment and print or keep its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one seed, 20 models")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--platform", default="cpu-onnxruntime-fp32")
    arguments = parser.parse_args()
    n_models, seeds = (20, 1) if arguments.quick else (50, 5)
    logging.getLogger("nni").setLevel(logging.CRITICAL)
    rows = [row for name in SPACES for row in run_space(name, arguments.platform, n_models, seeds)]
    record("nni_search", {"platform": arguments.platform, "n_models": n_models, "rows": rows}, arguments.quick, arguments.json)
    if arguments.json:
        return
    print(f"{'space':<18}{'strategy':<11}seed  budget ms  within budget   best  seconds")
    for row in rows:
        print(
            f"{row['space']:<18}{row['strategy']:<11}{row['seed']:>4}{row['budget_ms']:>11.3f}{row['within_budget']:>8} of {row['kept']:<4}"
            f"{row['best']:>8.2f}{row['seconds']:>8.1f}"
        )


if __name__ == "__main__":
    main()
