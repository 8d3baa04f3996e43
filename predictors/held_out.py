"""Networks kept from training, and the intervals that they give."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nnlqp_nas.core import LatencyPredictor, LatencyTable, Platform

from .conformal import conformal_quantile

FAR_MARGIN = 0.5
"""How far an interval reaches to each side where nothing tells how wrong the prediction is, log milliseconds."""


def margins(predictor: LatencyPredictor, tables: Sequence[LatencyTable]) -> Mapping[Platform, float]:
    """Return, for each platform of ``tables`` that ``predictor`` knows, how far its intervals must reach, log milliseconds."""
    errors: dict[Platform, list[NDArray[np.float64]]] = {}
    for table in tables:
        if len(table) and table.platform in predictor.platforms:
            predicted_ms = predictor.predict(table.graphs, table.platform, table.batch_size).latency_ms
            errors.setdefault(table.platform, []).append(np.log(predicted_ms / table.latency_ms))
    return {platform: conformal_quantile(np.abs(np.concatenate(parts)), FAR_MARGIN) for platform, parts in errors.items()}


def hold_out(tables: Sequence[LatencyTable], share: float, seed: int) -> tuple[list[LatencyTable], list[LatencyTable]]:
    """Return the tables without, and of, a share of the networks of every domain; of each at least one network stays.

    A network that stands in several tables is on one side in all of them.
    """
    domain_of = {graph.key: table.domain for table in tables for graph in table.graphs}
    keys: dict[str, list[str]] = defaultdict(list)
    for key, domain in sorted(domain_of.items()):
        keys[domain].append(key)
    rng, drawn = np.random.default_rng(seed), set()
    for _, of_domain in sorted(keys.items()):
        n_held_out = min(round(share * len(of_domain)), len(of_domain) - 1)
        drawn |= {of_domain[i] for i in rng.permutation(len(of_domain))[:n_held_out]}
    sides: tuple[list[LatencyTable], list[LatencyTable]] = ([], [])
    for table in tables:
        is_held_out = np.array([graph.key in drawn for graph in table.graphs], dtype=bool)
        for side, rows in zip(sides, (np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)), strict=True):
            if len(rows):
                side.append(replace(table, graphs=[table.graphs[int(i)] for i in rows], latency_ms=table.latency_ms[rows]))
    return sides
