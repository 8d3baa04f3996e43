"""Search under latency budgets on published devices that are known from 20 measurements in all.

    python -m benchmarks.constrained_search                 # all parts, five seeds
    python -m benchmarks.constrained_search --part help --seeds 1
    python -m benchmarks.constrained_search --quick --json

``help``: HELP's fifteen budgets (Lee et al., NeurIPS 2021, Table 4) on NAS-Bench-201 and CIFAR-100, a search of the whole space.
Each device is learned from 11 networks, chosen by ``select_support_set``'s rule, and each of its three budgets may
measure 3 networks more, which later budgets learn from too: 20 measurements a device, verification included. The
network with the best accuracy among those that were measured and fit is the answer. ``fbnet``: the same on three devices
of FBNet's space, for latency alone: no accuracies are published, so the network with the most
multiply-accumulates is sought. ``front``: evaluations of accuracy that plain Optuna and random search need, which
learn the latency of a network with its accuracy, to reach the front of the search with the oracle. ``overhead``: pricing
1,000 MobileNetV3, and what the constraint adds to an Optuna study. Figures are kept seed by seed; a run that was
stopped goes on with ``--resume``.

The published tables are read from the folder NNLQP_NAS_DATA. Nothing is tuned on latencies of the targets; those that were not
measured only judge the answer.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from benchmarks.constrained_budgets import run_fbnet, run_help
from benchmarks.constrained_fronts import run_fronts
from benchmarks.constrained_overhead import run_overhead
from benchmarks.constrained_picture import draw_constrained
from benchmarks.record import RESULTS, provenance, record

PARTS = {"help": run_help, "fbnet": run_fbnet, "front": run_fronts, "overhead": run_overhead}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder of the published tables (default: NNLQP_NAS_DATA)")
    parser.add_argument(
        "--part", nargs="+", choices=list(PARTS), default=list(PARTS), help="default: all; others keep their earlier figures"
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--resume", action="store_true", help="run only the seeds that the kept figures lack")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    folder = Path(arguments.data or os.environ.get("NNLQP_NAS_DATA", "."))
    if not (folder / "nasbench201_latency.parquet").is_file():
        raise SystemExit(f"expected the published tables in NNLQP_NAS_DATA or --data, got {folder} without nasbench201_latency.parquet")
    for part in arguments.part:

        def keep(figures: dict[str, Any], part: str = part) -> None:
            # Seed by seed: all of them take a quarter of an hour.
            others = {} if arguments.quick else _kept(part)
            record("constrained_search", {**others, part: {**figures, "run": provenance()}}, arguments.quick, is_json=False)

        rows = _kept_parts().get(part, {}).get("rows", []) if arguments.resume and not arguments.quick else []
        figures = PARTS[part](folder, 1 if arguments.quick else arguments.seeds, arguments.quick, keep, rows)
        found = {**({} if arguments.quick else _kept(part)), part: {**figures, "run": provenance()}}
        record("constrained_search", found, arguments.quick, arguments.json and part == arguments.part[-1])
        if "help" in found and not arguments.quick:
            draw_constrained(Path(__file__).parents[1] / "docs" / "constrained_search.png", found)


def _kept(part: str) -> dict[str, Any]:
    """Return the kept figures of all other parts; they may have been run by another process meanwhile."""
    return {name: figures for name, figures in _kept_parts().items() if name != part}


def _kept_parts() -> dict[str, Any]:
    path = RESULTS / "constrained_search.json"
    kept = json.loads(path.read_text()) if path.is_file() else {}
    return {name: kept[name] for name in PARTS if name in kept}


if __name__ == "__main__":
    main()
