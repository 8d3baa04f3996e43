from __future__ import annotations

from nnlqp_nas.search_spaces.mobilenetv3_large import MobileNetV3Large

from .staged_family_contract import StagedFamilyContract


class TestMobileNetV3Large(StagedFamilyContract):
    family = MobileNetV3Large
    published_cost = (5_483_032, 217_000_000)
    torchvision_key = "ef9b22157207c794af05348e901fbefd"
