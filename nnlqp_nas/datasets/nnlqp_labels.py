"""NNLQP's own latencies of NAS-Bench-201 networks, read where they stand, with the split that came with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from ..core import InvalidSettingError, LatencyTable, Platform, SearchSpace

FILE = "nnlqp_gtx1660_nasbench201.parquet"
PLATFORM = Platform.parse("gpu-gtx1660-trt7.1-fp32")
_COLUMN = "gpu_gtx1660_trt7_1_fp32_ms"


def read_gtx1660(directory: Path, space: SearchSpace) -> tuple[LatencyTable, LatencyTable]:
    """Return the training and the test networks of NNLQP's GTX 1660, 1,800 and 200, batch size 1.

    Args:
        directory: Folder of the published tables.
        space: NAS-Bench-201.

    Raises:
        InvalidSettingError: If the table is not there.
    """
    path = directory / FILE
    if not path.is_file():
        raise InvalidSettingError(f"expected the table {FILE} in the folder NNLQP_NAS_DATA, got {directory}")
    rows = pq.read_table(path).to_pylist()
    tables = []
    for stage in ("train", "test"):
        part = [row for row in rows if row["stage"] == stage]
        graphs = [space.graph(space.decode(row["arch_str"]), PLATFORM.view) for row in part]
        tables.append(LatencyTable(PLATFORM, 1, graphs, np.array([row[_COLUMN] for row in part], dtype=np.float64), space.name))
    return tables[0], tables[1]
