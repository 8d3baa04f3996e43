"""Values to rows and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..core import InvalidSettingError, Measurement, MeasurementFailure, Platform, Source


def measurement_row(measurement: Measurement) -> dict[str, Any]:
    """Return the row that stores a measurement, but for its revision.

    Raises:
        InvalidSettingError: If it is a prediction, or a fact is no JSON type.
    """
    if not measurement.is_measured:
        raise InvalidSettingError(
            f"expected a measurement to store, got a prediction for {measurement.platform}; the database holds true rows only"
        )
    low_ms, high_ms = measurement.interval_ms or (None, None)
    return {
        **_asked(measurement),
        "latency_ms": float(measurement.latency_ms),
        "std_ms": None if measurement.std_ms is None else float(measurement.std_ms),
        "low_ms": low_ms,
        "high_ms": high_ms,
        "n_runs": measurement.n_runs,
        "facts": _checked(measurement.facts),
    }


def failure_row(failure: MeasurementFailure) -> dict[str, Any]:
    """Return the row that stores a failure, but for its revision."""
    return {**_asked(failure), "stage": failure.stage, "reason": storable(failure.reason)}


def storable(text: str) -> str:
    """Return what every database can store of a text that an engine wrote: no NUL, no lone surrogates."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def measurement_of(row: Sequence[Any], platform: Platform) -> Measurement:
    """Return the measurement of a row; the columns are those of the table, in its order."""
    _, graph_key, _, batch_size, host, taken_at, latency_ms, std_ms, low_ms, high_ms, n_runs, facts = row
    return Measurement(
        graph_key=graph_key,
        platform=platform,
        batch_size=batch_size,
        latency_ms=latency_ms,
        source=Source.DATABASE,
        interval_ms=None if low_ms is None else (low_ms, high_ms),
        std_ms=std_ms,
        n_runs=n_runs,
        host=host,
        taken_at=taken_at,
        facts=facts,
    )


def failure_of(row: Sequence[Any]) -> MeasurementFailure:
    """Return the failure of a row; the columns are those of the table, in its order."""
    _, graph_key, platform, batch_size, host, taken_at, stage, reason = row
    return MeasurementFailure(
        graph_key=graph_key,
        platform=Platform.parse(platform),
        batch_size=batch_size,
        stage=stage,
        reason=reason,
        host=host,
        taken_at=taken_at,
    )


def _asked(result: Measurement | MeasurementFailure) -> dict[str, Any]:
    return {
        "graph_key": result.graph_key,
        "platform": str(result.platform),
        "batch_size": result.batch_size,
        "host": storable(result.host),
        "taken_at": result.taken_at,
    }


def _checked(facts: Mapping[str, Any]) -> dict[str, Any]:
    try:
        json.dumps(dict(facts), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidSettingError(f"expected facts of JSON types, got {dict(facts)!r}: {error}") from error
    return dict(facts)
