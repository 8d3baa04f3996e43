"""Campaigns: measuring many networks on many platforms, in random order, resumable."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ..core import InvalidSettingError, MeasurementBackend, MeasurementFailure, TimingProtocol
from .averaging import average_passes
from .journal import Journal, Pass
from .latency_row import LatencyRow
from .members import Member

PROTOCOL = TimingProtocol(warmup_s=0.1, min_runs=5, min_time_s=0.25, max_time_s=2.0, n_retries=1, n_passes=1, max_passes=1)
"""One short pass; a campaign takes its passes in rounds, far apart in time."""


class Campaign:
    """Networks to measure on platforms, round by round, with a journal of what has been measured.

    A round measures every network once on every platform, in random order, so that a slow drift
    of the machine is not mistaken for a difference of networks or platforms. Further rounds measure all
    again: passes spaced in time average out what drifts. A few reference networks are measured at intervals all
    along; from them the drift is estimated. Every pass is in the journal before the next one starts: a
    campaign that was killed goes on where it stopped and loses at most the running item.

    Args:
        members: Networks: space, the arguments it was made with, architecture.
        backends: One a platform. A network goes through all of them in turn, so that backends which share
            conversions convert it once.
        journal: File of JSON lines; is created, or continued.
        protocol: How to time one pass.
        batch_size: Inputs per run.
        seed: Seed of the order.
        n_rounds: Passes of each network.
        references: Members that tell the machine's drift.
        reference_every_s: Time between two turns of them, seconds.
    """

    def __init__(
        self,
        members: Sequence[Member],
        backends: Sequence[MeasurementBackend],
        journal: Path,
        protocol: TimingProtocol = PROTOCOL,
        batch_size: int = 1,
        seed: int = 0,
        n_rounds: int = 1,
        references: Sequence[Member] = (),
        reference_every_s: float = 600.0,
    ) -> None:
        self.members = members
        self.backends = backends
        self.journal = Journal(journal)
        self.protocol = protocol
        self.batch_size = batch_size
        self.seed = seed
        self.n_rounds = n_rounds
        self.references = references
        self.reference_every_s = reference_every_s
        self._done: set[tuple[Any, ...]] = set()
        self._n_turns, self._next_turn_s = 0, 0.0

    def rows(self) -> list[LatencyRow]:
        """Return what has been measured so far, a row for each network and platform; see :func:`average_passes`."""
        return average_passes(self.journal.read())

    def run(self) -> list[LatencyRow]:
        """Measure what is missing and return all rows.

        Raises:
            InvalidSettingError: If the journal holds rows that another machine measured on one of the platforms.
        """
        self.journal.mend()
        passes = self.journal.read()
        self._check_host(passes)
        self._done = {one.identity for one in passes}
        n_done = len(self._done)
        self._n_turns = 1 + max((one.number for one in passes if one.is_reference), default=-1)
        total = self.n_rounds * len(self.members) * len(self.backends)
        with tqdm(total=total, desc="campaign", file=sys.stderr, dynamic_ncols=True) as bar:
            for number in range(self.n_rounds):
                self._run_round(number, bar)
            if len(self._done) > n_done:
                self._refer()
        return self.rows()

    def _run_round(self, number: int, bar: Any) -> None:
        rng = np.random.default_rng((self.seed, number))
        for place in rng.permutation(len(self.members)):
            for at in rng.permutation(len(self.backends)):
                member, backend = self.members[place], self.backends[at]
                if self._identity(member, backend, number) not in self._done:
                    if time.monotonic() >= self._next_turn_s:
                        self._refer()
                    self._measure(member, backend, number)
                bar.update()

    def _refer(self) -> None:
        """Take a turn of the reference set."""
        for member in self.references:
            for backend in self.backends:
                self._measure(member, backend, self._n_turns, is_reference=True)
        self._n_turns += 1
        self._next_turn_s = time.monotonic() + self.reference_every_s

    def _measure(self, member: Member, backend: MeasurementBackend, number: int, is_reference: bool = False) -> None:
        space, settings, architecture = member
        graph = space.graph(architecture, backend.platform.view)
        result = backend.measure([graph], self.protocol, self.batch_size)[0]
        one = Pass(LatencyRow.of(architecture, settings, result), number, is_reference)
        self.journal.append(one)
        self._done.add(one.identity)

    def _identity(self, member: Member, backend: MeasurementBackend, number: int) -> tuple[Any, ...]:
        """Return the identity that a pass of a round will have."""
        _, settings, architecture = member
        empty = MeasurementFailure(
            graph_key="", platform=backend.platform, batch_size=self.batch_size, stage="none", reason="not measured yet"
        )
        return Pass(LatencyRow.of(architecture, settings, empty), number).identity

    def _check_host(self, passes: Sequence[Pass]) -> None:
        hosts = {str(backend.platform): backend.host for backend in self.backends}
        for one in passes:
            here = hosts.get(one.row.platform, one.row.host)
            if one.row.host and one.row.host != here:
                raise InvalidSettingError(
                    f"expected all rows of {one.row.platform} from one machine, got {one.row.host} in {self.journal.path} and this one, "
                    f"{here}; begin another journal"
                )
