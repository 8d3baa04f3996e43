"""Calibrate the shipped predictor's intervals anew, on own measurements that were taken after it was trained.

    python -m benchmarks.recalibrate

Rows of nnlqp_nas/datasets/rows younger than the date on the predictor's card were in no training; where a platform and
domain have at least nine of them, their split-conformal quantile replaces the one that training left.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.pretrain import PRETRAINED
from nnlqp_nas.core.plugins import PREDICTORS, load_plugin
from nnlqp_nas.datasets.latency_row import read_rows
from nnlqp_nas.datasets.measured import MEASURED, tables_of

LEAST = 9


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, default=PRETRAINED / "universal.safetensors")
    path = parser.parse_args().checkpoint
    card = json.loads(path.with_suffix(".json").read_text())
    kind: Any = load_plugin(PREDICTORS, card["predictor"])
    predictor = kind.load(path)
    fresh = [row for row in read_rows(sorted(MEASURED.glob("*.parquet"))) if row.taken_at > card["date"]]
    error, told = dict(predictor.error), []
    for table in tables_of(fresh):
        if table.platform not in predictor.platforms or len(table) < LEAST:
            continue
        answer = predictor.predict(table.graphs, table.platform, table.batch_size)
        misses = np.sort(np.abs(np.log(answer.latency_ms / table.latency_ms)))
        quantile = float(misses[int(np.ceil((len(misses) + 1) * answer.coverage)) - 1])
        before = error[table.platform, table.batch_size, table.domain]
        error[table.platform, table.batch_size, table.domain] = quantile
        told.append({"platform": str(table.platform), "domain": table.domain, "n": len(table), "before": before, "after": quantile})
        print("{platform} {domain}: {n} fresh networks, 0.9 quantile of |log error| {before:.3f} -> {after:.3f}".format(**told[-1]))
    replace(predictor, error=error).save(path)
    path.with_suffix(".json").write_text(json.dumps({**card, "recalibrated": told}, indent=1) + "\n")


if __name__ == "__main__":
    main()
