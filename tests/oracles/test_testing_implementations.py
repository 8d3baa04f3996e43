"""The implementations that the package ships for tests keep the contracts too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nnlqp_nas.core import CheckpointError, LatencyTable, MeasurementBackend, Platform
from nnlqp_nas.testing import ConstantPredictor, InstantBackend, MeasurementBackendContract
from nnlqp_nas.testing.oracle_contract import write_networks

PLATFORM = Platform.parse("cpu-instant-fp32")


class TestInstantBackend(MeasurementBackendContract):
    def make_backend(self) -> MeasurementBackend:
        return InstantBackend()


def test_equal_networks_measure_equal() -> None:
    first, second = (InstantBackend().measure(write_networks(1))[0] for _ in range(2))
    assert first.latency_ms == second.latency_ms  # type: ignore[union-attr]


def test_the_constant_predictor_fits_adapts_and_keeps(tmp_path: Path) -> None:
    graphs = write_networks(3)
    table = LatencyTable(PLATFORM, 2, graphs, np.array([2.0, 8.0, 32.0]))
    fitted = ConstantPredictor().fit([table])
    assert fitted.predict(graphs, PLATFORM).latency_ms == pytest.approx([4.0] * 3)
    other = Platform.parse("gpu-T4-trt7.1-int8")
    adapted = fitted.adapt(other, graphs, [1.0, 1.0, 1.0])
    assert (fitted.platforms, adapted.platforms) == ((PLATFORM,), (PLATFORM, other))
    adapted.save(tmp_path / "constant.safetensors")
    assert ConstantPredictor.load(tmp_path / "constant.safetensors").latency_ms == adapted.latency_ms


def test_a_constant_checkpoint_of_noise_is_refused(tmp_path: Path) -> None:
    (tmp_path / "noise.safetensors").write_bytes(bytes(range(200)))
    with pytest.raises(CheckpointError):
        ConstantPredictor.load(tmp_path / "noise.safetensors")
