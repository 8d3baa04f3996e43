from __future__ import annotations

import numpy as np
import pytest

from nnlqp_nas.core import LatencyPredictor, LatencyTable, ModelGraph, Platform
from nnlqp_nas.predictors.flops import Flops
from nnlqp_nas.predictors.flops_linear import FlopsLinear
from nnlqp_nas.predictors.kernel_gnn import KernelGnn
from nnlqp_nas.predictors.operator_linear import OperatorLinear
from nnlqp_nas.testing import LatencyPredictorContract


class _OnNasBench201(LatencyPredictorContract):
    @pytest.fixture
    def graphs(self, fresh_graphs: list[ModelGraph]) -> list[ModelGraph]:
        return fresh_graphs[:16]


class TestFlops(_OnNasBench201):
    @pytest.fixture
    def predictor(self, tables: list[LatencyTable]) -> LatencyPredictor:
        return Flops().fit(tables)


class TestFlopsLinear(_OnNasBench201):
    @pytest.fixture
    def predictor(self, tables: list[LatencyTable]) -> LatencyPredictor:
        return FlopsLinear().fit(tables)


class TestOperatorLinear(_OnNasBench201):
    @pytest.fixture
    def predictor(self, tables: list[LatencyTable]) -> LatencyPredictor:
        return OperatorLinear().fit(tables)


class TestKernelGnn(_OnNasBench201):
    @pytest.fixture
    def predictor(self, kernel_gnn: KernelGnn) -> LatencyPredictor:
        return kernel_gnn


class TestAdapted(_OnNasBench201):
    @pytest.fixture
    def predictor(self, kernel_gnn: KernelGnn, fresh_graphs: list[ModelGraph]) -> LatencyPredictor:
        support = fresh_graphs[16:36]
        latency_ms = kernel_gnn.predict(support, kernel_gnn.platforms[0]).latency_ms * np.linspace(2.0, 2.2, 20)
        return kernel_gnn.adapt(Platform.parse("npu-new-int8"), support, latency_ms)
