"""What a campaign makes of engines that go wrong: every fault a row with its reason, no good row lost.

    python -m benchmarks.faults [--quick] [--json] [--core C]

Half of the networks of a campaign fail on purpose, in five ways that engines fail: the process crashes by a signal,
loops for ever, eats memory, computes something else, misses a file. A seed says which fails how. The command ends with exit
code 1 if one fault is not told as what it is, or one good row is missing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import record
from nnlqp_nas.commands.output import print_table
from nnlqp_nas.core import Platform, TimingProtocol
from nnlqp_nas.datasets.campaign import Campaign
from nnlqp_nas.datasets.latency_row import LatencyRow
from nnlqp_nas.datasets.members import Member, draw_members
from nnlqp_nas.testing.faulty_engine import FaultyBackend

EXPECTED: Mapping[str, tuple[str, str]] = {
    "crash": ("run", "crashed by signal SIGSEGV"),
    "hang": ("run", "killed at the time limit"),
    "eat_memory": ("run", "needed more memory than the limit"),
    "wrong_output": ("compare", "expected the outputs of ONNX Runtime"),
    "no_file": ("load", "No such file or directory"),
}
"""Of each fault: the stage that its row must name, and words of its reason."""

NONE = "none"
_MEMORY_BYTES = 512 << 20


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="20 networks, 10 of them faulty; figures are not kept")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--n-items", type=int, default=200)
    parser.add_argument("--n-faults", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="draws the networks, and which fails how")
    parser.add_argument("--time-limit-s", type=float, default=5.0, help="what a looping engine costs; a good network needs about 1 s")
    parser.add_argument("--core", type=int, help="core to measure on (default: any)")
    arguments = parser.parse_args()
    n_items, n_faults = (20, 10) if arguments.quick else (arguments.n_items, arguments.n_faults)
    cores = None if arguments.core is None else [arguments.core]
    result = run_faulty_campaign(n_items, n_faults, arguments.seed, arguments.time_limit_s, cores)
    record("faults", result, arguments.quick, arguments.json)
    if not arguments.json:
        _print(result)
    sys.exit(0 if result["holds"] else 1)


def run_faulty_campaign(n_items: int, n_faults: int, seed: int, time_limit_s: float, cores: Sequence[int] | None) -> dict[str, Any]:
    """Measure ``n_items`` small networks, ``n_faults`` of them faulty, and judge the rows.

    Returns:
        ``holds``, ``n_items``, ``n_faults``, ``seconds``, and ``faults``: a row for each kind, see :func:`judge`.
    """
    members = draw_members("nasbench201", n_items, seed, [{"n_cells": 1}])
    faults = assign_faults(members, n_faults, seed)
    backend = FaultyBackend(Platform(NONE, "faulty", "fp32"), cores, _MEMORY_BYTES, faults)
    protocol = TimingProtocol(
        warmup_s=0.01, min_runs=5, min_time_s=0.02, max_time_s=0.2, time_limit_s=time_limit_s, n_retries=0, n_passes=1, max_passes=1
    )
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        rows = Campaign(members, [backend], Path(folder) / "journal.jsonl", protocol, seed=seed).run()
    judged = judge(rows, {key: faults.get(key, NONE) for key in _keys(members)})
    holds = all(one["n_rows"] == one["n_items"] == one["n_as_expected"] for one in judged)
    return {"holds": holds, "n_items": n_items, "n_faults": n_faults, "seconds": round(time.perf_counter() - begin, 1), "faults": judged}


def assign_faults(members: Sequence[Member], n_faults: int, seed: int) -> dict[str, str]:
    """Return a fault for ``n_faults`` of the networks by graph key, the kinds as equal in number as they can be."""
    chosen = np.random.default_rng(seed).permutation(_keys(members))[:n_faults]
    kinds = list(EXPECTED)
    return {str(key): kinds[place % len(kinds)] for place, key in enumerate(chosen)}


def judge(rows: Sequence[LatencyRow], faults: Mapping[str, str]) -> list[dict[str, Any]]:
    """Compare rows with what was injected.

    Args:
        rows: What the campaign returned.
        faults: The fault of every network by graph key, ``none`` among them.

    Returns:
        For each kind of fault: ``fault``, ``n_items``, ``n_rows``, ``n_as_expected``, and ``stage`` and ``reason`` of one of its rows.
    """
    judged = []
    for fault in (NONE, *EXPECTED):
        found = [row for row in rows if faults[row.graph_key] == fault]
        told = [row for row in found if _is_as_expected(row, fault)]
        example = next(iter(told or found), None)
        judged.append(
            {
                "fault": fault,
                "n_items": sum(kind == fault for kind in faults.values()),
                "n_rows": len(found),
                "n_as_expected": len(told),
                "stage": example.stage if example else "",
                "reason": example.reason if example else "",
            }
        )
    return judged


def _is_as_expected(row: LatencyRow, fault: str) -> bool:
    if fault == NONE:
        return row.latency_ms is not None and not row.stage
    stage, words = EXPECTED[fault]
    return row.latency_ms is None and row.stage == stage and words in row.reason


def _keys(members: Sequence[Member]) -> list[str]:
    view = Platform(NONE, "faulty", "fp32").view
    return [space.graph(architecture, view).key for space, _, architecture in members]


def _print(result: Mapping[str, Any]) -> None:
    columns = ("fault", "n_items", "n_rows", "n_as_expected", "stage", "reason")
    print_table(
        ["fault", "items", "rows", "as expected", "stage", "reason"], [[str(one[name]) for name in columns] for one in result["faults"]]
    )
    print(f"{result['n_items']} networks in {result['seconds']:.0f} s; {'holds' if result['holds'] else 'DOES NOT HOLD'}")


if __name__ == "__main__":
    main()
