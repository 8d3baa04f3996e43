"""Measured networks to train a predictor on, from wherever they came."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ..core import GraphView, InvalidSettingError, LatencyTable, ModelGraph, Platform
from ..graphs import viewed


@dataclass(frozen=True, slots=True)
class MeasuredNetwork:
    """One latency of one network.

    Attributes:
        graph: The network, in the view that ``platform`` executes.
        platform: Where.
        batch_size: Inputs per run.
        latency_ms: Milliseconds for the whole batch.
        domain: Search space or family.
    """

    graph: ModelGraph
    platform: Platform
    batch_size: int
    latency_ms: float
    domain: str


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Latency tables, and which of their networks are for testing alone.

    A network has one key a view; ``identity`` tells which keys are the same network, so that no split
    can part what one platform runs as written from what another runs optimised.

    Attributes:
        source: Where it comes from, as a card says it.
        tables: One a platform, batch size and domain.
        identity: For each graph key in the tables, the key of the network that engines run.
        test: Identities that the data itself keeps for testing; empty where it does not say.
        n_left_out: Rows that could not be used.
    """

    source: str
    tables: Sequence[LatencyTable]
    identity: Mapping[str, str]
    test: frozenset[str] = frozenset()
    n_left_out: int = field(default=0)

    @classmethod
    def of(cls, source: str, networks: Iterable[MeasuredNetwork], test_keys: Iterable[str] = (), n_left_out: int = 0) -> TrainingData:
        """Return the tables of measured networks; one measured several times at the same place counts with its median.

        Args:
            source: Where they come from.
            networks: The measured networks.
            test_keys: Graph keys of those that are for testing alone.
            n_left_out: Rows that are not among ``networks``.

        Raises:
            InvalidSettingError: If there are none.
        """
        groups: dict[tuple[Platform, int, str], dict[str, list[MeasuredNetwork]]] = defaultdict(lambda: defaultdict(list))
        for one in networks:
            groups[one.platform, one.batch_size, one.domain][one.graph.key].append(one)
        if not groups:
            raise InvalidSettingError(f"expected measured networks in {source}, got none; {n_left_out} rows were left out")
        identity: dict[str, str] = {}
        tables = []
        for (platform, batch_size, domain), by_key in sorted(groups.items()):
            graphs = [group[0].graph for group in by_key.values()]
            latency_ms = np.array([np.median([one.latency_ms for one in group]) for group in by_key.values()])
            tables.append(LatencyTable(platform, batch_size, graphs, latency_ms, domain))
            for graph in graphs:
                if graph.key not in identity:
                    identity[graph.key] = viewed(graph, GraphView.OPTIMISED).key
        test = frozenset(identity[key] for key in test_keys if key in identity)
        return cls(source, tables, identity, test, n_left_out)

    @property
    def platforms(self) -> tuple[Platform, ...]:
        """Where there are latencies, sorted."""
        return tuple(sorted({table.platform for table in self.tables}))

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits of networks and latencies: what was learned from other data is another result."""
        lines = (
            f"{table.platform} {table.batch_size} {table.domain} {graph.key} {float(latency_ms)!r}\n"
            for table in self.tables
            for graph, latency_ms in zip(table.graphs, table.latency_ms, strict=True)
        )
        return hashlib.blake2b("".join(sorted(lines)).encode(), digest_size=8).hexdigest()
