"""``nnlqp-nas profile``: where a model spends its time, by the engine's own profiler.

With ``--json`` one document:

* ``model``, ``graph_key``, ``platform``, ``batch_size``, ``host``;
* ``total_ms``: sum over the nodes, milliseconds a run;
* ``latency_ms``: a short measurement without the profiler, or null where it failed (``not_measured`` then says why, else null);
* ``operators``: of each type ``op_type``, ``n``, ``time_ms``, ``share`` of the total, slowest first;
* ``nodes``: of each node ``name``, ``op_type``, ``time_ms``, ``share``, ``fell_back``, slowest first.

Nodes and types are the engine's: what it fused is one node.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from ..core import Measurement, MeasurementBackend, ModelGraph, OperatorTime, TimingProtocol, UnsupportedError
from .output import milliseconds, print_json, print_table
from .parser import Parser, add_json, add_model, add_platform

EXAMPLES = """examples:
  nnlqp-nas profile resnet18.onnx --platform cpu-onnxruntime-fp32
  nnlqp-nas profile resnet18.onnx --platform cpu-openvino-int8 --batch-size 8 --json"""

_N_SLOWEST = 10
_SHORT = TimingProtocol(warmup_s=0.1, min_runs=5, min_time_s=0.25, max_time_s=2.0, n_passes=1, max_passes=1)
"""One pass: the latency only stands beside the total, to tell what profiling costs and what no node accounts for."""


def add_arguments(parser: Parser) -> None:
    """Add what the command takes."""
    add_model(parser)
    add_platform(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Profile the model and print where its time goes."""
    from ..graphs import read_graph
    from ..platform_status import resolve_platform

    backend = _profiling_backend(resolve_platform(arguments.platform))
    graph = read_graph(arguments.model, backend.platform.view)
    document = {"model": arguments.model, **_profile(backend, graph, arguments.batch_size)}
    if arguments.json:
        print_json(document)
    else:
        _print_tables(document)
    return 0


def _profiling_backend(platform: Any) -> MeasurementBackend:
    from ..measurable import available_backend, profiled_software

    backend = available_backend(platform)
    if not backend.has_profiler:
        offered = ", ".join(profiled_software())
        raise UnsupportedError(f"expected a platform whose engine has an operator profiler ({offered}), got {platform}")
    return backend


def _profile(backend: MeasurementBackend, graph: ModelGraph, batch_size: int) -> dict[str, Any]:
    times = backend.profile(graph, batch_size)
    (taken,) = backend.measure([graph], _SHORT, batch_size)
    return {
        "graph_key": graph.key,
        "platform": str(backend.platform),
        "batch_size": batch_size,
        "host": backend.host,
        "latency_ms": taken.latency_ms if isinstance(taken, Measurement) else None,
        "not_measured": None if isinstance(taken, Measurement) else f"({taken.stage}) {' '.join(taken.reason.split())}",
        **describe_times(times),
    }


def describe_times(times: Sequence[OperatorTime]) -> dict[str, Any]:
    """Return ``total_ms``, ``operators`` and ``nodes`` of a profile, JSON types only, slowest first."""
    total_ms = sum(one.time_ms for one in times)
    by_type: dict[str, list[float]] = defaultdict(list)
    for one in times:
        by_type[one.op_type].append(one.time_ms)

    def share(time_ms: float) -> float:
        return time_ms / total_ms if total_ms > 0 else 0.0

    operators = [{"op_type": name, "n": len(group), "time_ms": sum(group), "share": share(sum(group))} for name, group in by_type.items()]
    nodes = [
        {"name": one.name, "op_type": one.op_type, "time_ms": one.time_ms, "share": share(one.time_ms), "fell_back": one.fell_back}
        for one in times
    ]
    return {"total_ms": total_ms, "operators": _slowest_first(operators), "nodes": _slowest_first(nodes)}


def _slowest_first(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: -row["time_ms"])


def _print_tables(document: dict[str, Any]) -> None:
    operators, nodes = document["operators"], document["nodes"]
    print_table(
        ["operator", "n", "ms", "share"],
        [[row["op_type"], str(row["n"]), milliseconds(row["time_ms"]), f"{row['share']:.1%}"] for row in operators],
    )
    sys.stdout.write(f"\nslowest of {len(nodes)} nodes\n")
    print_table(
        ["node", "operator", "ms", "share"],
        [[row["name"], row["op_type"], milliseconds(row["time_ms"]), f"{row['share']:.1%}"] for row in nodes[:_N_SLOWEST]],
    )
    sys.stdout.write(f"\n{_fallbacks(nodes)}\n{_total(document)}\n")


def _fallbacks(nodes: list[dict[str, Any]]) -> str:
    slow = [row for row in nodes if row["fell_back"]]
    if not slow:
        return "every node ran on the engine's own kernels"
    named = ", ".join(f"{row['name']} ({row['op_type']}, {milliseconds(row['time_ms'])} ms)" for row in slow)
    return f"{len(slow)} nodes fell back to a slower kernel: {named}"


def _total(document: dict[str, Any]) -> str:
    total = f"{document['platform']}, batch size {document['batch_size']}: {milliseconds(document['total_ms'])} ms in all nodes"
    if document["latency_ms"] is None:
        return f"{total}; without the profiler it was not measured: {document['not_measured']}"
    return f"{total}, {milliseconds(document['latency_ms'])} ms a run without the profiler ({document['host']})"
