"""The throughput experiment runs and states every figure."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_quick_run_states_every_figure() -> None:
    command = [sys.executable, "-m", "benchmarks.throughput", "--quick", "--json", "--n-measured", "0"]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], check=True, capture_output=True, text=True, timeout=280)
    result = json.loads(done.stdout)
    assert result["quick"]
    for space in ("nasbench201", "mobilenetv3"):
        figures = result["spaces"][space]
        assert figures["times_nnlp"] == pytest.approx(figures["priced_a_second"] / figures["nnlp_a_second"], rel=0.02)
        assert all(figures[name] > 0 for name in ("onnx_file_ms", "onnx_file_with_weights_ms", "nnlp_batched_a_second"))
    assert all(isinstance(is_reached, bool) for is_reached in result["reached"].values())
