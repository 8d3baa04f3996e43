"""What the tests of all families of stages have in common."""

from __future__ import annotations

from itertools import product
from math import prod

import pytest

from nnlqp_nas.search_spaces.staged_family import StagedFamily
from nnlqp_nas.testing.family_contract import FamilyContract


class StagedFamilyContract(FamilyContract):
    """Adds what families of stages promise; a subclass gives ``family``, ``published_cost`` and ``torchvision_key``.

    Attributes:
        family: The class under test.
        torchvision_key: Key of torchvision 0.28's network, exported to ONNX by torch 2.13 and read back.
    """

    family: type[StagedFamily]
    torchvision_key: str

    @pytest.fixture
    def space(self) -> StagedFamily:
        return self.family()

    def test_default_is_torchvisions_network_node_for_node(self, space):
        assert space.graph(space.default).key == self.torchvision_key

    def test_choices_of_blocks_beyond_the_depth_do_not_matter(self, space):
        encoding = space.encode(space.default)
        for number, stage in enumerate(space.stages, 1):
            for varied in stage.each:
                beyond = {**encoding, f"{varied.name}_{number}_{stage.max_depth}": varied.choices[-1]}
                assert beyond != encoding
                assert space.decode(beyond) == space.default

    def test_size_counts_canonical_codes(self, space):
        """By enumeration of the first stage, all else as published."""
        n_outside, stage = len(space.outside), space.stages[0]
        n_digits = len(stage.once) + 1 + stage.max_depth * len(stage.each)
        places = range(n_outside, n_outside + n_digits)
        code = space.default.code
        choices = [range(len(space.parameters[place].choices)) for place in places]
        codes = {space.canonical((*code[:n_outside], *digits, *code[n_outside + n_digits :])) for digits in product(*choices)}
        assert len(codes) == stage.size
        others = [prod(len(varied.choices) for varied in space.outside), *(other.size for other in space.stages[1:])]
        assert space.size == stage.size * prod(others)

    def test_smallest_and_largest_member_are_networks(self, space):
        for end in (0, -1):
            member = space.architecture(*(parameter.choices[end] for parameter in space.parameters))
            assert space.graph(member).operators[-1].output == (1, 1000)
