from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.evaluation import Cells, judge, over_seeds, split
from nnlqp_nas.core import LatencyTable, Platform, Prediction
from nnlqp_nas.search_spaces.nasbench201 import NasBench201

CPU, GPU = Platform.parse("cpu-formula-fp32"), Platform.parse("gpu-formula-fp32")


def _table(platform: Platform, n: int) -> LatencyTable:
    space, rng = NasBench201(), np.random.default_rng(0)
    return LatencyTable(platform, 1, [space.graph(space.sample(rng)) for _ in range(n)], np.arange(1.0, n + 1.0), "nasbench201")


def test_metrics_are_those_of_the_papers() -> None:
    truth = np.array([1.0, 2.0, 4.0, 10.0])
    said = np.array([1.04, 1.84, 4.36, 20.0])
    judged = judge(Prediction(said, 0.95 * said, 1.05 * said, np.array([True, False, False, False])), truth)
    assert judged["mape"] == pytest.approx(100 * (0.04 + 0.08 + 0.09 + 1.0) / 4, abs=1e-3)
    assert (judged["acc5"], judged["acc10"], judged["coverage"], judged["extrapolating"]) == (25.0, 75.0, 25.0, 25.0)
    assert judged["spearman"] == judged["kendall"] == 1.0


def test_a_predictor_that_says_one_number_ranks_nothing() -> None:
    same = np.full(5, 2.0)
    judged = judge(Prediction(same, same, same, np.zeros(5, dtype=bool)), np.arange(1.0, 6.0))
    assert judged["spearman"] == judged["kendall"] == 0.0


def test_a_network_is_on_the_same_side_on_every_platform() -> None:
    sides = [split(_table(platform, 60), 0.3, seed=4) for platform in (CPU, GPU)]
    for train, test in sides:
        assert len(train) + len(test) == 60
        assert 8 <= len(test) <= 30
    assert [graph.key for graph in sides[0][1].graphs] == [graph.key for graph in sides[1][1].graphs]
    assert not {graph.key for graph in sides[0][0].graphs} & {graph.key for graph in sides[0][1].graphs}


def test_finished_cells_are_not_run_again(tmp_path: Path) -> None:
    n_runs = []

    def run() -> dict[str, float]:
        n_runs.append(1)
        return {"mape": 3.0}

    for _ in range(2):
        assert Cells(tmp_path / "folder" / "cells.jsonl").look_up_or_run({"family": "vgg", "seed": 0}, run) == {"mape": 3.0}
    Cells(tmp_path / "folder" / "cells.jsonl").look_up_or_run({"family": "vgg", "seed": 1}, run)
    Cells(None).look_up_or_run({"family": "vgg", "seed": 0}, run)
    assert len(n_runs) == 3
    assert Cells(tmp_path / "folder" / "cells.jsonl", runs=False).look_up_or_run({"family": "vgg", "seed": 2}, run) is None


def test_seeds_are_averaged_with_their_deviation() -> None:
    one = {"mape": 2.0, "acc10": 90.0, "acc5": 50.0, "spearman": 0.9, "kendall": 0.8, "coverage": 91.0}
    told = over_seeds([one, {**one, "mape": 4.0}])
    assert (told["mape"], told["mape_std"], told["n_seeds"]) == (3.0, 1.0, 2)
