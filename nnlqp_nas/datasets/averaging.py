"""Rows of a data set from the passes of a campaign: corrected for drift, the least disturbed ones averaged."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .drift import Drift
from .journal import Pass
from .latency_row import LatencyRow

_N_AVERAGED = 2
_AGREEMENT = 0.04


def average_passes(passes: Sequence[Pass]) -> list[LatencyRow]:
    """Return one row for each network and platform, in the order they were first measured.

    Whatever disturbs a measurement adds time to it: the two fastest passes count, after the correction
    for the machine's drift, with their mean. A network that failed in every pass keeps its last failure.

    Args:
        passes: All passes of a campaign on one machine, references among them.
    """
    drift = Drift(passes)
    groups: dict[tuple[object, ...], list[LatencyRow]] = defaultdict(list)
    for one in passes:
        if not one.is_reference:
            groups[one.row.identity].append(one.row)
    return [_average(rows, drift) for rows in groups.values()]


def _average(rows: Sequence[LatencyRow], drift: Drift) -> LatencyRow:
    timed = [(row, row.latency_ms, drift.at(row.taken_at)) for row in rows if row.latency_ms is not None]
    if not timed:
        return rows[-1]
    ranked = sorted(timed, key=lambda one: one[1] / one[2])[:_N_AVERAGED]
    first = ranked[0][0]
    latency_ms = float(np.mean([raw / slowness for _, raw, slowness in ranked]))
    raw_ms = float(np.mean([raw for _, raw, _ in ranked]))
    slowest = ranked[-1][1] / ranked[-1][2]
    facts: dict[str, Any] = json.loads(first.facts)
    facts["pass_medians_ms"] = [round(raw, 6) for _, raw, _ in timed]
    facts["is_repeatable"] = slowest <= (1 + _AGREEMENT) * ranked[0][1] / ranked[0][2]
    facts["is_disturbed"] = any(json.loads(row.facts).get("is_disturbed") for row, _, _ in ranked)
    return replace(
        first,
        latency_ms=latency_ms,
        raw_ms=raw_ms,
        drift=raw_ms / latency_ms,
        std_ms=float(np.sqrt(np.mean([(row.std_ms or 0.0) ** 2 for row, _, _ in ranked]))),
        low_ms=min(latency_ms, *((row.low_ms or raw) / slowness for row, raw, slowness in ranked)),
        high_ms=max(latency_ms, *((row.high_ms or raw) / slowness for row, raw, slowness in ranked)),
        n_runs=sum(row.n_runs for row, _, _ in ranked),
        facts=json.dumps(facts, sort_keys=True),
    )
