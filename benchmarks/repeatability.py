"""How much a latency varies from process to process, on every platform of this machine.

    python -m benchmarks.repeatability [--quick] [--json] [--platform P]... [--core C] [--n-repeats N] [--full]

Eleven networks on all platforms of one thread, ten times each, in random order, every time in a process of its own. Reported is
the coefficient of variation over the repeats: of single passes as a campaign takes them, of the means of two passes spaced in
time, as a campaign of two rounds keeps them, and with ``--full`` of whole measurements under the default protocol. On an idle core
the median over networks and platforms should be at most 2 %.

Passes are journaled under runs/repeatability: kill it at any time, the same command goes on. A result that is no quick one is kept,
and drawn as docs/repeatability.png.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.default_networks import default_networks, one_thread_platforms
from benchmarks.record import record
from benchmarks.repeatability_plot import plot_variation
from nnlqp_nas.backends.artefacts import Artefacts
from nnlqp_nas.core import MeasurementBackend, NnlqpError, Platform, TimingProtocol
from nnlqp_nas.datasets.campaign import PROTOCOL, Campaign
from nnlqp_nas.datasets.journal import Pass
from nnlqp_nas.datasets.members import Member
from nnlqp_nas.measurable import available_backend
from nnlqp_nas.platform_status import resolve_platform

TARGET_PERCENT = 2.0
SINGLE, PAIR, FULL = "single pass", "two passes", "full protocol"
_RUNS = Path("runs/repeatability")
_PICTURE = Path(__file__).parents[1] / "docs" / "repeatability.png"
_FEWEST = 2
_QUICK = ("squeezenet", "nasbench201")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2 networks, 3 repeats, 1 platform unless named; figures are not kept")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--platform", action="append", help="platform, may be given again (default: all of one thread)")
    parser.add_argument("--core", type=int, help="core to measure on (default: any)")
    parser.add_argument("--n-repeats", type=int, default=10)
    parser.add_argument("--full", action="store_true", help="measure with the default protocol too: about three times as long")
    arguments = parser.parse_args()
    networks = default_networks()
    if arguments.quick:
        networks = {name: networks[name] for name in _QUICK}
    try:
        platforms = [resolve_platform(name) for name in arguments.platform or ()] or _default_platforms(arguments.quick)
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) if arguments.quick else _RUNS
            result = measure(networks, platforms, folder, 3 if arguments.quick else arguments.n_repeats, arguments.core, arguments.full)
    except NnlqpError as error:
        parser.error(str(error))
    record("repeatability", result, arguments.quick, arguments.json)
    if not arguments.quick:
        plot_variation(result["rows"], TARGET_PERCENT, _PICTURE)
    if not arguments.json:
        print_table(result)


def measure(
    networks: Mapping[str, Member], platforms: Sequence[Platform], folder: Path, n_repeats: int, core: int | None, is_full: bool
) -> dict[str, Any]:
    """Take what passes are missing in ``folder`` and describe how all of them vary; see :func:`describe`."""
    load_before = os.getloadavg()[0]
    protocols = {SINGLE: PROTOCOL, **({FULL: TimingProtocol()} if is_full else {})}
    taken: dict[str, list[Pass]] = {}
    # A conversion of each view of each network: some gigabytes, instead of converting anew every round.
    with Artefacts(n_kept=2 * len(networks)) as artefacts:
        backends = [_backend(platform, core, artefacts) for platform in platforms]
        for name, protocol in protocols.items():
            journal = folder / f"{name.replace(' ', '_')}.jsonl"
            campaign = Campaign(list(networks.values()), backends, journal, protocol, n_rounds=n_repeats)
            campaign.run()
            taken[name] = campaign.journal.read()
    names = {member[2].key: name for name, member in networks.items()}
    result = describe(taken, names, list(map(str, platforms)))
    return {"n_repeats": n_repeats, "core": core, "host": backends[0].host, "load_average_before": load_before, **result}


def describe(taken: Mapping[str, Sequence[Pass]], names: Mapping[str, str], platforms: Sequence[str]) -> dict[str, Any]:
    """Return the coefficients of variation.

    Args:
        taken: Passes by the kind of measurement.
        names: Networks that count, by the key of their architecture.
        platforms: Platforms that count.

    Returns:
        ``rows``: of each platform and network ``latency_ms`` (median), ``n`` and ``cv_percent`` by kind, or the ``reason`` of a failure;
        ``platforms`` and ``median_cv_percent``: medians over rows, by platform and in all; ``holds`` by kind; ``disturbed_share``;
        ``seconds_per_pass``.
    """
    groups: dict[tuple[str, str], dict[str, list[Pass]]] = defaultdict(lambda: defaultdict(list))
    for kind, passes in taken.items():
        for one in passes:
            name = names.get(one.row.architecture.key)
            if name is not None and one.row.platform in platforms:
                groups[one.row.platform, name][kind].append(one)
    rows = [_row(platform, name, kinds) for (platform, name), kinds in sorted(groups.items())]
    medians = _medians(rows)
    facts = [json.loads(one.row.facts) for kinds in groups.values() for one in kinds[SINGLE] if one.row.latency_ms is not None]
    return {
        "rows": rows,
        "platforms": {platform: _medians([row for row in rows if row["platform"] == platform]) for platform in platforms},
        "median_cv_percent": medians,
        "target_percent": TARGET_PERCENT,
        "holds": {kind: median <= TARGET_PERCENT for kind, median in medians.items()},
        "disturbed_share": float(np.mean([bool(one.get("is_disturbed")) for one in facts])) if facts else None,
        "seconds_per_pass": float(np.mean([one["spent_s"] for one in facts if "spent_s" in one])) if facts else None,
    }


def _row(platform: str, name: str, kinds: Mapping[str, Sequence[Pass]]) -> dict[str, Any]:
    latencies = {kind: [one.row.latency_ms for one in passes if one.row.latency_ms is not None] for kind, passes in kinds.items()}
    row: dict[str, Any] = {"platform": platform, "network": name, "n": len(latencies[SINGLE])}
    reasons = [f"({one.row.stage}) {one.row.reason}" for passes in kinds.values() for one in passes if one.row.latency_ms is None]
    if reasons:
        row["reason"] = reasons[-1]
    if len(latencies[SINGLE]) < _FEWEST:
        return row
    half = len(latencies[SINGLE]) // 2
    latencies[PAIR] = [float(np.mean(pair)) for pair in zip(latencies[SINGLE][:half], latencies[SINGLE][half:], strict=False)]
    cv_percent = {kind: variation_percent(values) for kind, values in latencies.items() if len(values) >= _FEWEST}
    return {**row, "latency_ms": float(np.median(latencies[SINGLE])), "cv_percent": cv_percent}


def variation_percent(values: Sequence[float]) -> float:
    """Return the coefficient of variation of some latencies: sample standard deviation over mean, per cent."""
    return float(100 * np.std(values, ddof=1) / np.mean(values))


def _medians(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the median over networks and platforms of each kind that was measured."""
    return {
        kind: float(np.median([row["cv_percent"][kind] for row in rows if kind in row.get("cv_percent", {})]))
        for kind in (SINGLE, PAIR, FULL)
        if any(kind in row.get("cv_percent", {}) for row in rows)
    }


