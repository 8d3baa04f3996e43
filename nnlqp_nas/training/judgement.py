"""What a predictor is worth on networks that it did not learn from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import LatencyPredictor, LatencyTable, Platform, Prediction

METRICS = ("mape", "acc10", "acc5", "spearman", "coverage", "extrapolating")


def judge(predictor: LatencyPredictor, tables: Sequence[LatencyTable]) -> dict[str, dict[str, Any]]:
    """Return :func:`errors_of` all tables of a platform, by platform."""
    answers: dict[Platform, list[tuple[Prediction, NDArray[np.float64]]]] = {}
    for table in tables:
        answer = predictor.predict(table.graphs, table.platform, table.batch_size)
        answers.setdefault(table.platform, []).append((answer, table.latency_ms))
    return {
        str(platform): errors_of(_joined([answer for answer, _ in parts]), np.concatenate([truth for _, truth in parts]))
        for platform, parts in sorted(answers.items())
    }


def errors_of(answer: Prediction, truth_ms: NDArray[np.float64]) -> dict[str, Any]:
    """Return ``n``, and :data:`METRICS`.

    ``mape``, ``acc10`` and ``acc5`` (share within 10 % and 5 %), ``coverage`` (share within the interval) and
    ``extrapolating`` are percent; ``spearman`` is None where it is not defined.
    """
    relative = np.abs(answer.latency_ms / truth_ms - 1.0)
    return {
        "n": len(truth_ms),
        "mape": 100 * float(relative.mean()),
        "acc10": 100 * float((relative <= 0.1).mean()),
        "acc5": 100 * float((relative <= 0.05).mean()),
        "spearman": _spearman(answer.latency_ms, truth_ms),
        "coverage": 100 * float(((answer.low_ms <= truth_ms) & (truth_ms <= answer.high_ms)).mean()),
        "extrapolating": 100 * float(answer.is_extrapolating.mean()),
    }


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


def _joined(answers: Sequence[Prediction]) -> Prediction:
    return Prediction(
        np.concatenate([answer.latency_ms for answer in answers]),
        np.concatenate([answer.low_ms for answer in answers]),
        np.concatenate([answer.high_ms for answer in answers]),
        np.concatenate([answer.is_extrapolating for answer in answers]),
    )


def _spearman(predicted: NDArray[np.float64], truth: NDArray[np.float64]) -> float | None:
    """Return the rank correlation; None where one side is constant."""
    from scipy.stats import spearmanr

    if len(truth) < 2 or np.ptp(predicted) == 0 or np.ptp(truth) == 0:
        return None
    return float(spearmanr(predicted, truth)[0])
