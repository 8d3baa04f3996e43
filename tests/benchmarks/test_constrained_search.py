from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from benchmarks.constrained_budgets import missing_seeds, summarise
from benchmarks.constrained_fronts import best_so_far, first_at_least, hypervolume_so_far, steps_of, summarise_fronts, without_chance
from benchmarks.device_table import DeviceTable
from benchmarks.knapsack import most_within
from benchmarks.table_oracle import TableQuality, TransferPredictor, TruthOracle
from nnlqp_nas.core import Architecture, LatencyTable, MeasurementFailure, Platform, UnsupportedError
from nnlqp_nas.search_spaces.nasbench201 import NasBench201
from nnlqp_nas.transfer import describe_graphs

PLATFORM = Platform.parse("cpu-formula-fp32")
SPACE = NasBench201(n_cells=1)


@pytest.mark.parametrize("seed", range(5))
def test_the_knapsack_is_what_enumeration_finds(seed):
    rng = np.random.default_rng(seed)
    value, price = rng.uniform(0, 10, (4, 3)), rng.integers(1, 50, (4, 3)).astype(float)
    for budget in (40.0, 80.0, 120.0):
        sums = [
            (sum(price[row, choice] for row, choice in enumerate(choices)), sum(value[row, choice] for row, choice in enumerate(choices)))
            for choices in product(range(3), repeat=4)
        ]
        best = max((worth for cost, worth in sums if cost <= budget), default=-np.inf)
        assert most_within(value, price, budget, n_steps=int(budget)) == pytest.approx(best)


def test_progress_is_that_of_networks_that_truly_fit():
    points = [(50.0, 4.0), (90.0, 11.0), (60.0, 6.0), (55.0, 4.0)]
    assert best_so_far(points, 10.0) == [50.0, 50.0, 60.0, 60.0]
    progress = hypervolume_so_far(points, 10.0)
    assert progress == [300.0, 300.0, 2 * 50.0 + 4 * 60.0, 2 * 55.0 + 4 * 60.0]
    assert first_at_least(progress, 340.0) == 3
    assert first_at_least(progress, 400.0) is None
    assert steps_of(progress) == [(1, 300.0), (3, 340.0), (4, 350.0)]


def test_a_goal_that_was_not_reached_counts_as_all_that_was_tried():
    needed = {"ours": 100, "optuna": None, "optuna_tpe": 300, "random": 50}
    n = {"ours": 150, "optuna": 400, "optuna_tpe": 400, "random": 1000}
    goal = {"reached": 70.0, "optimum": 71.0, "n": n, "same": needed, "near": {**needed, "ours": None}}
    summary = summarise_fronts([{"best": goal, "front": goal}])
    assert (summary["best_same_optuna_ratio"], summary["best_same_optuna_never"]) == (4.0, 1)
    assert (summary["front_same_optuna_tpe_ratio"], summary["front_same_random_ratio"]) == (3.0, 0.5)
    assert (summary["best_near_ours"], summary["best_near_ours_never"], summary["best_near_optuna_ratio"]) == (150, 1, 2.67)


def test_networks_that_compute_the_same_have_one_accuracy():
    """Of a cell whose output reads nothing else, the other edges do not matter."""
    codes = [(1, 0, 0, 1, 0, 0), (2, 0, 0, 1, 0, 0), (0, 0, 0, 3, 0, 0)]
    architectures = [Architecture(SPACE.name, code) for code in codes]
    table = DeviceTable(SPACE, architectures, {}, {})
    assert list(without_chance(table, np.array([60.0, 64.0, 70.0])).values()) == [62.0, 62.0, 70.0]


def test_a_run_goes_on_with_the_seeds_that_are_missing():
    assert missing_seeds([{"seed": 0}, {"seed": 0}, {"seed": 2}], 4) == [1, 3]


def test_truth_counts_distinct_networks_and_names_what_the_table_lacks():
    graphs = [SPACE.graph(Architecture(SPACE.name, code)) for code in ((3, 3, 2, 0, 4, 1), (0, 0, 0, 0, 0, 0))]
    oracle = TruthOracle(PLATFORM, lambda graph: float("nan") if len(graph) < 10 else 0.1 * len(graph))
    answers = oracle.query([*graphs, graphs[0]])
    assert answers[0].latency_ms == pytest.approx(0.1 * len(graphs[0]))
    assert isinstance(answers[1], MeasurementFailure)
    assert len(oracle.asked) == 2


def test_the_transfer_predictor_learns_one_platform_and_keeps_the_old_one_as_it_was():
    rng = np.random.default_rng(0)
    graphs = [SPACE.graph(SPACE.sample(rng)) for _ in range(12)]
    latency_ms = np.array([0.1 * len(graph) for graph in graphs])
    blank = TransferPredictor(describe_graphs)
    learned = blank.adapt(PLATFORM, graphs, latency_ms)
    assert (blank.platforms, learned.platforms) == ((), (PLATFORM,))
    predicted = learned.predict(graphs, PLATFORM)
    assert np.abs(predicted.latency_ms / latency_ms - 1).max() < 0.2
    with pytest.raises(UnsupportedError):
        learned.fit([LatencyTable(PLATFORM, 1, graphs, latency_ms)])


def test_quality_is_looked_up_and_what_was_asked_is_kept_in_order():
    a, b = Architecture("x", (0,)), Architecture("x", (1,))
    quality = TableQuality({a: 1.0, b: 2.0}, "table", "points")
    assert quality.evaluate([b, a, b]).tolist() == [2.0, 1.0, 2.0]
    assert list(quality.asked) == [b, a]


def test_the_summary_counts_what_truly_fits_by_seed():
    row = {"device": "fpga", "budget_ms": 4, "optimum": 71.0, "help": 70.0, "true_ms": 3.9, "n_measured": 14}
    rows = [
        {**row, "seed": 0, "value": 70.5, "fits": True, "help_ms": 3.8},
        {**row, "seed": 1, "value": 69.0, "fits": False, "help_ms": 3.8},
    ]
    summary = summarise(rows)
    assert summary["fits_by_seed"] == [1, 0]
    assert summary["gap_mean"] == pytest.approx(1.25)
    assert summary["at_least_help"] == 0.5
    assert summary["mean"][0]["fits"] == 1