def _default_platforms(is_quick: bool) -> list[Platform]:
    return [resolve_platform("cpu-onnxruntime-fp32")] if is_quick else one_thread_platforms()


def _backend(platform: Platform, core: int | None, artefacts: Artefacts) -> MeasurementBackend:
    backend: Any = available_backend(platform)
    backend.artefacts = artefacts
    backend.cores = None if core is None else [core]
    return backend


def print_table(result: Mapping[str, Any]) -> None:
    """Print one line a network and platform, then the medians over them."""
    kinds = list(result["median_cv_percent"])
    print(f"{'ms':>9} {'n':>3} " + " ".join(f"{kind:>14}" for kind in kinds) + "   coefficient of variation, %")
    for row in result["rows"]:
        if "cv_percent" in row:
            cells = " ".join(f"{row['cv_percent'].get(kind, np.nan):14.2f}" for kind in kinds)
            print(f"{row['latency_ms']:9.3f} {row['n']:3d} {cells}   {row['network']} on {row['platform']}")
        else:
            print(f"{'-':>9} {row['n']:3d}   {row['network']} on {row['platform']}: {row.get('reason', 'measured once')}")
    for platform, medians in [*result["platforms"].items(), ("all platforms", result["median_cv_percent"])]:
        print(" " * 14 + " ".join(f"{medians.get(kind, np.nan):14.2f}" for kind in kinds) + f"   median over networks on {platform}")
    if result["seconds_per_pass"] is not None:
        shares = f"{result['seconds_per_pass']:.2f} s a pass, {result['disturbed_share']:.0%} of passes disturbed"
        verdicts = [f"{'holds' if holds else 'does not hold'} for {kind}" for kind, holds in result["holds"].items()]
        print(f"{shares}; median <= {result['target_percent']:g} %: {', '.join(verdicts)}", file=sys.stdout)


if __name__ == "__main__":
    main()
