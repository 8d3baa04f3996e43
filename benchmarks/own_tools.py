"""Whether our latencies are those that the engines' own tools tell.

    python -m benchmarks.own_tools [--quick] [--json] [--platform P]... [--network N]... [--core C] [--n-rounds N]

OpenVINO's benchmark_app, LiteRT's benchmark_litert_model, PyTorch's torch.utils.benchmark, session.run under Python's timeit,
and the profilers of ONNX Runtime and tract time the same files on the same core, in turns with our own passes. Of each network the median
ratio of ours to theirs over the rounds counts; of each platform the median over networks should be within 5 % of 1. ONNX Runtime's profiler
stands beside it for the record: it costs some microseconds a node. ncnn's and MNN's wheels bring no tool of that kind.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.default_networks import default_networks, one_thread_platforms
from benchmarks.engine_tools import FILES, TOOLS
from benchmarks.record import record
from nnlqp_nas.backends import IsolatedBackend
from nnlqp_nas.backends.artefacts import Artefacts
from nnlqp_nas.core import Measurement, ModelGraph, NnlqpError, Platform
from nnlqp_nas.datasets.campaign import PROTOCOL
from nnlqp_nas.measurable import available_backend
from nnlqp_nas.platform_status import resolve_platform

TOLERANCE = 0.05
_ROOT = Path(__file__).parents[1]
_QUICK = ("squeezenet", "nasbench201")
_TIME_LIMIT_S = 300.0
_SECONDS = 1.0


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2 networks, 1 round; figures are not kept")
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--platform", action="append", help="platform, may be given again (default: all of one thread whose engine has a tool)"
    )
    parser.add_argument("--network", action="append", choices=list(default_networks()), help="network, may be given again (default: all)")
    parser.add_argument("--core", type=int, help="core to measure on, ours and theirs (default: any)")
    parser.add_argument("--n-rounds", type=int, default=3)
    arguments = parser.parse_args()
    networks = arguments.network or (_QUICK if arguments.quick else list(default_networks()))
    try:
        platforms = [resolve_platform(name) for name in arguments.platform or ()] or [
            one for one in one_thread_platforms() if has_tool(one)
        ]
        strangers = [str(platform) for platform in platforms if not has_tool(platform)]
        if strangers:
            parser.error(f"expected platforms of {', '.join(TOOLS)} without variant, got {', '.join(strangers)}")
        result = compare(platforms, networks, 1 if arguments.quick else arguments.n_rounds, arguments.core)
    except NnlqpError as error:
        parser.error(str(error))
    record("own_tools", result, arguments.quick, arguments.json)
    if not arguments.json:
        print_table(result)


def has_tool(platform: Platform) -> bool:
    """Whether an engine brings a tool that can time the platform: none knows our variants or providers."""
    return platform.hardware == "cpu" and not platform.variant and platform.precision in FILES.get(platform.software, {})


def compare(platforms: Sequence[Platform], networks: Sequence[str], n_rounds: int, core: int | None) -> dict[str, Any]:
    """Time every network on every platform, ours and theirs in turns; see :func:`summarise` for what comes back."""
    rows: list[dict[str, Any]] = []
    members = default_networks()
    with Artefacts(n_kept=2) as artefacts, tqdm(total=len(networks) * len(platforms), file=sys.stderr, disable=None) as bar:
        for name in networks:
            space, _, architecture = members[name]
            for platform in platforms:
                graph = space.graph(architecture, platform.view)
                for tool in TOOLS[platform.software]:
                    compared = _compare_one(platform, tool, graph, artefacts, n_rounds, core)
                    rows.append({"platform": str(platform), "network": name, "tool": tool, **compared})
                bar.update()
    return {"n_rounds": n_rounds, "core": core, **summarise(rows)}


def _compare_one(platform: Platform, tool: str, graph: ModelGraph, artefacts: Artefacts, n_rounds: int, core: int | None) -> dict[str, Any]:
    backend: Any = available_backend(platform)
    backend.artefacts = artefacts
    backend.cores = None if core is None else [core]
    ours: list[float] = []
    theirs: list[float] = []
    for number in range(n_rounds + 1):
        # Ours first, once more at the end: each of theirs stands between two of ours, and a steady drift cancels.
        (taken,) = backend.measure([graph], PROTOCOL)
        if not isinstance(taken, Measurement):
            return {"reason": f"ours: ({taken.stage}) {taken.reason}"}
        ours.append(taken.latency_ms)
        if number < n_rounds:
            answer = _ask_tool(backend, tool, graph, artefacts.folder(graph.key, 1), core)
            if isinstance(answer, str):
                return {"reason": f"theirs: {answer}"}
            theirs.append(answer)
    ratios = [(before + after) / 2 / one for before, after, one in zip(ours[:-1], ours[1:], theirs, strict=True)]
    return {"ours_ms": float(np.median(ours)), "theirs_ms": float(np.median(theirs)), "ratio": float(np.median(ratios)), "ratios": ratios}


def _ask_tool(backend: IsolatedBackend, tool: str, graph: ModelGraph, folder: Path, core: int | None) -> float | str:
    """Return what the tool tells, milliseconds, or why it told nothing."""
    platform = backend.platform
    job = {
        "tool": tool,
        "model": str(folder / FILES[platform.software][platform.precision]),
        "precision": platform.precision,
        "shapes": graph.input_shapes,
        "core": core,
        "seconds": _SECONDS,
    }
    path = folder / "tool.json"
    path.write_text(json.dumps(job), encoding="utf-8")
    command = [sys.executable, "-m", "benchmarks.engine_tools", str(path)]
    environment = {**os.environ, **backend.environment(1)}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIME_LIMIT_S, env=environment, cwd=_ROOT, check=False)
    except subprocess.TimeoutExpired:
        return f"no answer within {_TIME_LIMIT_S:g} s"
    said, complaints = ([line.strip() for line in text.splitlines() if line.strip()] for text in (done.stdout, done.stderr))
    if done.returncode == 0 and said:
        return float(json.loads(said[-1])["latency_ms"])
    return f"exit code {done.returncode}: {' '.join(complaints[-1:])[:300]}"


def summarise(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the rows with medians over networks.

    Returns:
        ``rows``: of each platform, network and tool ``ours_ms``, ``theirs_ms``, ``ratio`` and ``ratios`` by round, or the ``reason``
        why not; ``tools``: of each ``platform`` and ``tool`` ``n``, ``median_ratio``, ``low`` and ``high`` (quartiles), whether it
        ``holds``, and whether it ``counts``; ``holds``: whether all do that count.
    """
    pairs = sorted({(row["platform"], row["tool"]) for row in rows})
    tools = [
        _median(platform, tool, [row for row in rows if (row["platform"], row["tool"]) == (platform, tool)]) for platform, tool in pairs
    ]
    return {"tolerance": TOLERANCE, "holds": all(one["holds"] for one in tools if one["counts"]), "tools": tools, "rows": list(rows)}


