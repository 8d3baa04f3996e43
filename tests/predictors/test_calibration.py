from __future__ import annotations

import numpy as np
import pytest

from nnlqp_nas.predictors.kernel_gnn_training import _conformal_quantile


@pytest.mark.parametrize("n", [9, 20, 100])
def test_the_quantile_covers_a_fresh_value_as_often_as_it_says(n: int) -> None:
    rng = np.random.default_rng(n)
    covered = [rng.exponential() <= _conformal_quantile(rng.exponential(size=n).tolist()) for _ in range(4000)]
    assert 0.885 <= np.mean(covered) <= 0.9 + 1.0 / (n + 1) + 0.015


def test_few_values_give_a_cautious_quantile() -> None:
    assert _conformal_quantile([0.1, 0.3, 0.2]) == pytest.approx(0.6)
