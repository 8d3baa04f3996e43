"""What every gradient descent shares: numbers too small for float32 are 0 while it runs, and only then."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nnlqp_nas.core import LatencyPredictor
from nnlqp_nas.predictors.torch_training import TorchTraining


class _OneStep(TorchTraining):
    """Has a gradient in its first epoch alone."""

    def __init__(self) -> None:
        self.layer = nn.Linear(1, 1, bias=False)
        super().__init__(self.layer, torch.optim.Adam(self.layer.parameters(), fused=True), 600, 1, 3, 0, "cpu")

    def _loss(self, rows: NDArray[np.int64]) -> Tensor:
        return self.layer.weight.sum() * float(self.epoch == 0)

    def predictor(self) -> LatencyPredictor:
        raise AssertionError("no test asks for it")


def test_moments_without_a_gradient_end_at_0_and_torchs_own_numbers_stay_as_they_were() -> None:
    run = _OneStep()
    for _ in range(3):
        run.advance()
    assert float(run.optimiser.state[run.layer.weight]["exp_avg"]) == 0.0
    assert float(torch.tensor(1e-30) * 1e-10) > 0.0
