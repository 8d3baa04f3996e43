"""Networks kept from training, and the intervals that they give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nnlqp_nas.core import LatencyPredictor, LatencyTable, Platform

COVERAGE = 0.9
FAR_MARGIN = 0.5
"""How far an interval reaches to each side where nothing tells how wrong the prediction is, log milliseconds."""


def conformal_margin(log_errors: NDArray[np.float64], otherwise: float = FAR_MARGIN) -> float:
    """Return the split-conformal 0.9 quantile of |log error| (Lei et al., JASA 2018, section 2.2).

    Args:
        log_errors: float64, shape (n,), of networks that nothing was learned from.
        otherwise: Stands for it where fewer than 9 networks cannot tell it.
    """
    rank = int(np.ceil((len(log_errors) + 1) * COVERAGE))
    return float(np.sort(np.abs(log_errors))[rank - 1]) if rank <= len(log_errors) else otherwise


def margins(predictor: LatencyPredictor, tables: Sequence[LatencyTable]) -> Mapping[Platform, float]:
    """Return, for each platform of ``tables`` that ``predictor`` knows, how far its intervals must reach, log milliseconds."""
    errors: dict[Platform, list[NDArray[np.float64]]] = {}
    for table in tables:
        if len(table) and table.platform in predictor.platforms:
            predicted_ms = predictor.predict(table.graphs, table.platform, table.batch_size).latency_ms
            errors.setdefault(table.platform, []).append(np.log(predicted_ms / table.latency_ms))
    return {platform: conformal_margin(np.concatenate(parts)) for platform, parts in errors.items()}


def hold_out(tables: Sequence[LatencyTable], share: float, seed: int) -> tuple[list[LatencyTable], list[LatencyTable]]:
    """Return the tables without, and of, a share of their networks; at least one network stays.

    A network that stands in several tables is on one side in all of them.
    """
    keys = sorted({graph.key for table in tables for graph in table.graphs})
    n_held_out = min(round(share * len(keys)), len(keys) - 1)
    drawn = {keys[i] for i in np.random.default_rng(seed).permutation(len(keys))[: max(n_held_out, 0)]}
    sides: tuple[list[LatencyTable], list[LatencyTable]] = ([], [])
    for table in tables:
        is_held_out = np.array([graph.key in drawn for graph in table.graphs], dtype=bool)
        for side, rows in zip(sides, (np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)), strict=True):
            if len(rows):
                side.append(replace(table, graphs=[table.graphs[int(i)] for i in rows], latency_ms=table.latency_ms[rows]))
    return sides
