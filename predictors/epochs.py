"""A training run to its end, with a bar."""

from __future__ import annotations

import sys

from tqdm import tqdm

from nnlqp_nas.core import TrainingRun


def run_epochs(run: TrainingRun) -> None:
    """Run the epochs that are left; nothing is held out and no epoch is chosen: the last one counts."""
    for _ in tqdm(range(run.epoch, run.n_epochs), desc="train", file=sys.stderr, disable=None):
        run.advance()
