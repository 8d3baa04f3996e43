from __future__ import annotations

import time
from itertools import product

import numpy as np
import pytest
from scipy.stats import spearmanr

from benchmarks.accuracy_tables import TABLES, read_accuracies
from nnlqp_nas.core import Architecture, CheckpointError, InvalidSettingError, UnknownNameError
from nnlqp_nas.core.plugins import SPACES, load_plugin
from nnlqp_nas.quality import AccuracySurrogate, CallableQuality
from nnlqp_nas.quality.block_features import describe_subnets
from nnlqp_nas.quality.cell_features import describe_cells, prune_cell
from nnlqp_nas.quality.surrogate import SCOPES, read_card
from nnlqp_nas.search_spaces.mobilenetv3 import MobileNetV3
from nnlqp_nas.search_spaces.nasbench201 import NasBench201
from nnlqp_nas.search_spaces.nasbench_macro import NasBenchMacro

from ..search_spaces.published_tables import FOLDER, read_table

DATASETS = tuple(SCOPES["nasbench201"].metrics)
OTHERS = tuple((space, dataset) for space, scope in SCOPES.items() for dataset in scope.metrics if space != "nasbench201")
MEMBERS = [Architecture("nasbench201", code) for code in product(range(5), repeat=6)]


@pytest.mark.parametrize("dataset", DATASETS)
def test_card_states_a_rank_correlation_on_cells_not_fitted_on(dataset):
    errors = read_card()["errors"][dataset]["rest"]
    assert errors["n"] == 15625 - 5000
    assert errors["spearman"] >= 0.97


@pytest.mark.parametrize(("space", "dataset"), OTHERS)
def test_cards_of_other_spaces_state_a_rank_correlation_too(space, dataset):
    errors = read_card(space)["errors"][dataset]
    assert errors["rest"]["n"] >= 300
    assert errors["rest"]["spearman"] >= 0.98


@pytest.mark.parametrize(("name", "dataset"), OTHERS)
def test_every_scope_fits_its_space(name, dataset):
    space = MobileNetV3(1.0, resolution=224) if name == "mobilenetv3" else load_plugin(SPACES, name)()
    assert tuple(len(parameter.choices) for parameter in space.parameters) == SCOPES[name].n_choices
    surrogate, rng = AccuracySurrogate(dataset, space=name), np.random.default_rng(0)
    members = [space.sample(rng) for _ in range(200)]
    values = surrogate.evaluate(members)
    assert np.all((values > 30) & (values < 100))
    assert np.ptp(values) > 1
    assert np.allclose(values[:5], [surrogate.evaluate([member])[0] for member in members[:5]], rtol=1e-9)
    with pytest.raises(InvalidSettingError, match=f"expected members of {name}"):
        surrogate.evaluate([Architecture(name, (*members[0].code[:-1], 9))])


def test_networks_that_engines_run_alike_are_equally_good():
    early, late = NasBenchMacro().decode("11102110"), NasBenchMacro().decode("11120110")
    first, second = AccuracySurrogate(space="nasbench_macro").evaluate([early, late])
    assert first == second


def test_a_resolution_that_its_data_never_had_is_refused():
    space = MobileNetV3(1.0)
    encoding = {"ks": [3] * 20, "e": [4] * 20, "d": [3] * 5, "r": 160}
    with pytest.raises(InvalidSettingError, match="resolution 224, the only one in its data"):
        AccuracySurrogate("imagenet", space="mobilenetv3").evaluate([space.decode(encoding)])


def test_blocks_beyond_the_depth_have_no_features():
    space = MobileNetV3(1.0)
    shallow, deep = (space.decode({"ks": [3] * 20, "e": [3] * 20, "d": [depth] * 5, "r": 224}) for depth in (2, 4))
    features = describe_subnets([shallow.code, deep.code])
    assert features.sum(axis=1).tolist() == [5 * (1 + 2 * 2), 5 * (1 + 4 * 2)]


def test_a_batch_equals_its_members():
    surrogate = AccuracySurrogate()
    batch = surrogate.evaluate(MEMBERS[::1000])
    assert np.allclose(batch, [surrogate.evaluate([member])[0] for member in MEMBERS[::1000]], rtol=1e-9)
    assert np.array_equal(batch, AccuracySurrogate().evaluate(MEMBERS[::1000]))
    assert surrogate.evaluate([]).shape == (0,)


# What it said when it was shipped: a new fit changes these, and the card.
def test_values_of_known_cells():
    space = NasBench201()
    best = space.decode("|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|")
    nothing = Architecture("nasbench201", (0,) * 6)
    high, low = AccuracySurrogate().evaluate([best, nothing])
    assert 93.8 < high < 94.6
    assert 5 < low < 20


def test_the_whole_space_takes_less_than_a_second():
    surrogate = AccuracySurrogate("cifar100")
    describe_cells([member.code for member in MEMBERS])
    started = time.process_time()
    values = surrogate.evaluate(MEMBERS)
    assert time.process_time() - started < 1.0
    assert np.all((values >= 0) & (values <= 100))


def test_dead_edges_do_not_matter():
    assert prune_cell((3, 0, 0, 1, 0, 2)) == (0, 0, 0, 1, 0, 0)
    cells = [Architecture("nasbench201", (3, 0, 0, 1, 0, 2)), Architecture("nasbench201", (0, 0, 0, 1, 0, 0))]
    first, second = AccuracySurrogate().evaluate(cells)
    assert first == second


def test_wrong_arguments_are_refused(tmp_path):
    with pytest.raises(UnknownNameError, match="nearest known: cifar10"):
        AccuracySurrogate("cifar1000")
    with pytest.raises(UnknownNameError, match="nearest known: nasbench_macro"):
        AccuracySurrogate(space="nasbench_micro")
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\0\0\0")
    for path in ("cut.safetensors", "missing.safetensors"):
        with pytest.raises(CheckpointError, match="expected a surrogate"):
            AccuracySurrogate(path=tmp_path / path)
    with pytest.raises(InvalidSettingError, match="expected members of nasbench201"):
        AccuracySurrogate().evaluate([Architecture("mobilenetv3", (0,))])


def test_a_function_is_a_quality():
    quality = CallableQuality(lambda architecture: float(sum(architecture.code)), name="sum")
    assert quality.evaluate(MEMBERS[:3]).tolist() == [0.0, 1.0, 2.0]
    with pytest.raises(InvalidSettingError, match="expected sum to return a finite number, got another for nasbench201:0-0-0-0-0-1"):
        CallableQuality(lambda architecture: 0.0 if not any(architecture.code) else float("nan"), name="sum").evaluate(MEMBERS[:3])


@pytest.mark.data
@pytest.mark.parametrize("space", SCOPES)
def test_card_is_true(space):
    read_table(TABLES[space].file, list(TABLES[space].columns))
    members, truth = read_accuracies(space, FOLDER)
    card, table = read_card(space), TABLES[space]
    rest = np.random.default_rng(card["seed"]).permutation(len(members))[table.n_fit + table.n_validation :]
    for column, dataset in enumerate(SCOPES[space].metrics):
        predicted = AccuracySurrogate(dataset, space=space).evaluate([members[i] for i in rest])
        stated = card["errors"][dataset]["rest"]
        assert len(rest) == stated["n"]
        assert spearmanr(truth[rest, column], predicted).statistic == pytest.approx(stated["spearman"], abs=1e-3)
