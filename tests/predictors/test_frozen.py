"""Checkpoints that a release wrote are read, and say what they said, for as long as their form is supported."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from nnlqp_nas.predictors.kernel_gnn import KernelGnn

from .conftest import draw_graphs

FROZEN = Path(__file__).parent / "frozen"


def test_a_kernel_gnn_of_generation_4_says_what_it_said() -> None:
    predictor = KernelGnn.load(FROZEN / "kernel_gnn_generation_4.safetensors")
    graphs = draw_graphs(3, 5)
    told = json.loads((FROZEN / "kernel_gnn_generation_4.json").read_text())
    assert [str(platform) for platform in predictor.platforms] == sorted(told)
    for platform in predictor.platforms:
        answer = predictor.predict(graphs, platform)
        for name, expected in told[str(platform)].items():
            np.testing.assert_allclose(getattr(answer, name), expected, rtol=1e-4)
