from __future__ import annotations

from nnlqp_nas.search_spaces.mnasnet import MnasNet

from .staged_family_contract import StagedFamilyContract


class TestMnasNet(StagedFamilyContract):
    family = MnasNet
    published_cost = (4_383_312, 314_000_000)
    # With its mean over height and width as a pooling layer.
    torchvision_key = "e9054ad3e6b41ac5ce651fcfc31bb6f7"
