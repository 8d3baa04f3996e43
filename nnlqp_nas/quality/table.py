"""The user's own table of accuracies as a quality."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import Architecture, InvalidSettingError, SearchSpace
from .quality import Quality

_CODE = re.compile(r"\d+(-\d+)+")


class TableQuality(Quality):
    """Looks qualities up in a CSV or parquet file with a row an architecture.

    An architecture may be written as its key (``nasbench201:4-0-3-1-4-3``), its code (``4-0-3-1-4-3``, or a list of
    whole numbers), or in the notation that the space's ``decode`` reads, as text, JSON or the file's own lists.
    Networks that stand there several times have the mean of their values.

    >>> TableQuality("accuracies.csv", load_space("nasbench201"), architecture="cell", accuracy="test")
    >>> TableQuality("subnets.parquet", load_space("mobilenetv3"), architecture=["ks", "e", "d", "r"], accuracy="top1")

    Args:
        path: The file; ``.csv`` or ``.parquet``.
        space: What its architectures are members of.
        architecture: Name of their column; or names of several, which ``decode`` reads as a dictionary.
        accuracy: Name of the column of what to maximise.
        metric: What the values are.

    Raises:
        InvalidSettingError: If the file cannot be read, has no such columns, or a row is no member or not finite.
    """

    def __init__(
        self,
        path: Path | str,
        space: SearchSpace,
        architecture: str | Sequence[str] = "architecture",
        accuracy: str = "accuracy",
        metric: str = "accuracy, %",
    ) -> None:
        self.space = space.name
        self.metric = metric
        self.name = f"table:{Path(path).name}:{accuracy}"
        self._path = Path(path)
        columns = [architecture] if isinstance(architecture, str) else [str(column) for column in architecture]
        self._values = self._read(space, columns, accuracy)

    def __len__(self) -> int:
        """Number of distinct architectures in the table."""
        return len(self._values)

    def evaluate(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        for architecture in architectures:
            if architecture not in self._values:
                raise InvalidSettingError(f"expected a row for {architecture.key} in '{self._path}', found none among {len(self)}")
        return np.array([self._values[architecture] for architecture in architectures], dtype=np.float64)

    def _read(self, space: SearchSpace, columns: list[str], accuracy: str) -> dict[Architecture, float]:
        found: dict[Architecture, list[float]] = {}
        for number, row in enumerate(_read_rows(self._path, columns, accuracy), 1):
            value = row[accuracy]
            if value is None or not np.isfinite(value):
                raise InvalidSettingError(f"expected {accuracy} to be a finite number, got {value} in row {number} of '{self._path}'")
            encoding = row[columns[0]] if len(columns) == 1 else {column: row[column] for column in columns}
            try:
                found.setdefault(_decode(space, encoding), []).append(float(value))
            except InvalidSettingError as error:
                raise InvalidSettingError(f"row {number} of '{self._path}': {error}") from error
        return {architecture: sum(values) / len(values) for architecture, values in found.items()}


def _decode(space: SearchSpace, encoding: Any) -> Architecture:
    if isinstance(encoding, str) and encoding.startswith(f"{space.name}:"):
        return _member(space, Architecture.from_key(encoding))
    if isinstance(encoding, str) and _CODE.fullmatch(encoding):
        return _member(space, Architecture.from_key(f"{space.name}:{encoding}"))
    if isinstance(encoding, str) and encoding[:1] in ("[", "{"):
        try:
            encoding = json.loads(encoding)
        except json.JSONDecodeError as error:
            raise InvalidSettingError(f"expected an architecture, got {encoding!r}, which is no JSON: {error}") from error
    if isinstance(encoding, list) and all(type(digit) is int for digit in encoding):
        return _member(space, Architecture(space.name, tuple(encoding)))
    return space.decode(encoding)


def _member(space: SearchSpace, architecture: Architecture) -> Architecture:
    space.check(architecture)
    return architecture


def _read_rows(path: Path, columns: list[str], accuracy: str) -> list[dict[str, Any]]:
    import pyarrow
    from pyarrow import csv, parquet

    wanted = [*columns, accuracy]
    try:
        if path.suffix == ".parquet":
            table = parquet.read_table(path, columns=wanted)
        elif path.suffix == ".csv":
            # Text, so that digits such as 00120021 keep their zeros.
            types = {**dict.fromkeys(columns, pyarrow.string()), accuracy: pyarrow.float64()}
            table = csv.read_csv(path, convert_options=csv.ConvertOptions(column_types=types, include_columns=wanted))
        else:
            raise InvalidSettingError(f"expected a table that ends in .csv or .parquet, got '{path}'")
    except (OSError, KeyError, pyarrow.ArrowException) as error:
        reason = " ".join(str(error).split())[:200]
        raise InvalidSettingError(f"expected a table with columns {', '.join(wanted)} at '{path}', got: {reason}") from error
    if missing := set(wanted) - set(table.column_names):
        raise InvalidSettingError(f"expected columns {', '.join(wanted)} in '{path}', found none named {', '.join(sorted(missing))}")
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows
