"""The table of a few networks to measure elsewhere: written with empty cells, read back filled in."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core import Architecture, GraphView, InvalidSettingError, ModelGraph, SearchSpace
from ..graphs import read_graph, to_onnx

TABLE = "latencies.csv"
NETWORK, ARCHITECTURE, LATENCY = "network", "architecture", "latency_ms"
LEAST_ROWS = 3


@dataclass(frozen=True, eq=False)
class SampleTable:
    """Networks and their latencies on one platform.

    Guarantees: at least three rows, every latency finite and above 0, no network twice.

    Attributes:
        graphs: The n networks, in the platform's view.
        latency_ms: Milliseconds for the whole batch, one a network.
        lines: The line of the file that each stands on.
    """

    graphs: Sequence[ModelGraph]
    latency_ms: Sequence[float]
    lines: Sequence[int]

    @classmethod
    def read(cls, path: Path, space: SearchSpace, view: GraphView) -> SampleTable:
        """Read a filled table: columns ``latency_ms``, and ``architecture`` or ``network``.

        Args:
            path: A CSV file, as :func:`write_samples` wrote it, or of your own ONNX files.
            space: Where architectures belong; a row without one names an ONNX file, from the table's folder.
            view: Which graph the platform executes.

        Raises:
            InvalidSettingError: If it cannot be read or breaks a guarantee; the line is named.
            InvalidModelError: If an ONNX file cannot be read.
        """
        rows = _rows(path)
        latency_ms = [_latency(row.get(LATENCY), line) for line, row in rows]
        if len(rows) < LEAST_ROWS:
            raise InvalidSettingError(f"expected at least {LEAST_ROWS} measured networks in {path.name}, got {len(rows)}; measure more")
        graphs = [_graph(row, line, path.parent, space, view) for line, row in rows]
        seen: dict[str, int] = {}
        for (line, _), graph in zip(rows, graphs, strict=True):
            if graph.key in seen:
                raise InvalidSettingError(f"expected each network once, got the same in lines {seen[graph.key]} and {line}; delete one")
            seen[graph.key] = line
        return cls(graphs, latency_ms, [line for line, _ in rows])


def write_samples(folder: Path, space: SearchSpace, architectures: Sequence[Architecture], view: GraphView, batch_size: int) -> Path:
    """Write each network as an ONNX file with random weights, and the table to fill in.

    Returns:
        The table.

    Raises:
        InvalidSettingError: If there is a table already, which may be half filled in.
    """
    path = folder / TABLE
    if path.exists():
        raise InvalidSettingError(f"expected a folder without a table, got {path}; pass it as table={path}, or another output")
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"network_{i:02d}.onnx" for i in range(1, len(architectures) + 1)]
    for name, architecture in zip(names, architectures, strict=True):
        (folder / name).write_bytes(to_onnx(space.graph(architecture, view), batch_size).SerializeToString())
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([NETWORK, ARCHITECTURE, LATENCY])
        writer.writerows([name, architecture.key, ""] for name, architecture in zip(names, architectures, strict=True))
    return path


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Return the rows that hold anything, with their lines."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restkey="", restval="")
            columns = reader.fieldnames or []
            rows = [(reader.line_num, row) for row in reader if any(str(cell).strip() for cell in row.values())]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidSettingError(f"expected a table in CSV, got {path}: {error}; see nnlqp-nas adapt --help") from error
    if LATENCY not in columns or not {NETWORK, ARCHITECTURE} & set(columns):
        raise InvalidSettingError(
            f"expected the columns {NETWORK} or {ARCHITECTURE}, and {LATENCY}, in {path.name}, got {', '.join(columns) or 'nothing'}"
        )
    if any(row.get("") for _, row in rows):
        line = next(line for line, row in rows if row.get(""))
        raise InvalidSettingError(f"expected {len(columns)} cells in line {line} of {path.name}, got more; write decimals with a point")
    return rows


def _latency(cell: str | None, line: int) -> float:
    text = (cell or "").strip()
    if not text:
        raise InvalidSettingError(f"expected a latency in milliseconds in line {line}, got an empty cell; measure it or delete the line")
    try:
        value = float(text)
    except ValueError as error:
        raise InvalidSettingError(f"expected a latency in milliseconds in line {line}, got '{text}'; write a number alone") from error
    if not (math.isfinite(value) and value > 0):
        raise InvalidSettingError(f"expected a latency above 0 ms in line {line}, got {text}; measure it again or delete the line")
    return value


def _graph(row: dict[str, str], line: int, folder: Path, space: SearchSpace, view: GraphView) -> ModelGraph:
    key, name = (row.get(column, "").strip() for column in (ARCHITECTURE, NETWORK))
    if key:
        architecture = Architecture.from_key(key)
        if architecture.space != space.name:
            raise InvalidSettingError(f"expected members of space {space.name}, got {key} in line {line}; set space={architecture.space}")
        space.check(architecture)
        return space.graph(architecture, view)
    if not name:
        raise InvalidSettingError(f"expected a network or an architecture in line {line}, got neither")
    return read_graph(folder / name, view)
