"""Passes: one network timed several times, in processes of their own, until two agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..core import TimingProtocol


def has_agreement(passes: Sequence[Mapping[str, Any]], protocol: TimingProtocol) -> bool:
    """Whether the two fastest of at least ``n_passes`` passes agree, or no further pass is allowed."""
    if len(passes) < protocol.n_passes:
        return False
    return len(passes) >= max(protocol.max_passes, protocol.n_passes) or _is_repeatable(passes, protocol)


def combine(passes: Sequence[Mapping[str, Any]], protocol: TimingProtocol) -> dict[str, Any]:
    """Return the times of the two fastest passes together; of the fastest alone where they do not agree.

    Whatever disturbs a measurement adds time to it, so the fastest passes are the least disturbed;
    the mean of two that agree takes out half of what drift is left, and of two that do not, the slower one was disturbed.

    Args:
        passes: Fields of ``RunTimes`` and what :func:`time_undisturbed` adds, one mapping a pass.
        protocol: How they were timed.

    Returns:
        The same fields, and ``pass_medians_ms`` (all passes, as they were taken) and ``is_repeatable``.
    """
    is_repeatable = len(passes) >= protocol.n_passes and _is_repeatable(passes, protocol)
    ranked = sorted(passes, key=lambda one: float(one["median_ms"]))[: 2 if is_repeatable else 1]
    weights = [one["n_runs"] / sum(other["n_runs"] for other in ranked) for one in ranked]
    return {
        **ranked[0],
        "median_ms": float(np.mean([one["median_ms"] for one in ranked])),
        "low_ms": min(one["low_ms"] for one in ranked),
        "high_ms": max(one["high_ms"] for one in ranked),
        "std_ms": float(np.sqrt(sum(w * one["std_ms"] ** 2 for w, one in zip(weights, ranked, strict=True)))),
        "n_runs": sum(one["n_runs"] for one in ranked),
        "is_disturbed": any(one["is_disturbed"] for one in ranked),
        "pass_medians_ms": [round(one["median_ms"], 6) for one in passes],
        "is_repeatable": is_repeatable,
    }


def _is_repeatable(passes: Sequence[Mapping[str, Any]], protocol: TimingProtocol) -> bool:
    fastest, second = sorted(float(one["median_ms"]) for one in passes)[:2] if len(passes) > 1 else (1.0, 1.0)
    return second <= (1.0 + protocol.agreement) * fastest
