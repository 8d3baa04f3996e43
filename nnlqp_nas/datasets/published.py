"""Published latency tables, read where they stand: HELP, HW-NAS-Bench, LatBench columns."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ..core import Architecture, InvalidSettingError, LatencyTable, Platform, SearchSpace

DEVICES = {
    "1080ti": "gpu-1080ti-torch-fp32",
    "2080ti": "gpu-2080ti-torch-fp32",
    "titanx": "gpu-titanx-torch-fp32",
    "titanxp": "gpu-titanxp-torch-fp32",
    "titan_xp": "gpu-titanxp-torch-fp32",
    "titan_rtx": "gpu-titanrtx-torch-fp32",
    "v100": "gpu-v100-torch-fp32",
    "silver_4114": "cpu-silver4114-torch-fp32",
    "silver_4210r": "cpu-silver4210r-torch-fp32",
    "gold_6226": "cpu-gold6226-torch-fp32",
    "gold_6240": "cpu-gold6240-torch-fp32",
    "samsung_a50": "samsung_a50-torchmobile-fp32",
    "samsung_s7": "samsung_s7-torchmobile-fp32",
    "essential_ph_1": "essential_ph_1-torchmobile-fp32",
    "pixel2": "pixel2-torchmobile-fp32",
    "pixel3": "pixel3-tflite-fp32",
    "raspi4": "raspi4-tflite-fp32",
    "eyeriss": "eyeriss-lut-int16",
    "fpga": "fpga-lut-int16",
    "desktop_cpu_core_i7_7820x_fp32": "cpu-corei7_7820x-tensorflow-fp32",
}
"""Platform of each published device name; a suffix _<n> of a column is its batch size."""

LEAST_RELATIVE_MS = 0.1
"""Rows below this share of a column's median are faults of the table (cells without a path)."""


def tables_directory() -> Path | None:
    """Return the folder of the published tables (NNLQP_NAS_DATA), or None where it is not set."""
    folder = os.environ.get("NNLQP_NAS_DATA")
    return Path(folder) if folder else None


def platform_of_column(column: str) -> tuple[Platform, int]:
    """Return the platform and batch size of a column, such as ``1080ti_32``.

    Raises:
        InvalidSettingError: If the device is not known.
    """
    device, _, batch = column.rpartition("_")
    if column in DEVICES:
        return Platform.parse(DEVICES[column]), 1
    if device in DEVICES and batch.isdigit():
        return Platform.parse(DEVICES[device]), int(batch)
    raise InvalidSettingError(f"expected a published device column like 1080ti_32, got '{column}'")


def _decode_nasbench201(space: SearchSpace, row: dict[str, Any]) -> Architecture:
    return space.decode(row["arch_str"])


def _decode_ofa(space: SearchSpace, row: dict[str, Any]) -> Architecture:
    return space.decode({name: row[name] for name in ("ks", "e", "d", "r")})


def _decode_fbnet(space: SearchSpace, row: dict[str, Any]) -> Architecture:
    return space.decode(row["op_names"])


_FILES: dict[str, tuple[str, Callable[[SearchSpace, dict[str, Any]], Architecture]]] = {
    "nasbench201": ("nasbench201_latency.parquet", _decode_nasbench201),
    "fbnet": ("fbnet_latency.parquet", _decode_fbnet),
    "mobilenetv3": ("ofa_latency.parquet", _decode_ofa),
}


class PublishedTable:
    """The published latencies of one search space.

    Args:
        directory: Folder of the parquet files.
        space: ``nasbench201``, ``fbnet`` of CIFAR-100, or ``mobilenetv3`` of width 1.2.

    Attributes:
        columns: Device columns of the table.
        architectures: All rows, in the table's order.
    """

    def __init__(self, directory: Path, space: SearchSpace) -> None:
        if space.name not in _FILES:
            raise InvalidSettingError(f"expected a space with published latencies ({', '.join(_FILES)}), got '{space.name}'")
        name, decode = _FILES[space.name]
        path = directory / name
        if not path.is_file():
            raise InvalidSettingError(f"expected the table {name} in the folder NNLQP_NAS_DATA, got {directory}")
        rows = pq.read_table(path).to_pylist()
        self.space = space
        self.columns = tuple(column for column in rows[0] if _is_device(column))
        self.architectures = [decode(space, row) for row in rows]
        self._latency_ms = {column: np.array([row[column] for row in rows], dtype=np.float64) for column in self.columns}

    def latency_ms(self, column: str) -> NDArray[np.float64]:
        """Return float64, shape (rows,), milliseconds for the whole batch; NaN where there is no valid value."""
        values = self._latency_ms[column]
        return np.where(values > LEAST_RELATIVE_MS * np.nanmedian(values), values, np.nan)

    def table(self, column: str, rows: Sequence[int]) -> LatencyTable:
        """Return the valid ones of ``rows`` on one device."""
        platform, batch_size = platform_of_column(column)
        latency_ms = self.latency_ms(column)
        valid = [row for row in rows if np.isfinite(latency_ms[row])]
        graphs = [self.space.graph(self.architectures[row], platform.view) for row in valid]
        return LatencyTable(platform, batch_size, graphs, latency_ms[valid], self.space.name)


def _is_device(column: str) -> bool:
    try:
        platform_of_column(column)
    except InvalidSettingError:
        return False
    return True
