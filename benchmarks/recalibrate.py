"""Calibrate the shipped predictor's intervals anew, on own measurements that were taken after it was trained.

    python -m benchmarks.recalibrate

Rows of nnlqp_nas/datasets/rows younger than the date on the predictor's card were in no training; where a platform and
domain have at least nine of them, they take the place of the networks that calibrated the intervals of that platform. What operators
take on a typical platform is told again by what the predictor says of shipped networks.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.pretrain import PRETRAINED
from nnlqp_nas.core.plugins import PREDICTORS, load_plugin
from nnlqp_nas.datasets.latency_row import read_rows
from nnlqp_nas.datasets.measured import MEASURED, tables_of
from nnlqp_nas.predictors.kernel_gnn_fit import times_of

LEAST = 9


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, default=PRETRAINED / "universal.safetensors")
    path = parser.parse_args().checkpoint
    card = json.loads(path.with_suffix(".json").read_text())
    kind: Any = load_plugin(PREDICTORS, card["predictor"])
    predictor = kind.load(path)
    rows = read_rows(sorted(MEASURED.glob("*.parquet")))
    fresh = [row for row in rows if row.taken_at > card["date"]]
    tables = [table for table in tables_of(fresh) if table.platform in predictor.platforms and len(table) >= LEAST]
    recalibrated = replace(predictor.calibrated(tables), times=times_of(predictor, tables_of(rows)))
    told = []
    for key, after in sorted(recalibrated.quantiles.items()):
        before = predictor.quantiles.get(key)
        if before != after:
            told.append({"platform": key[0], "batch_size": key[1], "domain": key[2] or "all", "before": before, "after": after})
            print(f"{key[0]} b{key[1]} {key[2] or 'all'}: 0.9 quantile of error over deviation {before} -> {after:.3f}")
    recalibrated.save(path)
    path.with_suffix(".json").write_text(json.dumps({**card, "recalibrated": told}, indent=1) + "\n")


if __name__ == "__main__":
    main()
