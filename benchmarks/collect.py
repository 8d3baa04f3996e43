"""Measure members of search spaces on this machine's CPU: the measured part of the pretraining data.

    python -m benchmarks.collect --space nasbench201 --n 400 --platform cpu-onnxruntime-fp32

Rows go to a journal first (kill it and start it again: it goes on) and, at the end or with
``--export-only``, to parquet files under nnlqp_nas/datasets/rows, one a platform.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import numpy as np

from nnlqp_nas.core import GraphView, Platform
from nnlqp_nas.core.plugins import BACKENDS, SPACES, load_plugin
from nnlqp_nas.datasets.campaign import Campaign, Member
from nnlqp_nas.datasets.latency_row import read_rows, write_rows
from nnlqp_nas.datasets.measured import MEASURED

SETTINGS: dict[str, tuple[dict[str, float], ...]] = {"nasbench201": ({},), "mobilenetv3": ({"width": 1.0}, {"width": 1.2})}


def draw_members(space_name: str, n: int, seed: int) -> list[Member]:
    """Return n members with distinct optimised graphs, round robin over the space's settings."""
    members: list[Member] = []
    keys: set[str] = set()
    rng = np.random.default_rng(seed)
    spaces = [(load_plugin(SPACES, space_name)(**settings), dict(settings)) for settings in SETTINGS[space_name]]
    for space, settings in itertools.cycle(spaces):
        if len(members) == n:
            return members
        architecture = space.sample(rng)
        graph = space.graph(architecture, GraphView.OPTIMISED)
        if graph.key not in keys and len(graph) > 10:
            keys.add(graph.key)
            members.append((space, settings, architecture))
    return members


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", action="append", required=True, choices=sorted(SETTINGS))
    parser.add_argument("--n", type=int, default=400, help="members of each space")
    parser.add_argument("--platform", action="append", required=True)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--journal", type=Path, default=Path("runs/collect.jsonl"))
    parser.add_argument("--export-only", action="store_true", help="write the parquet files of what the journal holds")
    arguments = parser.parse_args()
    platforms = [Platform.parse(name) for name in arguments.platform]
    backends = [load_plugin(BACKENDS, platform.software)(platform) for platform in platforms]
    members = [member for name in arguments.space for member in draw_members(name, arguments.n, arguments.seed)]
    campaign = Campaign(members, backends, arguments.journal, seed=arguments.seed)
    rows = campaign.rows() if arguments.export_only else campaign.run()
    MEASURED.mkdir(exist_ok=True)
    for platform in platforms:
        path = MEASURED / f"{platform}.parquet"
        old = read_rows([path]) if path.exists() else []
        merged = {row.identity: row for row in [*old, *rows] if row.platform == str(platform)}
        write_rows(path, merged.values())
        print(f"{platform}: {len(merged)} rows in {path.name}")


if __name__ == "__main__":
    main()
