from __future__ import annotations

from nnlqp_nas.search_spaces.efficientnet import EfficientNet

from .staged_family_contract import StagedFamilyContract


class TestEfficientNet(StagedFamilyContract):
    family = EfficientNet
    published_cost = (5_288_548, 386_000_000)
    torchvision_key = "71a24bb72e86badd70e182e0740925a3"
