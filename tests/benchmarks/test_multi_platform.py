from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.evaluation import HALVES_SEED, place_of
from benchmarks.multi_platform import noise_floors, recalibrated_coverage
from nnlqp_nas.core import LatencyPredictor, LatencyTable, Platform, Prediction
from nnlqp_nas.search_spaces.nasbench201 import NasBench201

PLATFORM = Platform.parse("cpu-a-fp32")


def test_a_noise_floor_is_the_mean_distance_from_the_mean(tmp_path):
    path = tmp_path / "repeatability.json"
    rows = [{"platform": "cpu-a-fp32", "cv_percent": {"single pass": percent, "two passes": 9.0}} for percent in (1.0, 3.0)]
    path.write_text(json.dumps({"rows": [*rows, {"platform": "cpu-a-fp32", "reason": "(run) crashed"}]}))
    # Of a normal variable, the mean distance from the mean is sqrt(2 / pi) = 0.798 standard deviations.
    assert noise_floors(path) == {"cpu-a-fp32": pytest.approx(1.6, abs=0.01)}


class Constant(LatencyPredictor):
    """Says 1 ms of every network, and calibrates how far its intervals reach."""

    name, platforms = "constant", (PLATFORM,)
    fit = adapt = save = load = None  # nothing here asks for them

    def __init__(self, margin: float = 0.0) -> None:
        self.margin = margin

    def _predict(self, graphs, platform, batch_size):
        ones = np.ones(len(graphs))
        return Prediction(ones, ones * np.exp(-self.margin), ones * np.exp(self.margin), ones < 0, 0.9)

    def calibrated(self, tables):
        return Constant(float(np.quantile(np.abs(np.log(np.concatenate([table.latency_ms for table in tables]))), 0.9)))


def test_coverage_is_judged_on_the_half_that_did_not_calibrate():
    space, rng = NasBench201(), np.random.default_rng(0)
    graphs = list({graph.key: graph for graph in (space.graph(space.sample(rng)) for _ in range(400))}.values())
    table = LatencyTable(PLATFORM, 1, graphs, np.exp(rng.normal(0.0, 0.1, len(graphs))), "a")
    told = recalibrated_coverage(Constant(), [table])
    assert told == {"cpu-a-fp32": pytest.approx(90.0, abs=4.0)}
    # An interval that is calibrated on one half alone, and is too narrow for the other, must show.
    is_first = np.array([place_of(graph.key, HALVES_SEED) < 0.5 for graph in graphs])
    skewed = replace(table, latency_ms=np.where(is_first, 1.001, 3.0))
    assert recalibrated_coverage(Constant(), [skewed])["cpu-a-fp32"] < 60.0
