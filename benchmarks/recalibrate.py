"""Calibrate the shipped predictor's intervals on own platforms anew, where their test networks were measured again since it was trained.

    python -m benchmarks.recalibrate

The last step of benchmarks.pretrain by itself: no weight changes, the card's figures for own platforms are made again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measured_networks import PROBES
from benchmarks.pretrain import PRETRAINED, SPLIT, calibrate_and_judge, own_tables
from benchmarks.record import provenance
from nnlqp_nas.core.plugins import PREDICTORS, load_plugin
from nnlqp_nas.datasets.latency_row import read_rows
from nnlqp_nas.datasets.measured import MEASURED


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, default=PRETRAINED / "universal.safetensors")
    path = parser.parse_args().checkpoint
    card = json.loads(path.with_suffix(".json").read_text())
    kind: Any = load_plugin(PREDICTORS, card["predictor"])
    predictor, errors = calibrate_and_judge(kind.load(path), own_tables(read_rows(sorted(MEASURED.glob("*.parquet"))), (), card["seed"])[1])
    predictor.save(path)
    own = {row["platform"] for row in errors}
    card |= {
        "errors": [*(row for row in card["errors"] if row["platform"] not in own), *errors],
        "split": SPLIT,
        "calibrated": provenance(),
    }
    path.with_suffix(".json").write_text(json.dumps(card, indent=1) + "\n")
    for platform in sorted(own):
        rows = [row for row in errors if row["platform"] == platform and row["domain"] != PROBES]
        n = [row["n"] for row in rows]
        mape, coverage, width = (np.average([row[name] for row in rows], weights=n) for name in ("mape", "coverage", "width"))
        print(f"{platform:28s} {sum(n):4d} networks  MAPE {mape:5.2f} %  coverage {coverage:5.1f} %  high over low {width:.3f}")


if __name__ == "__main__":
    main()
