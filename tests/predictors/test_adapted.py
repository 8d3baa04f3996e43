from __future__ import annotations

import numpy as np
import pytest

from nnlqp_nas.core import InvalidSettingError, ModelGraph, Platform
from nnlqp_nas.predictors.kernel_gnn import KernelGnn

from .conftest import draw_graphs, formula_ms

BOARD = Platform.parse("my-board-own-fp32")


@pytest.fixture(scope="module")
def adapted(kernel_gnn: KernelGnn):
    support = draw_graphs(20, 7)
    return kernel_gnn.adapt(BOARD, support, [formula_ms(graph, 0.05, 20.0, 4.0) for graph in support])


def test_twenty_samples_give_milliseconds_and_an_honest_interval(adapted, fresh_graphs: list[ModelGraph]) -> None:
    truth = np.array([formula_ms(graph, 0.05, 20.0, 4.0) for graph in fresh_graphs])
    prediction = adapted.predict(fresh_graphs, BOARD)
    assert np.mean(np.abs(prediction.latency_ms / truth - 1.0)) < 0.05
    assert np.mean((prediction.low_ms <= truth) & (truth <= prediction.high_ms)) >= 0.75


def test_another_batch_size_is_far(adapted, fresh_graphs: list[ModelGraph]) -> None:
    near, far = (adapted.predict(fresh_graphs[:4], BOARD, batch_size) for batch_size in (1, 8))
    assert far.is_extrapolating.all()
    assert np.all(far.high_ms / far.latency_ms > near.high_ms / near.latency_ms)


def test_one_or_two_samples_are_refused(kernel_gnn: KernelGnn, fresh_graphs: list[ModelGraph]) -> None:
    for n in (1, 2):
        with pytest.raises(InvalidSettingError, match=f"at least 3 measured networks to adapt to {BOARD}, got {n}"):
            kernel_gnn.adapt(BOARD, fresh_graphs[:n], np.ones(n))
