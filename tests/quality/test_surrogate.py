from __future__ import annotations

import time
from itertools import product

import numpy as np
import pytest
from scipy.stats import spearmanr

from nnlqp_nas.core import Architecture, CheckpointError, InvalidSettingError, UnknownNameError
from nnlqp_nas.quality import AccuracySurrogate, CallableQuality
from nnlqp_nas.quality.cell_features import describe_cells, prune_cell
from nnlqp_nas.quality.surrogate import DATASETS, read_card
from nnlqp_nas.search_spaces.nasbench201 import NasBench201

from ..search_spaces.published_tables import read_table

MEMBERS = [Architecture("nasbench201", code) for code in product(range(5), repeat=6)]


@pytest.mark.parametrize("dataset", DATASETS)
def test_card_states_a_rank_correlation_on_cells_not_fitted_on(dataset):
    errors = read_card()["errors"][dataset]["rest"]
    assert errors["n"] == 15625 - 5000
    assert errors["spearman"] >= 0.97


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
@pytest.mark.parametrize("dataset", DATASETS)
def test_card_is_true(dataset):
    rows = read_table("nasbench201_accuracy_200ep", ["arch_str", f"{dataset}_test_200ep"])
    truth = np.array([row[f"{dataset}_test_200ep"] for row in rows])
    rest = np.random.default_rng(read_card()["seed"]).permutation(len(rows))[5000:]
    predicted = AccuracySurrogate(dataset).evaluate([NasBench201().decode(rows[i]["arch_str"]) for i in rest])
    assert spearmanr(truth[rest], predicted).statistic == pytest.approx(read_card()["errors"][dataset]["rest"]["spearman"], abs=1e-3)
