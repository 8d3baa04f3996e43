"""Campaigns: measuring many networks on many platforms, in random order, resumable."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ..core import Architecture, MeasurementBackend, SearchSpace, TimingProtocol
from .latency_row import LatencyRow

Member = tuple[SearchSpace, dict[str, Any], Architecture]


class Campaign:
    """Networks to measure on platforms, with a journal of what has been measured.

    The journal has one JSON line a result, on disk before the next measurement starts: a
    campaign that was killed goes on where it stopped and loses at most the running item. The order is
    random, so that a slow drift of the machine is not mistaken for a difference of networks or platforms.

    Args:
        members: Networks: space, the arguments it was made with, architecture.
        backends: One a platform.
        journal: File of JSON lines; is created, or continued.
        protocol: How to time.
        batch_size: Inputs per run.
        seed: Seed of the order.
    """

    def __init__(
        self,
        members: Sequence[Member],
        backends: Sequence[MeasurementBackend],
        journal: Path,
        protocol: TimingProtocol | None = None,
        batch_size: int = 1,
        seed: int = 0,
    ) -> None:
        self.members = members
        self.backends = backends
        self.journal = journal
        self.protocol = protocol
        self.batch_size = batch_size
        self.seed = seed

    def rows(self) -> list[LatencyRow]:
        """Return what has been measured so far; a line that a kill cut off is left out."""
        if not self.journal.exists():
            return []
        lines = self.journal.read_text(encoding="utf-8").split("\n")
        return [LatencyRow.from_json(line) for line in lines[:-1] if line]

    def run(self) -> list[LatencyRow]:
        """Measure what is missing and return all rows."""
        self._drop_cut_line()
        done = {row.identity for row in self.rows()}
        items = [(member, backend) for member in self.members for backend in self.backends]
        order = np.random.default_rng(self.seed).permutation(len(items))
        self.journal.parent.mkdir(parents=True, exist_ok=True)
        with self.journal.open("a", encoding="utf-8") as file:
            for i in tqdm(order, desc="campaign", file=sys.stderr, disable=None):
                member, backend = items[i]
                row = self._measure(member, backend, done)
                if row is not None:
                    file.write(row.to_json() + "\n")
                    file.flush()
                    os.fsync(file.fileno())
        return self.rows()

    def _measure(self, member: Member, backend: MeasurementBackend, done: set[tuple[str, str, str, str, int]]) -> LatencyRow | None:
        space, settings, architecture = member
        empty = LatencyRow.of(architecture, settings, _nothing(backend, self.batch_size))
        if empty.identity in done:
            return None
        graph = space.graph(architecture, backend.platform.view)
        return LatencyRow.of(architecture, settings, backend.measure([graph], self.protocol, self.batch_size)[0])

    def _drop_cut_line(self) -> None:
        if self.journal.exists():
            content = self.journal.read_bytes()
            whole = content[: content.rfind(b"\n") + 1]
            if whole != content:
                self.journal.write_bytes(whole)


def _nothing(backend: MeasurementBackend, batch_size: int) -> Any:
    from ..core import MeasurementFailure

    return MeasurementFailure(graph_key="", platform=backend.platform, batch_size=batch_size, stage="none", reason="not measured yet")
