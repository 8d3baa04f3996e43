from __future__ import annotations

import json

import pytest

from benchmarks.multi_platform import noise_floors


def test_a_noise_floor_is_the_mean_distance_from_the_mean(tmp_path):
    path = tmp_path / "repeatability.json"
    rows = [{"platform": "cpu-a-fp32", "cv_percent": {"single pass": percent, "two passes": 9.0}} for percent in (1.0, 3.0)]
    path.write_text(json.dumps({"rows": [*rows, {"platform": "cpu-a-fp32", "reason": "(run) crashed"}]}))
    # Of a normal variable, the mean distance from the mean is sqrt(2 / pi) = 0.798 standard deviations.
    assert noise_floors(path) == {"cpu-a-fp32": pytest.approx(1.6, abs=0.01)}
