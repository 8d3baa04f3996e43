"""Latencies of the same networks on many devices, from published tables or from measured rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.source_tables import OperatorCounts, SourceTable
from nnlqp_nas import load_space
from nnlqp_nas.core import Architecture, GraphView, InvalidSettingError, Platform, SearchSpace
from nnlqp_nas.datasets.latency_row import read_rows
from nnlqp_nas.datasets.published import PublishedTable, platform_of_column
from nnlqp_nas.transfer import VARIANTS, Features, GraphWork, TypicalTimes, VariantSpread, source_features

Times = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class DeviceTable:
    """What n networks of one space take on each device.

    Attributes:
        space: Their search space.
        architectures: The n networks.
        latency_ms: float64, shape (n,), by device; NaN where there is no valid value.
        views: Which graph each device executes.
    """

    space: SearchSpace
    architectures: Sequence[Architecture]
    latency_ms: dict[str, Times]
    views: dict[str, GraphView]

    @classmethod
    def published(cls, space: str, folder: Path) -> DeviceTable:
        """Read a published table; see :class:`PublishedTable`."""
        table = PublishedTable(folder, load_space(space))
        views = {column: platform_of_column(column)[0].view for column in table.columns}
        return cls(table.space, table.architectures, {column: table.latency_ms(column) for column in table.columns}, views)

    @classmethod
    def measured(cls, space: str, paths: Sequence[Path]) -> DeviceTable:
        """Read rows of ``nnlqp-nas campaign`` at batch size 1; a device is a platform's name.

        Raises:
            InvalidSettingError: If there are none of this space.
        """
        rows = [row for row in read_rows(paths) if row.space == space and row.batch_size == 1 and row.latency_ms is not None]
        if not rows:
            raise InvalidSettingError(f"expected measured rows of space {space}, got none in {', '.join(map(str, paths))}")
        codes = sorted({row.code for row in rows})
        place = {code: i for i, code in enumerate(codes)}
        devices = sorted({row.platform for row in rows})
        latency_ms = {device: np.full(len(codes), np.nan) for device in devices}
        for row in rows:
            latency_ms[row.platform][place[row.code]] = row.latency_ms
        architectures = [Architecture.from_key(f"{space}:{code}") for code in codes]
        return cls(load_space(space), architectures, latency_ms, {device: Platform.parse(device).view for device in devices})

    def __len__(self) -> int:
        return len(self.architectures)

    @cached_property
    def operation_counts(self) -> Times:
        """How often each network makes each choice, float64, shape (n, choices)."""
        choices = [parameter.choices for parameter in self.space.parameters]
        columns = {choice: at for at, choice in enumerate(dict.fromkeys(choice for offered in choices for choice in offered))}
        counts = np.zeros((len(self), len(columns)))
        for row, architecture in zip(counts, self.architectures, strict=True):
            for offered, digit in zip(choices, architecture.code, strict=True):
                row[columns[offered[digit]]] += 1.0
        return counts

    @cached_property
    def _described(self) -> dict[GraphView, tuple[OperatorCounts, GraphWork, Features]]:
        return {}

    def described(self, view: GraphView) -> tuple[OperatorCounts, GraphWork, Features]:
        """Return counts of operators, work and features of the graphs, of all networks in one view."""
        if view not in self._described:
            graphs = [self.space.graph(architecture, view) for architecture in self.architectures]
            work = GraphWork.of(graphs)
            self._described[view] = OperatorCounts.of(graphs), work, work.features()
        return self._described[view]

    def features(self, target: str, sources: Sequence[str], rows: Rows) -> Features:
        """Return what is known of all networks before ``target`` is measured.

        Args:
            target: The device to learn; only its view is used.
            sources: Known devices.
            rows: Networks whose latencies on the sources are known.
        """
        counts, work, features = self.described(self.views[target])
        known = [SourceTable.fit(self.described(self.views[name])[0], self.latency_ms[name], rows) for name in sources]
        log_ms = np.stack([table.log_latency(counts) for table in known], axis=1)
        spread = VariantSpread.learn(features[VARIANTS].take(rows), log_ms[rows])
        times = TypicalTimes.learn(work.take(rows), log_ms[rows])
        return {**spread.weigh(features), **times.features(work), **source_features(log_ms, sources)}
