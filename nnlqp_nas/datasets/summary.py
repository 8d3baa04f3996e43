"""What a latency data set holds, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core import Measurement, MeasurementFailure
from .latency_row import read_rows
from .nnlqp_folder import NnlqpFolder
from .reading import FAMILY

UNSTATED = "unstated"
"""The family of measurements that do not tell theirs."""


@dataclass(slots=True)
class DatasetSummary:
    """Counts of a latency data set.

    Attributes:
        platforms: Measured rows by platform.
        families: Measured rows by family or search space.
        n_failures: Rows that say why there is no latency; they count nowhere else.
    """

    platforms: Counter[str] = field(default_factory=Counter)
    families: Counter[str] = field(default_factory=Counter)
    n_failures: int = 0

    @property
    def n_rows(self) -> int:
        """Number of measured rows."""
        return self.platforms.total()

    def count(self, platform: str, family: str) -> None:
        """Count a measured row."""
        self.platforms[platform] += 1
        self.families[family] += 1

    def count_table(self, table: Path) -> None:
        """Count the rows of one of our parquet files.

        Raises:
            InvalidSettingError: If it is no latency data set.
        """
        for row in read_rows([table]):
            if row.latency_ms is None:
                self.n_failures += 1
            else:
                self.count(row.platform, row.space)

    def count_list(self, folder: NnlqpFolder) -> None:
        """Count the well-formed lines of NNLQP's list; the networks are not opened.

        Raises:
            InvalidSettingError: If the list cannot be read.
        """
        for _, line in folder.lines():
            self.count(str(folder.platform(line.platform_id) or f"number {line.platform_id}"), line.model_type)

    def count_results(self, results: Iterable[Measurement | MeasurementFailure]) -> None:
        """Count what a database holds."""
        for result in results:
            if isinstance(result, MeasurementFailure):
                self.n_failures += 1
            else:
                self.count(str(result.platform), str(result.facts.get(FAMILY, UNSTATED)))

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary of JSON types, as the command line prints it."""
        return {
            "rows": self.n_rows,
            "platforms": dict(sorted(self.platforms.items())),
            "families": dict(sorted(self.families.items())),
            "failures": self.n_failures,
        }
