from __future__ import annotations

from pathlib import Path

from nnlqp_nas.graphs import read_graph
from nnlqp_nas.search_spaces.resnet import ResNet

from .staged_family_contract import StagedFamilyContract


class TestResNet(StagedFamilyContract):
    family = ResNet
    published_cost = (11_689_512, 1_814_000_000)
    torchvision_key = "e2ff097d7f10511c9436f4f9319e7732"


def test_default_is_the_model_zoos_network_too():
    space = ResNet()
    zoo = read_graph(Path(__file__).parents[1] / "graphs" / "resnet18-v1-7-no-weight.onnx")
    assert zoo.key == space.graph(space.default).key
