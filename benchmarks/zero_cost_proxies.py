"""How zero-cost proxies rank networks whose accuracies are published.

    python -m benchmarks.zero_cost_proxies DATA_FOLDER [--n 200] [--seeds 3] [--json]

Spearman correlation with the published accuracy of n networks, drawn at random from the table; mean, least and
most over seeds, each seed with its own networks, weights and images (Gaussian noise).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from benchmarks.accuracy_tables import TABLES, read_accuracies
from nnlqp_nas import load_space
from nnlqp_nas.quality import ZeroCostProxy

PROXIES = ("naswot", "synflow", "params", "flops")
SPACES = ("nasbench201", "nasbench_macro")


def correlate(space: str, data: Path, n: int, seeds: int) -> dict[str, Any]:
    """Return, for each proxy, the correlation with every column of the space's table, and seconds a network."""
    members, accuracy = read_accuracies(space, data)
    result: dict[str, Any] = {}
    for proxy in PROXIES:
        found, seconds = [], 0.0
        for seed in range(seeds):
            chosen = np.random.default_rng(seed).choice(len(members), n, replace=False)
            begin_s = time.process_time()
            scores = ZeroCostProxy(load_space(space), proxy, seed=seed).evaluate([members[i] for i in chosen])
            seconds += time.process_time() - begin_s
            found.append([float(spearmanr(scores, column).statistic) for column in accuracy[chosen].T])
        names = TABLES[space].columns
        summary = {
            name: {"mean": round(float(np.mean(values)), 3), "least": round(min(values), 3), "most": round(max(values), 3)}
            for name, values in zip(names, zip(*found, strict=True), strict=True)
        }
        result[proxy] = {"spearman": summary, "seconds_a_network": round(seconds / (n * seeds), 4)}
        print(f"{space} {proxy}: {result[proxy]}", file=sys.stderr)
    return result


def main() -> None:
    """Correlate and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="folder of the published tables")
    parser.add_argument("--n", type=int, default=200, help="networks a seed")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    settings = parser.parse_args()
    result = {space: correlate(space, settings.data, settings.n, settings.seeds) for space in SPACES}
    if settings.json:
        print(json.dumps({"n": settings.n, "seeds": settings.seeds, "spaces": result}, indent=2))


if __name__ == "__main__":
    main()
