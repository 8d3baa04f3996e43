"""The project's own measurements, as tables that predictors learn from."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np

from ..core import InvalidSettingError, LatencyTable, ModelGraph, Platform, SearchSpace
from ..core.plugins import SPACES, load_plugin
from .latency_row import LatencyRow

MEASURED = Path(__file__).parent / "rows"


def tables_of(rows: Iterable[LatencyRow]) -> list[LatencyTable]:
    """Return one table a platform, batch size and space; failures, and rows whose passes did not agree, are left out.

    Raises:
        InvalidSettingError: If a network made again from its code has another key than the row says.
    """
    groups: dict[tuple[str, int, str], list[LatencyRow]] = defaultdict(list)
    for row in rows:
        if row.latency_ms is not None and json.loads(row.facts).get("is_repeatable", True):
            groups[row.platform, row.batch_size, row.space].append(row)
    tables = []
    for (name, batch_size, domain), group in sorted(groups.items()):
        platform = Platform.parse(name)
        graphs = [_graph_of(row, platform) for row in group]
        tables.append(LatencyTable(platform, batch_size, graphs, np.array([row.latency_ms for row in group], dtype=np.float64), domain))
    return tables


@cache
def space_of(name: str, settings: str) -> SearchSpace:
    """Return the space of rows, made with the arguments that they state as JSON.

    Raises:
        UnknownNameError: If nobody registered ``name``.
        InvalidSettingError: If it does not take these arguments.
    """
    make = load_plugin(SPACES, name)
    try:
        space: SearchSpace = make(**json.loads(settings))
    except (TypeError, ValueError) as error:
        raise InvalidSettingError(f"expected arguments of space {name} as JSON, got {settings!r}: {error}") from error
    return space


def check_key(row: LatencyRow, key: str) -> None:
    """Accept the key of a network that was made again from its code.

    Raises:
        InvalidSettingError: If the row says another one.
    """
    if key != row.graph_key:
        raise InvalidSettingError(f"expected key {row.graph_key} of {row.space}:{row.code}, got {key}; the space has changed since")


def _graph_of(row: LatencyRow, platform: Platform) -> ModelGraph:
    graph = space_of(row.space, row.settings).graph(row.architecture, platform.view)
    check_key(row, graph.key)
    return graph