def _median(platform: str, tool: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    ratios = [row["ratio"] for row in rows if "ratio" in row]
    counts = tool == TOOLS[Platform.parse(platform).software][0]
    what = {"platform": platform, "tool": tool, "counts": counts, "n": len(ratios)}
    if not ratios:
        return {**what, "holds": False}
    low, median, high = (float(value) for value in np.percentile(ratios, (25, 50, 75)))
    return {**what, "median_ratio": median, "low": low, "high": high, "holds": abs(median - 1) <= TOLERANCE}


def print_table(result: Mapping[str, Any]) -> None:
    """Print one line a network, platform and tool, then one a platform and tool."""
    print(f"{'ours, ms':>10} {'theirs, ms':>10} {'ratio':>6}")
    for row in result["rows"]:
        what = f"{row['network']} on {row['platform']}, {row['tool']}"
        if "ratio" in row:
            print(f"{row['ours_ms']:10.3f} {row['theirs_ms']:10.3f} {row['ratio']:6.3f}  {what}")
        else:
            print(f"{'-':>10} {'-':>10} {'-':>6}  {what}: {row['reason']}")
    for one in result["tools"]:
        spread = f"{one['median_ratio']:.3f} (quartiles {one['low']:.3f} .. {one['high']:.3f})" if one["n"] else "-"
        verdict = ("holds" if one["holds"] else "does not hold") if one["counts"] else "for the record"
        print(f"{one['platform']}, {one['tool']}: median ratio {spread} over {one['n']} networks; {verdict}")


if __name__ == "__main__":
    main()
