"""The project's own measurements, as tables that predictors learn from."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..core import InvalidSettingError, LatencyTable, ModelGraph, Platform, SearchSpace
from ..core.plugins import SPACES, load_plugin
from .latency_row import LatencyRow

MEASURED = Path(__file__).parent / "rows"


def tables_of(rows: Iterable[LatencyRow]) -> list[LatencyTable]:
    """Return one table a platform, batch size and space; failures are left out.

    Raises:
        InvalidSettingError: If a network made again from its code has another key than the row says.
    """
    groups: dict[tuple[str, int, str], list[LatencyRow]] = defaultdict(list)
    for row in rows:
        if row.latency_ms is not None:
            groups[row.platform, row.batch_size, row.space].append(row)
    spaces: dict[tuple[str, str], SearchSpace] = {}
    tables = []
    for (name, batch_size, domain), group in sorted(groups.items()):
        platform = Platform.parse(name)
        graphs = [_graph_of(row, platform, spaces) for row in group]
        tables.append(LatencyTable(platform, batch_size, graphs, np.array([row.latency_ms for row in group], dtype=np.float64), domain))
    return tables


def _graph_of(row: LatencyRow, platform: Platform, spaces: dict[tuple[str, str], SearchSpace]) -> ModelGraph:
    at = row.space, row.settings
    if at not in spaces:
        spaces[at] = load_plugin(SPACES, row.space)(**json.loads(row.settings))
    graph = spaces[at].graph(row.architecture, platform.view)
    if graph.key != row.graph_key:
        raise InvalidSettingError(f"expected key {row.graph_key} of {row.space}:{row.code}, got {graph.key}; the space has changed since")
    return graph
