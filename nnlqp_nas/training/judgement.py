"""What a predictor is worth on networks that it did not learn from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import LatencyPredictor, LatencyTable, Platform

METRICS = ("mape", "acc10", "acc5", "spearman", "coverage", "extrapolating")


def judge(predictor: LatencyPredictor, tables: Sequence[LatencyTable]) -> dict[str, dict[str, Any]]:
    """Return the errors by platform: ``n``, and :data:`METRICS`.

    ``mape``, ``acc10`` and ``acc5`` (share within 10 % and 5 %), ``coverage`` (share within the interval) and
    ``extrapolating`` are percent; ``spearman`` is None where it is not defined.
    """
    answers: dict[Platform, list[NDArray[np.float64]]] = {}
    for table in tables:
        p = predictor.predict(table.graphs, table.platform, table.batch_size)
        columns = np.column_stack([table.latency_ms, p.latency_ms, p.low_ms, p.high_ms, p.is_extrapolating])
        answers.setdefault(table.platform, []).append(columns)
    return {str(platform): _errors(np.vstack(parts)) for platform, parts in sorted(answers.items())}


def mean_mape(predictor: LatencyPredictor, tables: Sequence[LatencyTable]) -> float:
    """Return the mean over platforms of MAPE, percent."""
    return float(np.mean([errors["mape"] for errors in judge(predictor, tables).values()]))


def over_runs(judged: Sequence[dict[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Return mean and, where there are several runs, standard deviation of every metric by platform."""
    summary: dict[str, dict[str, Any]] = {}
    for platform in sorted({name for errors in judged for name in errors}):
        own = [errors[platform] for errors in judged if platform in errors]
        summary[platform] = {"n": sum(errors["n"] for errors in own)}
        for metric in METRICS:
            values = [errors[metric] for errors in own if errors[metric] is not None]
            summary[platform][metric] = float(np.mean(values)) if values else None
            if len(values) > 1:
                summary[platform][f"{metric}_std"] = float(np.std(values))
    return summary


def _errors(columns: NDArray[np.float64]) -> dict[str, Any]:
    truth, predicted, low, high, is_far = columns.T
    relative = np.abs(predicted / truth - 1.0)
    return {
        "n": len(truth),
        "mape": 100 * float(relative.mean()),
        "acc10": 100 * float((relative <= 0.1).mean()),
        "acc5": 100 * float((relative <= 0.05).mean()),
        "spearman": _spearman(predicted, truth),
        "coverage": 100 * float(((low <= truth) & (truth <= high)).mean()),
        "extrapolating": 100 * float(is_far.mean()),
    }


def _spearman(predicted: NDArray[np.float64], truth: NDArray[np.float64]) -> float | None:
    """Return the rank correlation; None where one side is constant."""
    from scipy.stats import spearmanr

    if len(truth) < 2 or np.ptp(predicted) == 0 or np.ptp(truth) == 0:
        return None
    return float(spearmanr(predicted, truth)[0])
