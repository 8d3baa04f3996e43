from __future__ import annotations

import numpy as np
import pytest

from nnlqp_nas.predictors.conformal import EVERY_DOMAIN, LEAST_BY_DOMAIN, conformal_quantile, mondrian_quantiles, nearest_quantile


@pytest.mark.parametrize("n", [9, 20, 100])
def test_the_quantile_covers_a_fresh_value_as_often_as_it_says(n: int) -> None:
    rng = np.random.default_rng(n)
    covered = [rng.exponential() <= conformal_quantile(rng.exponential(size=n).tolist()) for _ in range(4000)]
    assert 0.885 <= np.mean(covered) <= 0.9 + 1.0 / (n + 1) + 0.015


def test_few_values_give_a_cautious_quantile() -> None:
    assert conformal_quantile([0.1, 0.3, 0.2]) == pytest.approx(0.6)


def test_every_class_with_scores_enough_has_its_own_quantile() -> None:
    calm = [("cpu", 1, "calm", 0.1)] * LEAST_BY_DOMAIN
    wild = [("cpu", 1, "wild", 3.0)] * (LEAST_BY_DOMAIN - 1)
    quantiles = mondrian_quantiles([*calm, *wild, ("gpu", 8, "calm", 7.0)])
    assert nearest_quantile(quantiles, "cpu", 1, "calm") == pytest.approx(0.1)
    assert nearest_quantile(quantiles, "cpu", 2, "wild") == quantiles["cpu", 1, EVERY_DOMAIN] == pytest.approx(3.0)
    assert nearest_quantile(quantiles, "gpu", 1, "never seen") == pytest.approx(14.0)
    assert nearest_quantile(quantiles, "npu", 1, "calm") is None
