"""A model space of a user's own, and NNI's hub imported as this project imports it."""

from __future__ import annotations

from typing import Any

import nni
from torch import Tensor, nn

from nnlqp_nas.search.nni.installed import require_nni

require_nni()

from nni.nas.nn.pytorch import LayerChoice, ModelSpace, MutableConv2d, MutableLinear, Repeat  # noqa: E402 - NNI warns unless it was imported above


class OwnSpace(ModelSpace):
    """A stem of chosen width, one to three layers of a chosen kind, a classifier."""

    def __init__(self) -> None:
        super().__init__()
        channels: Any = nni.choice("channels", [8, 16, 32])
        self.stem = MutableConv2d(3, channels, 3, padding=1)
        self.body = Repeat(lambda index: LayerChoice({"relu": nn.ReLU(), "silu": nn.SiLU()}, label=f"layer_{index}"), (1, 3), label="depth")
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.classifier = MutableLinear(channels, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.flatten(self.pool(self.body(self.stem(x)))))


def hub() -> Any:
    """Return the module of NNI's hub."""
    import nni.nas.hub.pytorch

    return nni.nas.hub.pytorch
