"""NNI's model spaces are this project's: the same members, the same networks."""

from __future__ import annotations

from collections import Counter
from functools import cache

import numpy as np
import pytest

pytest.importorskip("pytorch_lightning")
pytest.importorskip("nni")

from nnlqp_nas.core import Architecture, GraphView, InvalidSettingError, UnsupportedError
from nnlqp_nas.graphs import LayerBuilder, graph_cost, read_graph
from nnlqp_nas.graphs.torch_module import export_module
from nnlqp_nas.search.nni import Choices, NniSpace, as_model_space, map_space, write_module
from nnlqp_nas.search.nni.frozen import export_graph, freeze
from nnlqp_nas.search_spaces.nasbench201 import NasBench201 as OurNasBench201
from nnlqp_nas.testing import SearchSpaceContract

from .own_spaces import OwnSpace, hub

pytestmark = pytest.mark.nni
IMAGENET = (3, 224, 224)


LARGE = {
    "width_multipliers": 1.0,
    "base_widths": (16, 16, 24, 40, 80, 112, 160, 960, 1280),
    "expand_ratios": (2.3, 3.0, 6.0),
    "squeeze_excite": ("none", "none", "force", "none", "force", "optional"),
    "bn_eps": 1e-5,
}
SPACES = {
    "mobilenetv3": ("MobileNetV3Space", {}, IMAGENET),
    "mobilenetv3 with settings": ("MobileNetV3Space", LARGE, (3, 96, 96)),
    "proxylessnas": ("ProxylessNAS", {}, IMAGENET),
    "proxylessnas with settings": ("ProxylessNAS", {"width_mult": 0.35, "num_labels": 10}, (3, 64, 64)),
    "nasbench201": ("NasBench201", {}, (3, 32, 32)),
    "nasbench201 with settings": ("NasBench201", {"stem_out_channels": 8, "num_modules_per_stack": 2, "num_labels": 100}, (3, 16, 16)),
}


@cache
def make(name):
    """Return a model space of the hub and the search space of this project with its members."""
    kind, settings, input_shape = SPACES[name]
    model_space = getattr(hub(), kind)(**settings)
    return model_space, map_space(model_space, input_shape)


@cache
def make_own():
    return NniSpace(OwnSpace(), (3, 8, 8))


class TestProxylessNas(SearchSpaceContract):
    @pytest.fixture
    def space(self):
        return make("proxylessnas")[1].space


class TestMobileNetV3(SearchSpaceContract):
    @pytest.fixture
    def space(self):
        return make("mobilenetv3")[1].space


class TestOwnSpace(SearchSpaceContract):
    """A space of the user's own that has to be exported."""

    @pytest.fixture
    def space(self):
        return make_own()

    @pytest.fixture
    def members(self, space):
        rng = np.random.default_rng(20)
        return sorted({space.sample(rng) for _ in range(6)})

    def test_it_is_exported(self, space):
        assert not space.is_written


