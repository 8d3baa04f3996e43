"""What commands print: one JSON document, or an aligned table."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from typing import Any

from ..core import Measurement, MeasurementFailure, Source

_FAILED = 1


def print_json(document: Any) -> None:
    """Print a document; numbers that JSON does not have become null."""
    sys.stdout.write(json.dumps(_with_null(document), indent=2, allow_nan=False) + "\n")


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under a header, every column as wide as it must be; numbers to the right."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    is_number = [bool(rows) and all(_is_number(row[column]) for row in rows) for column in range(len(header))]
    for row in [header, *rows]:
        cells = (text.rjust(width) if right else text.ljust(width) for text, width, right in zip(row, widths, is_number, strict=True))
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


def print_answer(answer: Measurement | MeasurementFailure, model: str, as_json: bool) -> int:
    """Print the answer for one model and return the exit code."""
    if isinstance(answer, MeasurementFailure):
        reason = " ".join(answer.reason.split())
        sys.stderr.write(f"nnlqp-nas: {model} has no latency on {answer.platform}: ({answer.stage}) {reason}\n")
        return _FAILED
    if as_json:
        print_json({"model": model, **answer.to_json()})
    else:
        sys.stdout.write(_sentence(answer) + "\n")
    return 0


def milliseconds(value: float) -> str:
    """Return a latency to four significant digits."""
    return f"{value:.4g}" if value < 1000 else f"{value:.0f}"


def interval(answer: Measurement) -> str:
    """Return the interval of an answer, empty where it has none."""
    return f"{milliseconds(answer.interval_ms[0])} .. {milliseconds(answer.interval_ms[1])}" if answer.interval_ms else ""


def _sentence(answer: Measurement) -> str:
    latency = f"{answer.platform}, batch size {answer.batch_size}: {milliseconds(answer.latency_ms)} ms"
    if answer.source is Source.PREDICTED:
        share = f" with probability {answer.coverage:g}" if answer.coverage is not None else ""
        flag = ", extrapolating" if answer.is_extrapolating else ""
        return f"{latency} (predicted, {interval(answer)} ms{share}{flag})"
    spread = f", standard deviation {milliseconds(answer.std_ms)} ms" if answer.std_ms is not None else ""
    if answer.source is Source.DATABASE:
        when = f" of {answer.taken_at:%Y-%m-%d %H:%M} UTC" if answer.taken_at else ""
        return f"{latency} (from the database: measurement{when}, {answer.n_runs} runs{spread}, {answer.host}){_fallback(answer)}"
    return f"{latency} (measured now, {answer.n_runs} runs{spread}, {answer.host}){_fallback(answer)}"


def _fallback(answer: Measurement) -> str:
    """Say what the engine did not run, where it did not run everything."""
    op_types = answer.facts.get("fallback")
    if not op_types:
        return ""
    return f"; {answer.platform.software} refuses {', '.join(op_types)}: in {answer.facts['n_parts']} parts, those on ONNX Runtime"


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).replace("e+", "").replace("e-", "").isdigit()


def _with_null(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _with_null(inner) for key, inner in value.items()}
    return [_with_null(inner) for inner in value] if isinstance(value, list | tuple) else value
