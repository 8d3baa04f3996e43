from __future__ import annotations

import pytest

from nnlqp_nas.core import GraphView
from nnlqp_nas.graphs import graph_cost
from nnlqp_nas.search_spaces.vit import VisionTransformer
from nnlqp_nas.testing.family_contract import FamilyContract

SPACE = VisionTransformer()


class TestVisionTransformer(FamilyContract):
    # DeiT-Tiny: parameters of timm's deit_tiny_patch16_224; 1.254 GMACs with attention's two products, at 197 tokens.
    published_cost = (5_717_416, 1_254_000_000)

    @pytest.fixture
    def space(self) -> VisionTransformer:
        return SPACE


def test_vit_base_is_a_member_and_the_published_network() -> None:
    cost = graph_cost(SPACE.graph(SPACE.base, GraphView.AS_WRITTEN))
    assert cost.params == 86_567_656
    assert cost.macs == pytest.approx(17.56e9, abs=0.005e9)


def test_ratios_beyond_the_depth_do_not_matter() -> None:
    encoding = dict(SPACE.published)
    assert SPACE.decode({**encoding, "mlp_ratio_13": 4, "mlp_ratio_14": 3}) == SPACE.default
    assert SPACE.decode({**encoding, "mlp_ratio_12": 3}) != SPACE.default
