"""Networks that were measured on all of several platforms."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from benchmarks.evaluation import digest_of
from nnlqp_nas.core import InvalidSettingError, LatencyTable, ModelGraph, Platform
from nnlqp_nas.datasets.latency_row import LatencyRow

Times = NDArray[np.float64]
Rows = NDArray[np.int64]

PROBES = "operator_probes"
LEAST = 30


def only_repeated(rows: Sequence[LatencyRow]) -> list[LatencyRow]:
    """Keep means of two passes and more, where a platform has some; rows whose passes did not agree are left out by ``tables_of``."""
    is_mean = [len(json.loads(row.facts).get("pass_medians_ms", ())) > 1 for row in rows]
    repeated = {row.platform for row, of_several in zip(rows, is_mean, strict=True) if of_several}
    return [row for row, of_several in zip(rows, is_mean, strict=True) if of_several or row.platform not in repeated]


@dataclass(frozen=True, eq=False)
class MeasuredNetworks:
    """n networks of several families, batch size 1, and what each of them takes on every platform.

    Attributes:
        graphs: The n networks.
        families: Of each, shape (n,).
        latency_ms: float64, shape (n,), by platform.
    """

    graphs: Sequence[ModelGraph]
    families: NDArray[np.str_]
    latency_ms: Mapping[Platform, Times]

    @classmethod
    def of(cls, tables: Sequence[LatencyTable], has_probes: bool) -> MeasuredNetworks:
        """Keep what every platform has measured.

        Args:
            tables: Of several platforms and families.
            has_probes: Whether operator probes, which belong to no family of networks, count.

        Raises:
            InvalidSettingError: If fewer than two platforms have so many networks in common that something can be learned.
        """
        known: dict[Platform, dict[str, float]] = {}
        graphs: dict[str, tuple[ModelGraph, str]] = {}
        for table in tables:
            if table.batch_size == 1 and (has_probes or table.domain != PROBES):
                of_platform = known.setdefault(table.platform, {})
                for graph, latency_ms in zip(table.graphs, table.latency_ms, strict=True):
                    graphs.setdefault(graph.key, (graph, table.domain))
                    of_platform[graph.key] = float(latency_ms)
        common = [key for key in graphs if all(key in of_platform for of_platform in known.values())]
        if len(known) < 2 or len(common) < LEAST:
            raise InvalidSettingError(
                f"expected at least 2 platforms with {LEAST} networks in common, got {len(known)} with {len(common)}; give other --rows"
            )
        latency_ms = {platform: np.array([known[platform][key] for key in common]) for platform in sorted(known)}
        return cls([graphs[key][0] for key in common], np.array([graphs[key][1] for key in common]), latency_ms)

    def __len__(self) -> int:
        return len(self.graphs)

    @property
    def platforms(self) -> tuple[Platform, ...]:
        return tuple(self.latency_ms)

    @cached_property
    def digest(self) -> str:
        """A short digest of networks and latencies."""
        return digest_of([self.table(platform, np.arange(len(self))) for platform in self.platforms])

    def log_ms(self, platforms: Sequence[Platform]) -> Times:
        """Return the logarithm of milliseconds, float64, shape (n, platforms)."""
        return np.log(np.stack([self.latency_ms[platform] for platform in platforms], axis=1))

    def table(self, platform: Platform, rows: Rows) -> LatencyTable:
        """Return some networks on one platform."""
        return LatencyTable(platform, 1, [self.graphs[i] for i in rows], self.latency_ms[platform][rows])
