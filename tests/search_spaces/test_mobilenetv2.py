from __future__ import annotations

from nnlqp_nas.search_spaces.mobilenetv2 import MobileNetV2

from .staged_family_contract import StagedFamilyContract


class TestMobileNetV2(StagedFamilyContract):
    family = MobileNetV2
    published_cost = (3_504_872, 301_000_000)
    torchvision_key = "3b6e4f9ed30ee14451b1aa51567d9084"
