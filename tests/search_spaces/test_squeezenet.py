from __future__ import annotations

import pytest

from nnlqp_nas.core import GraphView
from nnlqp_nas.graphs import graph_cost
from nnlqp_nas.search_spaces.squeezenet import SqueezeNet
from nnlqp_nas.testing.family_contract import FamilyContract


class TestSqueezeNet(FamilyContract):
    # torchvision's squeezenet1_1.
    published_cost = (1_235_496, 349_000_000)

    @pytest.fixture
    def space(self) -> SqueezeNet:
        return SqueezeNet()


def test_the_first_release_is_a_member_and_the_published_network() -> None:
    space = SqueezeNet()
    cost = graph_cost(space.graph(space.release_1_0, GraphView.AS_WRITTEN))
    assert cost.params == 1_248_424
    assert cost.macs == pytest.approx(819e6, abs=0.5e6)


@pytest.mark.parametrize(("release", "sides"), [("1.0", (109, 54, 27, 13)), ("1.1", (111, 55, 27, 13))])
def test_maps_have_the_published_sizes(release: str, sides: tuple[int, ...]) -> None:
    space = SqueezeNet()
    member = space.release_1_0 if release == "1.0" else space.default
    graph = space.graph(member)
    heights = [operator.output[2] for operator in graph.operators if operator.op_type in ("Conv", "MaxPool")]
    assert tuple(dict.fromkeys(heights)) == sides
