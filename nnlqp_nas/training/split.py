"""Which networks train, choose the stop, calibrate the intervals, and test."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ..core import InvalidSettingError, LatencyTable
from .training_data import TrainingData

PARTS = ("train", "validation", "calibration", "test")
_GOLDEN_RATIO = 0.6180339887498949


@dataclass(frozen=True, eq=False)
class Split:
    """Latency tables in four parts.

    Guarantees: no network is in two of them, whichever platforms and views it was measured in.

    Attributes:
        train: To learn from.
        validation: To choose the epoch whose weights are kept, and nothing else.
        calibration: To make the intervals, and nothing else.
        test: To judge the result, and nothing else.
    """

    train: Sequence[LatencyTable]
    validation: Sequence[LatencyTable]
    calibration: Sequence[LatencyTable]
    test: Sequence[LatencyTable]

    @property
    def n_networks(self) -> dict[str, int]:
        """How many graphs, by key, each part has."""
        return {part: len({graph.key for table in getattr(self, part) for graph in table.graphs}) for part in PARTS}


@dataclass(frozen=True, slots=True)
class SplitRule:
    """How to split: by network, evenly over the domains, in an order drawn from ``seed``.

    What the data itself keeps for testing is the test part, whole; then ``test_share`` and folds have no say.

    Attributes:
        test_share: Share of the networks for testing; with several folds each has an equal share.
        validation_share: Share of the other networks for validation; 0 keeps the last epoch.
        calibration_share: Share of the other networks for calibration; 0 leaves intervals as training makes them.
        seed: Of the drawing.
        n_folds: Test parts that together are all networks.
    """

    test_share: float = 0.1
    validation_share: float = 0.1
    calibration_share: float = 0.1
    seed: int = 0
    n_folds: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.test_share < 1 or self.n_folds < 1:
            raise InvalidSettingError(
                f"expected a test share between 0 and 1 and at least 1 fold, got {self.test_share} and {self.n_folds}"
            )
        if min(self.validation_share, self.calibration_share) < 0 or self.validation_share + self.calibration_share >= 1:
            raise InvalidSettingError(
                f"expected shares for validation and calibration that leave something to train on, got {self.validation_share} "
                f"and {self.calibration_share}"
            )

    def split(self, data: TrainingData, fold: int = 0) -> Split:
        """Return the parts of a fold.

        Raises:
            InvalidSettingError: If a part that is asked for would be empty.
        """
        ordered = _ordered(data, self.seed)
        test = data.test or self._drawn_test(ordered, fold)
        rest = [network for network in ordered if network not in test]
        place = dict(zip(rest, _spread(len(rest)), strict=True))
        both = self.validation_share + self.calibration_share
        split = Split(
            train=_part(data, lambda network: network not in test and place[network] >= both),
            validation=_part(data, lambda network: network not in test and place[network] < self.validation_share),
            calibration=_part(data, lambda network: network not in test and self.validation_share <= place[network] < both),
            test=_part(data, test.__contains__),
        )
        self._check(split, len(ordered))
        return split

    def _drawn_test(self, ordered: Sequence[str], fold: int) -> frozenset[str]:
        share = self.test_share if self.n_folds == 1 else 1 / self.n_folds
        inside = [fold * share <= place < (fold + 1) * share for place in _spread(len(ordered))]
        return frozenset(network for network, is_test in zip(ordered, inside, strict=True) if is_test)

    def _check(self, split: Split, n_networks: int) -> None:
        wanted = {"train": 1, "test": 1, "validation": self.validation_share, "calibration": self.calibration_share}
        empty = [part for part in PARTS if wanted[part] and not getattr(split, part)]
        if empty:
            raise InvalidSettingError(
                f"expected networks enough for {' and '.join(empty)}, got {n_networks} in all; measure more, or change the shares"
            )


def _ordered(data: TrainingData, seed: int) -> list[str]:
    """Return the identities domain by domain, each domain shuffled in an order that more data does not change."""
    domain: dict[str, str] = {}
    for table in data.tables:
        for graph in table.graphs:
            domain.setdefault(data.identity[graph.key], table.domain)
    return sorted(domain, key=lambda network: (domain[network], hashlib.blake2b(f"{seed}:{network}".encode(), digest_size=8).digest()))


def _spread(n: int) -> list[float]:
    """Return n numbers in [0, 1) of which every run of neighbours is spread evenly: every domain gives its share to every part."""
    return [(i + 0.5) * _GOLDEN_RATIO % 1.0 for i in range(n)]


def _part(data: TrainingData, holds: Callable[[str], bool]) -> list[LatencyTable]:
    tables = []
    for table in data.tables:
        rows = [i for i, graph in enumerate(table.graphs) if holds(data.identity[graph.key])]
        if rows:
            tables.append(replace(table, graphs=[table.graphs[i] for i in rows], latency_ms=table.latency_ms[rows]))
    return tables
