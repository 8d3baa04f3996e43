"""Latency data of any format as what a database stores: measurements and failures."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..core import GraphView, InvalidModelError, InvalidSettingError, Measurement, MeasurementFailure, ModelGraph, Platform, Source
from .latency_row import LatencyRow, read_rows
from .nnlqp_folder import Complaint, NnlqpFolder, OnComplaint
from .nnlqp_line import NnlqpLine, shown
from .view_keys import ViewKeys

Result = Measurement | MeasurementFailure

NNLQP_HOST = "NNLQP gt.txt"
"""The host of what was read from NNLQP's lists, which do not name the machine."""

FAMILY = "family"
"""The fact that tells the family of a measured network."""

_DIGEST = "onnx_digest"
_KEY = re.compile(r"[0-9a-f]{32}")
_NEEDED = ("space", "settings", "code", "graph_key", "platform", "batch_size", "n_runs", "host", "taken_at", "facts", "stage", "reason")


Contents = Mapping[str, Mapping[GraphView, str]]
"""Keys of networks by the digest of their ONNX file."""


def known_contents(results: Iterable[Result]) -> Contents:
    """Return the keys of the networks whose files were read when ``results`` were imported."""
    contents: dict[str, dict[GraphView, str]] = {}
    for result in results:
        digest = result.facts.get(_DIGEST) if isinstance(result, Measurement) and result.host == NNLQP_HOST else None
        if isinstance(digest, str):
            contents.setdefault(digest, {})[result.platform.view] = result.graph_key
    return contents


def results_of_list(folder: NnlqpFolder, on_complaint: OnComplaint, contents: Contents | None = None) -> Iterator[Measurement]:
    """Yield the measurements of NNLQP's list, network by network; each ONNX file is read once.

    Keys are those of the view that each platform executes. Networks whose file is absent or no
    ONNX, and platforms without a name, are told and left out.

    Args:
        folder: The list and its networks.
        on_complaint: Is told what is left out.
        contents: Networks that need not be read again, which takes a tenth of a second each.
    """
    networks: dict[str, list[tuple[int, NnlqpLine, Platform]]] = {}
    for number, line, platform in _known_lines(folder, on_complaint):
        networks.setdefault(line.onnx_path, []).append((number, line, platform))
    for onnx_path, lines in tqdm(networks.items(), desc=folder.name, unit="network", file=sys.stderr, disable=None):
        try:
            results = _results_of_network(folder, onnx_path, [(line, platform) for _, line, platform in lines], contents or {})
        except (InvalidSettingError, InvalidModelError) as error:
            on_complaint(Complaint(place=folder.place(lines[0][0]), reason=str(error), n_lines=len(lines)))
        else:
            yield from results


def results_of_table(table: Path, on_complaint: OnComplaint) -> Iterator[Result]:
    """Yield the measurements and failures of one of our parquet files; rows that cannot be are told and left out.

    Raises:
        InvalidSettingError: If the file is no latency data set.
    """
    rows = read_rows([table])
    for number, row in enumerate(tqdm(rows, desc=table.name, unit="row", file=sys.stderr, disable=None), start=1):
        try:
            yield result_of_row(row)
        except (ValueError, TypeError, AttributeError) as error:
            on_complaint(Complaint(place=f"{table}: row {number}", reason=" ".join(str(error).split()), is_malformed=True))


def _results_of_network(
    folder: NnlqpFolder, onnx_path: str, lines: Sequence[tuple[NnlqpLine, Platform]], contents: Contents
) -> list[Measurement]:
    path = folder.model_path(onnx_path)
    digest = _digest(path)
    keys = ViewKeys(lambda: _read_network(path), contents.get(digest))
    facts = {"file": folder.name, _DIGEST: digest}
    return [_measurement_of_line(line, platform, keys[platform.view], facts) for line, platform in lines]


def _read_network(path: Path) -> ModelGraph:
    from ..graphs import read_graph

    return read_graph(path, GraphView.AS_WRITTEN)


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError as error:
        raise InvalidSettingError(f"expected an ONNX file that can be read, got {shown(path.name)}: {error.strerror}") from error


def _known_lines(folder: NnlqpFolder, on_complaint: OnComplaint) -> Iterator[tuple[int, NnlqpLine, Platform]]:
    nameless: dict[int, list[int]] = {}
    for number, line in folder.lines():
        platform = folder.platform(line.platform_id)
        if platform is None:
            nameless.setdefault(line.platform_id, []).append(number)
        else:
            yield number, line, platform
    for platform_id, numbers in nameless.items():
        reason = f"expected a platform whose name is known, got number {platform_id}; name it: --platform-id {platform_id}=NAME"
        on_complaint(Complaint(place=folder.place(numbers[0]), reason=reason, n_lines=len(numbers)))


def _measurement_of_line(line: NnlqpLine, platform: Platform, graph_key: str, facts: dict[str, str]) -> Measurement:
    return Measurement(
        graph_key=graph_key,
        platform=platform,
        batch_size=line.batch_size,
        latency_ms=line.latency_ms,
        source=Source.MEASURED,
        host=NNLQP_HOST,
        facts={FAMILY: line.model_type, "stage": line.stage, "graph_id": line.graph_id, "onnx_path": line.onnx_path, **facts},
    )


def result_of_row(row: LatencyRow) -> Result:
    """Return the measurement or failure that a row tells of.

    Raises:
        ValueError: If a field is missing or of a strange form.
    """
    _check(row)
    asked: dict[str, Any] = {
        "graph_key": row.graph_key,
        "platform": Platform.parse(row.platform),
        "batch_size": row.batch_size,
        "host": _without_nul(row.host),
        "taken_at": datetime.fromisoformat(row.taken_at) if row.taken_at else None,
    }
    if row.latency_ms is None:
        return MeasurementFailure(**asked, stage=row.stage, reason=_without_nul(row.reason))
    return Measurement(
        **asked,
        latency_ms=row.latency_ms,
        source=Source.MEASURED,
        interval_ms=None if row.low_ms is None or row.high_ms is None else (row.low_ms, row.high_ms),
        std_ms=row.std_ms,
        n_runs=row.n_runs,
        facts={**json.loads(row.facts, parse_constant=_refuse), FAMILY: row.space, "settings": row.settings, "code": row.code},
    )


def _check(row: LatencyRow) -> None:
    empty = [name for name in _NEEDED if getattr(row, name) is None]
    if empty:
        raise InvalidSettingError(f"expected a value for {', '.join(empty)}, got none")
    if not _KEY.fullmatch(row.graph_key):
        raise InvalidSettingError(f"expected a graph key of 32 hexadecimal digits, got {shown(row.graph_key)}")
    if row.batch_size < 1:
        raise InvalidSettingError(f"expected a batch size >= 1, got {row.batch_size}")


def _without_nul(text: str) -> str:
    """Databases store no NUL; without it a row is known again."""
    return text.replace("\0", "")


def _refuse(name: str) -> None:
    raise InvalidSettingError(f"expected facts in JSON, got the number {name}")