@pytest.mark.parametrize("n_samples", [1, pytest.param(3, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", [name for name in SPACES if "nasbench" not in name])
def test_a_graph_is_that_of_the_network_nni_builds_and_pytorch_exports(name, n_samples):
    model_space, mapped = make(name)
    rng = np.random.default_rng(n_samples)
    for _ in range(n_samples):
        architecture = mapped.space.sample(rng)
        sample = mapped.to_sample(architecture)
        exported = export_module(freeze(model_space, sample).eval(), SPACES[name][2])
        for view in GraphView:
            assert mapped.space.graph(architecture, view).key == read_graph(exported, view).key


@pytest.mark.parametrize("name", ["nasbench201", pytest.param("nasbench201 with settings", marks=pytest.mark.slow)])
def test_a_cell_of_nasbench201_has_the_layers_that_nni_builds_and_adds_as_published(name):
    model_space, mapped = make(name)
    architecture = mapped.space.decode("|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|avg_pool_3x3~0|none~1|nor_conv_3x3~2|")
    ours = mapped.space.graph(architecture, GraphView.AS_WRITTEN)
    theirs = export_graph(model_space, mapped.to_sample(architecture), SPACES[name][2], GraphView.AS_WRITTEN)
    assert graph_cost(ours).macs == graph_cost(theirs).macs
    # NNI stacks what meets at a node, three nodes a cell, and sums the stack.
    summing = {"Add", "Reshape", "Concat", "ReduceSum", "Identity", "Mul"}
    assert count_layers(ours, summing) == count_layers(theirs, summing)


def count_layers(graph, left_out):
    return Counter(
        (operator.op_type, operator.weights, operator.output) for operator in graph.operators if operator.op_type not in left_out
    )


def test_every_choice_of_the_hubs_space_costs_something():
    space = make("proxylessnas")[1].space
    smallest = space.architecture(*(parameter.choices[0] for parameter in space.parameters))
    fewest = graph_cost(space.graph(smallest)).macs
    assert space.is_written
    assert all(graph_cost(space.graph(neighbour)).macs > fewest for neighbour in space.neighbours(smallest))


def test_every_cell_of_nasbench201_is_named_both_ways():
    model_space, mapped = make("nasbench201")
    assert isinstance(mapped.space, OurNasBench201)
    rng = np.random.default_rng(0)
    for _ in range(200):
        architecture = mapped.space.sample(rng)
        sample = mapped.to_sample(architecture)
        assert mapped.to_architecture(sample) == architecture
        assert all(sample[label] in choice.values for label, choice in model_space.simplify().items())


def test_choices_beyond_a_depth_name_one_member():
    _, mapped = make("proxylessnas")
    sample = {parameter.name: parameter.choices[0] for parameter in mapped.space.parameters}
    assert sample["s2_depth"] == 1
    assert mapped.to_architecture({**sample, "s2_i1": "k7e6"}) == mapped.to_architecture(sample)
    assert mapped.to_architecture({**sample, "s2_i0": "k7e6"}) != mapped.to_architecture(sample)
    deeper = {**sample, "s2_depth": 2}
    assert mapped.to_architecture({**deeper, "s2_i1": "k7e6"}) != mapped.to_architecture(deeper)


def test_a_class_of_your_own_is_written_once_you_say_how_it_runs():
    class Written(OwnSpace):
        pass

    @write_module.register(Written)
    def _(module: Written, net: LayerBuilder, x: int, choices: Choices) -> int:
        for part in (module.stem, module.body, module.pool, module.flatten):
            x = write_module(part, net, x, choices)
        return write_module(module.classifier, net, x, choices)

    model_space = Written()
    space = NniSpace(model_space, (3, 8, 8))
    assert space.is_written
    for architecture in space.neighbours(space.sample(np.random.default_rng(0))):
        assert space.graph(architecture).key == export_graph(model_space, space.encode(architecture), (3, 8, 8), GraphView.OPTIMISED).key


def test_a_search_space_of_this_project_becomes_one_of_nni_and_back():
    space = OurNasBench201(n_cells=1)
    model_space = as_model_space(space)
    mapped = map_space(model_space)
    architecture = space.sample(np.random.default_rng(3))
    assert mapped.space is space
    assert mapped.to_architecture(mapped.to_sample(architecture)) == architecture
    assert model_space.freeze(mapped.to_sample(architecture)) == architecture
    assert freeze(model_space, mapped.to_sample(architecture)).architecture == architecture
    assert not model_space.contains({**mapped.to_sample(architecture), "edge_0_1": "conv_9x9"})


def test_what_cannot_be_mapped_says_why():
    with pytest.raises(InvalidSettingError, match=r"input_shape=\(C, H, W\) for OwnSpace"):
        map_space(OwnSpace())
    with pytest.raises(UnsupportedError, match="CategoricalMultiple"):
        map_space(hub().NasBench101(), (3, 32, 32))
    with pytest.raises(InvalidSettingError, match="square images"):
        map_space(hub().NasBench201(), (1, 28, 28))
    with pytest.raises(InvalidSettingError, match="cell/0_1"):
        make("nasbench201")[1].to_architecture({"cell/0_1": "none"})
    with pytest.raises(InvalidSettingError, match="expected a member"):
        make("proxylessnas")[1].space.check(Architecture("nasbench201", (0,) * 6))
