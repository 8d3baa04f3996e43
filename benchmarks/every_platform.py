"""The eleven default networks on every platform that this machine can measure.

    python -m benchmarks.every_platform [--quick] [--json] [--platform P]...

One pass each, as a campaign takes it. Printed is the latency in milliseconds, with a ``*`` where a part of the network ran on ONNX
Runtime beside the engine, or the stage and the reason why there is none. Passes are journaled under runs/every_platform: kill
it at any time, the same command goes on.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.default_networks import default_networks
from benchmarks.record import record
from nnlqp_nas.backends.artefacts import Artefacts
from nnlqp_nas.core import NnlqpError, Platform
from nnlqp_nas.datasets.campaign import Campaign
from nnlqp_nas.datasets.journal import Pass
from nnlqp_nas.datasets.members import Member
from nnlqp_nas.measurable import available_backend, measurable_platforms
from nnlqp_nas.platform_status import resolve_platform

_RUNS = Path("runs/every_platform")
_QUICK = ("squeezenet", "nasbench201")
_QUICK_PLATFORM = "cpu-onnxruntime-fp32"


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2 networks, 1 platform unless named; figures are not kept")
    parser.add_argument("--json", action="store_true", help="print the document that is kept")
    parser.add_argument("--platform", action="append", help="platform, may be given again (default: all that can be measured)")
    arguments = parser.parse_args()
    networks = default_networks()
    if arguments.quick:
        networks = {name: networks[name] for name in _QUICK}
    names = arguments.platform or ([_QUICK_PLATFORM] if arguments.quick else [])
    try:
        platforms = [resolve_platform(name) for name in names] or list(measurable_platforms())
        with tempfile.TemporaryDirectory() as scratch:
            passes = measure(networks, platforms, Path(scratch) if arguments.quick else _RUNS)
    except NnlqpError as error:
        parser.error(str(error))
    result = describe(passes, networks, platforms)
    record("every_platform", result, arguments.quick, arguments.json)
    if not arguments.json:
        print_table(result)


def measure(networks: Mapping[str, Member], platforms: Sequence[Platform], folder: Path) -> list[Pass]:
    """Take what passes are missing in ``folder``, and return all."""
    with Artefacts(n_kept=2 * len(networks)) as artefacts:
        backends: list[Any] = [available_backend(platform) for platform in platforms]
        for backend in backends:
            backend.artefacts = artefacts
        campaign = Campaign(list(networks.values()), backends, folder / "passes.jsonl")
        campaign.run()
        return campaign.journal.read()


def describe(passes: Sequence[Pass], networks: Mapping[str, Member], platforms: Sequence[Platform]) -> dict[str, Any]:
    """Return what came of each network on each platform.

    Returns:
        ``platforms``: by platform and network ``latency_ms`` and ``fallback`` (operators that ran beside the engine), or ``stage`` and
        ``reason``; ``n_platforms``, ``n_asked`` and ``n_measured``.
    """
    names = {member[2].key: name for name, member in networks.items()}
    found: dict[str, dict[str, Any]] = {str(platform): {} for platform in platforms}
    for one in passes:
        row, name = one.row, names.get(one.row.architecture.key)
        if row.platform not in found or name is None:
            continue
        if row.latency_ms is None:
            found[row.platform][name] = {"stage": row.stage, "reason": row.reason}
        else:
            found[row.platform][name] = {"latency_ms": row.latency_ms, "fallback": json.loads(row.facts).get("fallback", [])}
    answers = [answer for of_platform in found.values() for answer in of_platform.values()]
    n_measured = sum("latency_ms" in answer for answer in answers)
    return {"platforms": found, "n_platforms": len(found), "n_asked": len(found) * len(networks), "n_measured": n_measured}


def print_table(result: Mapping[str, Any]) -> None:
    """Print a line a platform, then every failure and what was beside the engine, in words."""
    networks = list(dict.fromkeys(name for answers in result["platforms"].values() for name in answers))
    print(f"{'latency, ms':30s}" + "".join(f"{name[:11]:>12s}" for name in networks))
    notes = []
    for platform, answers in result["platforms"].items():
        print(f"{platform:30s}" + "".join(f"{_cell(answers.get(name, {})):>12s}" for name in networks))
        for name, answer in answers.items():
            if "reason" in answer:
                notes.append(f"{name} on {platform}: ({answer['stage']}) {answer['reason']}")
            elif answer["fallback"]:
                notes.append(f"* {name} on {platform}: {', '.join(answer['fallback'])} ran on ONNX Runtime")
    print("\n".join(notes))
    print(f"{result['n_measured']} of {result['n_asked']} measured on {result['n_platforms']} platforms")


def _cell(answer: Mapping[str, Any]) -> str:
    if "latency_ms" not in answer:
        return "-"
    return f"{answer['latency_ms']:.3f}{'*' if answer['fallback'] else ''}"


if __name__ == "__main__":
    main()
