"""Files of other projects: whoever registers a suffix reads them, and nobody else is asked."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import nnlqp_nas
from nnlqp_nas.checkpoints import predicted_platforms
from nnlqp_nas.core import CheckpointError, Platform, plugins
from nnlqp_nas.testing import ConstantPredictor

HERE = Path(__file__).parent
RESNET = HERE / "graphs" / "resnet18-v1-7-no-weight.onnx"
NNLQP = HERE / "predictors" / "nnlqp" / "multi_platform_random.pth"
INSTANT = Platform.parse("cpu-instant-fp32")


@pytest.fixture
def reader_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Install somebody's package that reads files ending in ``.const``."""
    info = tmp_path / "site" / "example_reader-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: example-reader\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[nnlqp_nas.foreign_checkpoints]\nconst = nnlqp_nas.testing.constant_predictor:ConstantPredictor\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    plugins._entries.cache_clear()
    yield
    plugins._entries.cache_clear()


def test_a_package_reads_the_suffix_it_registers(reader_package: None, tmp_path: Path) -> None:
    ConstantPredictor({INSTANT: 2.0}).save(tmp_path / "theirs.CONST")
    assert isinstance(nnlqp_nas.load_predictor(tmp_path / "theirs.CONST"), ConstantPredictor)
    assert predicted_platforms(tmp_path / "theirs.CONST") == (INSTANT,)
    (tmp_path / "damaged.const").write_bytes(b"hello")
    with pytest.raises(CheckpointError, match=r"damaged\.const"):
        nnlqp_nas.load_predictor(tmp_path / "damaged.const")


def test_a_suffix_that_nobody_registers_is_refused(tmp_path: Path) -> None:
    shutil.copy(NNLQP, tmp_path / "ckpt_best.pt")
    with pytest.raises(CheckpointError, match="no predictor reads such files"):
        nnlqp_nas.load_predictor(tmp_path / "ckpt_best.pt")


def test_an_oracle_answers_with_nnlqps_checkpoint_as_the_predictor_does(tmp_path: Path) -> None:
    t4 = "gpu-T4-trt7.1-fp32"
    oracle = nnlqp_nas.load_oracle(t4, policy="predict", database=tmp_path / "rows.sqlite", predictor=str(NNLQP))
    (answer,) = oracle.query([RESNET], batch_size=8)
    np.testing.assert_allclose(answer.latency_ms, 6.304826736450195, rtol=1e-5)  # type: ignore[union-attr]
