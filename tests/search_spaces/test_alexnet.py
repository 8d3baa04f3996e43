from __future__ import annotations

import pytest

from nnlqp_nas.core import GraphView
from nnlqp_nas.search_spaces.alexnet import AlexNet
from nnlqp_nas.testing.family_contract import FamilyContract


class TestAlexNet(FamilyContract):
    # torchvision's alexnet: https://docs.pytorch.org/vision/stable/models/generated/torchvision.models.alexnet.html
    published_cost = (61_100_840, 714_000_000)

    @pytest.fixture
    def space(self) -> AlexNet:
        return AlexNet()


@pytest.mark.parametrize("kernel", [7, 9, 11, 13])
def test_every_first_kernel_gives_maps_of_the_published_size(kernel: int) -> None:
    space = AlexNet()
    graph = space.graph(space.decode({**space.published, "kernel_1": kernel}), GraphView.AS_WRITTEN)
    sides = [operator.output[2] for operator in graph.operators if operator.op_type in ("Conv", "MaxPool")]
    assert sides == [55, 27, 27, 13, 13, 13, 13, 6]
