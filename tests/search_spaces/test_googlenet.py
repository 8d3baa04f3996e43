from __future__ import annotations

import pytest

from nnlqp_nas.search_spaces.googlenet import GoogLeNet
from nnlqp_nas.testing.family_contract import FamilyContract


class TestGoogLeNet(FamilyContract):
    # torchvision's googlenet without its auxiliary classifiers.
    published_cost = (6_624_904, 1_498_000_000)

    @pytest.fixture
    def space(self) -> GoogLeNet:
        return GoogLeNet()


def test_modules_of_the_default_have_the_widths_of_the_paper() -> None:
    space = GoogLeNet()
    graph = space.graph(space.default)
    channels = [operator.output[1] for operator in graph.operators if operator.op_type == "Concat"]
    assert channels == [256, 480, 512, 512, 512, 528, 832, 832, 1024]
    sides = [operator.output[2] for operator in graph.operators if operator.op_type == "Concat"]
    assert sides == [28, 28, 14, 14, 14, 14, 14, 7, 7]
