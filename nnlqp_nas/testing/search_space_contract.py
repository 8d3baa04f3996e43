"""The contract test that every search space inherits."""

from __future__ import annotations

import json
from itertools import islice

import numpy as np
import pytest

from ..core import Architecture, GraphView, InvalidSettingError, SearchSpace

N_SAMPLES = 40


class SearchSpaceContract:
    """Tests the guarantees of :class:`nnlqp_nas.core.SearchSpace`; a subclass gives the fixture ``space``.

    >>> class TestMySpace(SearchSpaceContract):
    ...     @pytest.fixture
    ...     def space(self):
    ...         return MySpace()
    """

    @pytest.fixture
    def space(self) -> SearchSpace:
        """Return the space under test."""
        raise NotImplementedError("expected the subclass to define the fixture 'space'")

    @pytest.fixture
    def members(self, space: SearchSpace) -> list[Architecture]:
        """Return some members, drawn with a fixed seed."""
        rng = np.random.default_rng(20)
        return [space.sample(rng) for _ in range(N_SAMPLES)]

    def test_encoding_reads_back_and_is_json(self, space: SearchSpace, members: list[Architecture]) -> None:
        for member in members:
            encoding = space.encode(member)
            assert space.decode(encoding) == member
            assert space.decode(json.loads(json.dumps(encoding))) == member

    @pytest.mark.parametrize("nonsense", ["nonsense", 7, None, [], {}, {"ks": 3}])
    def test_wrong_encodings_are_refused(self, space: SearchSpace, nonsense: object) -> None:
        with pytest.raises(InvalidSettingError, match="expected"):
            space.decode(nonsense)

    def test_parameters_have_distinct_names_and_choices(self, space: SearchSpace) -> None:
        names = [parameter.name for parameter in space.parameters]
        assert len(set(names)) == len(names)
        assert all(len(set(parameter.choices)) == len(parameter.choices) > 0 for parameter in space.parameters)

    def test_canonical_codes_stay_as_they_are(self, space: SearchSpace, members: list[Architecture]) -> None:
        assert all(space.canonical(member.code) == member.code for member in members)

    def test_choices_without_effect_do_not_distinguish_members(self, space: SearchSpace) -> None:
        rng = np.random.default_rng(3)
        for _ in range(N_SAMPLES):
            code = tuple(int(rng.integers(len(parameter.choices))) for parameter in space.parameters)
            choices = [parameter.choices[digit] for parameter, digit in zip(space.parameters, code, strict=True)]
            assert space.architecture(*choices) == Architecture(space.name, space.canonical(code))

    def test_same_seed_draws_the_same_sample(self, space: SearchSpace) -> None:
        first, second, other = (np.random.default_rng(seed) for seed in (1, 1, 2))
        drawn = [space.sample(first) for _ in range(N_SAMPLES)]
        assert drawn == [space.sample(second) for _ in range(N_SAMPLES)]
        assert drawn != [space.sample(other) for _ in range(N_SAMPLES)]

    def test_samples_are_members(self, space: SearchSpace, members: list[Architecture]) -> None:
        for member in members:
            space.check(member)
        assert len(set(members)) <= space.size

    def test_mutants_are_other_members(self, space: SearchSpace, members: list[Architecture]) -> None:
        rng = np.random.default_rng(5)
        for member in members:
            mutant = space.mutate(member, rng)
            space.check(mutant)
            assert mutant != member

    def test_neighbours_are_other_members_each_once(self, space: SearchSpace, members: list[Architecture]) -> None:
        for member in members[:5]:
            neighbours = list(space.neighbours(member))
            assert len(set(neighbours)) == len(neighbours) > 0
            assert member not in neighbours
            for neighbour in neighbours:
                space.check(neighbour)

    def test_strangers_are_refused(self, space: SearchSpace, members: list[Architecture]) -> None:
        stranger = Architecture("another_space", members[0].code)
        beyond = Architecture(space.name, (99, *members[0].code[1:]))
        short = Architecture(space.name, members[0].code[:-1])
        for wrong in (stranger, beyond, short):
            with pytest.raises(InvalidSettingError, match="expected a member"):
                space.check(wrong)
        with pytest.raises(InvalidSettingError, match="choices"):
            space.architecture()

    @pytest.mark.parametrize("view", list(GraphView))
    def test_graph_has_the_same_key_each_time(self, space: SearchSpace, members: list[Architecture], view: GraphView) -> None:
        for member in members[:10]:
            assert space.graph(member, view).key == space.graph(member, view).key

    def test_members_differ_as_written(self, space: SearchSpace, members: list[Architecture]) -> None:
        keys = {space.graph(member, GraphView.AS_WRITTEN).key for member in members}
        assert len(keys) == len(set(members))

    def test_optimised_graph_is_no_larger(self, space: SearchSpace, members: list[Architecture]) -> None:
        for member in members[:10]:
            assert len(space.graph(member)) <= len(space.graph(member, GraphView.AS_WRITTEN))

    def test_module_is_the_same_network(self, space: SearchSpace, members: list[Architecture]) -> None:
        torch = pytest.importorskip("torch")
        member = members[0]
        graph = space.graph(member, GraphView.AS_WRITTEN)
        module = space.module(member).eval()
        shapes = [tuple(parameter.shape) for parameter in module.parameters()]
        n_weights = sum(int(np.prod(shape)) for shape in shapes)
        n_moving = sum(2 * operator.weights[0][0] for operator in graph.operators if operator.op_type == "BatchNormalization")
        assert n_weights + n_moving == sum(int(np.prod(shape)) for operator in graph.operators for shape in operator.weights)
        with torch.no_grad():
            result = module(*(torch.zeros(2, *shape[1:]) for shape in graph.input_shapes))
        assert tuple(result.shape) == (2, *graph.operators[graph.outputs[0]].output[1:])

    def test_first_neighbours_come_in_the_same_order(self, space: SearchSpace, members: list[Architecture]) -> None:
        assert list(islice(space.neighbours(members[0]), 5)) == list(islice(space.neighbours(members[0]), 5))
