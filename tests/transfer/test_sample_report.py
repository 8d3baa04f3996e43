from __future__ import annotations

import json

import numpy as np
import pytest

from nnlqp_nas.transfer import SampleReport


def _nearest(x: np.ndarray, latency_ms: np.ndarray):
    """A predictor that says what the nearest sample takes: the more samples, the better."""
    return lambda kept, held: latency_ms[kept][np.abs(x[held][:, None] - x[kept][None]).argmin(1)]


def test_errors_are_those_of_held_out_samples_and_shrink_with_more() -> None:
    x = np.random.default_rng(0).uniform(0.0, 1.0, 20)
    latency_ms = 1.0 + 3.0 * x
    report = SampleReport.of(_nearest(x, latency_ms), latency_ms)
    assert 0.5 < report.mape < 20.0
    assert report.mape_interval[0] < report.mape < report.mape_interval[1]
    assert 0.9 < report.spearman_interval[0] <= report.spearman <= report.spearman_interval[1] <= 1.0
    assert sorted(report.learning_curve) == [8, 12, 16]
    assert report.mape_with_more < report.mape
    assert json.loads(json.dumps(report.to_json()))["n_samples"] == 20


@pytest.mark.parametrize("n", [3, 4, 5, 7])
def test_few_samples_still_give_a_report(n: int) -> None:
    x = np.linspace(0.0, 1.0, n)
    report = SampleReport.of(_nearest(x, 1.0 + x), 1.0 + x)
    assert np.isfinite([report.mape, report.mape_with_more, *report.mape_interval]).all()
    assert report.mape_with_more <= report.mape


def test_equal_latencies_have_no_rank_correlation() -> None:
    report = SampleReport.of(lambda kept, held: np.full(len(held), 2.0), np.full(8, 2.0))
    assert report.mape == 0.0
    assert np.isnan([report.spearman, *report.spearman_interval]).all()
