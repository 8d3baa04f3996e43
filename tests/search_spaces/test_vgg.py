from __future__ import annotations

from nnlqp_nas.search_spaces.vgg import Vgg

from .staged_family_contract import StagedFamilyContract


class TestVgg(StagedFamilyContract):
    family = Vgg
    published_cost = (138_357_544, 15_470_000_000)
    # Without torchvision's adaptive pooling, which does nothing at 224 pixels.
    torchvision_key = "4d50fa0dad88ab06efcc5c3c850f3006"
