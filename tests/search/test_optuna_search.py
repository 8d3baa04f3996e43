from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from nnlqp_nas.core import InvalidSettingError, UnknownNameError
from nnlqp_nas.search import OptunaSearch, SearchOutcome
from nnlqp_nas.search.candidate import find_front
from nnlqp_nas.search.study_storage import StudyStorage

from .small_problem import BUDGET_MS, SPACE, FormulaOracle, accuracy_of, enumerate_feasible, latency_of, make_problem

SETTINGS = [
    ("tpe", 1),
    ("tpe", 2),
    ("nsga2", 1),
    ("nsga2", 2),
    ("nsga3", 2),
    ("evolution", 1),
    ("evolution", 2),
    ("random", 1),
    ("guided", 1),
    ("guided", 2),
    pytest.param("gp", 1, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("sampler", "n_objectives"), SETTINGS)
def test_only_networks_within_the_budget_are_rated_each_once(sampler, n_objectives):
    rated = Counter()

    def rate(architecture):
        graph = SPACE.graph(architecture)
        assert 1.1 * latency_of(graph) <= BUDGET_MS
        rated[graph.key] += 1
        return accuracy_of(architecture)

    n_trials = 24 if sampler == "gp" else 60
    candidates = OptunaSearch(sampler, n_objectives, n_ask=16).run(make_problem(rate, n_trials=n_trials))
    assert rated.total() == n_trials
    assert set(rated.values()) == {1}
    assert any(not candidate.fits(BUDGET_MS) for candidate in candidates)
    assert {candidate.graph_key for candidate in candidates if candidate.accuracy is not None} == set(rated)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "nsga3", "evolution", "guided"])
def test_finds_the_optimum_that_enumeration_finds(sampler):
    best = max(accuracy for _, accuracy in enumerate_feasible())
    candidates = OptunaSearch(sampler, n_ask=32).run(make_problem(n_trials=600, max_priced=3000))
    assert max(candidate.accuracy for candidate in candidates if candidate.accuracy is not None) == best


def test_front_is_not_beaten_by_what_was_rated():
    candidates = OptunaSearch("random").run(make_problem())
    front = find_front(candidates)
    for member in front:
        beats = [c for c in candidates if c.accuracy is not None and c.accuracy >= member.accuracy and c.predicted_ms < member.predicted_ms]
        assert not beats
    assert [member.accuracy for member in front] == sorted(member.accuracy for member in front)


@pytest.mark.parametrize(("sampler", "n_objectives"), SETTINGS)
def test_same_seed_same_candidates(sampler, n_objectives):
    n_trials = 20 if sampler == "gp" else 40
    first, second, other = (
        [c.architecture for c in OptunaSearch(sampler, n_objectives, n_ask=16).run(make_problem(n_trials=n_trials, seed=seed))]
        for seed in (5, 5, 6)
    )
    assert first == second != other


def test_candidates_are_priced_in_batches():
    oracle = FormulaOracle()
    candidates = OptunaSearch("random", n_ask=50).run(make_problem(oracle=oracle, n_trials=1000, max_priced=500))
    assert len(candidates) == 500
    assert oracle.n_queries <= 500 / 50 * 1.6


def test_stops_with_a_clear_message_where_nothing_is_feasible():
    def never(architecture):
        raise AssertionError

    with pytest.raises(
        InvalidSettingError, match=r"expected a budget .* got 1e-06 ms: the fastest of [0-9]+ priced may take .* raise budget_ms"
    ):
        OptunaSearch("tpe", n_ask=20).run(make_problem(never, budget_ms=1e-6, max_priced=100))


@pytest.mark.parametrize("sampler", ["tpe", "guided"])
def test_a_search_goes_on_and_rates_nothing_twice(sampler, tmp_path):
    rated = Counter()

    def rate(architecture):
        if len(rated) == 30 and not rated["interrupted"]:
            rated["interrupted"] += 1
            raise KeyboardInterrupt
        rated[SPACE.graph(architecture).key] += 1
        return accuracy_of(architecture)

    storage = StudyStorage(f"journal:///{tmp_path / 'study.log'}")
    with pytest.raises(KeyboardInterrupt):
        OptunaSearch(sampler, n_ask=16).run(make_problem(rate, n_trials=60), storage)
    candidates = OptunaSearch(sampler, n_ask=16).run(make_problem(rate, n_trials=60), storage)
    del rated["interrupted"]
    assert rated.total() == len(rated) == 60
    assert sum(candidate.accuracy is not None for candidate in candidates) == 60


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_a_finished_search_is_read_back(sampler, tmp_path):
    storage = StudyStorage(f"journal:///{tmp_path / 'study.log'}")
    first = OptunaSearch(sampler, n_ask=16).run(make_problem(n_trials=30), storage)
    oracle = FormulaOracle()
    assert OptunaSearch(sampler, n_ask=16).run(make_problem(n_trials=30, oracle=oracle), storage) == first
    assert oracle.n_queries == 0


def test_storage_of_another_search_is_refused(tmp_path):
    storage = StudyStorage(f"journal:///{tmp_path / 'study.log'}")
    OptunaSearch("random", n_ask=16).run(make_problem(n_trials=5), storage)
    with pytest.raises(InvalidSettingError, match=r"budget_ms: 3.0 there, 2.0 here"):
        OptunaSearch("random", n_ask=16).run(make_problem(n_trials=5, budget_ms=2.0), storage)
    with pytest.raises(InvalidSettingError, match="expected a study storage"):
        OptunaSearch("random").run(make_problem(), StudyStorage("nonsense://x"))


def test_settings_are_checked():
    with pytest.raises(UnknownNameError, match="nearest known: tpe"):
        OptunaSearch("tpee")
    for wrong in ({"budget_ms": -1.0}, {"budget_ms": float("nan")}, {"n_trials": 0}, {"max_priced": 0}, {"seed": -1}):
        with pytest.raises(InvalidSettingError, match="expected"):
            make_problem(**wrong)


_SLOW_RUN = """
import sys, time
from pathlib import Path
sys.path.insert(0, {folder!r})
from tests.search.small_problem import accuracy_of, make_problem
from nnlqp_nas.search import OptunaSearch
from nnlqp_nas.search.study_storage import StudyStorage
def rate(architecture):
    with open({rated!r}, "a") as file:
        file.write(architecture.key + "\\n")
    time.sleep(0.05)
    return accuracy_of(architecture)
rate.__name__ = "rate"
OptunaSearch(n_ask=16).run(make_problem(rate, n_trials=80), StudyStorage({url!r}))
"""


@pytest.mark.slow
def test_a_killed_process_goes_on_where_it_stopped(tmp_path):
    rated = tmp_path / "rated.txt"
    script = _SLOW_RUN.format(folder=str(Path(__file__).parents[2]), rated=str(rated), url=f"journal:///{tmp_path / 'study.log'}")
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    process = subprocess.Popen([sys.executable, "-c", script], env=environment)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and (not rated.exists() or len(rated.read_text().splitlines()) < 20):
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    n_before = len(rated.read_text().splitlines())
    assert 20 <= n_before < 80
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=90)
    keys = rated.read_text().splitlines()
    # The one that was being rated when the process died may be rated again; no other.
    assert len(set(keys)) == 80 or len(set(keys)) == 81
    assert len(keys) <= len(set(keys)) + 1


def test_outcome_names_the_best_and_the_front():
    problem = make_problem()
    candidates = OptunaSearch("random").run(problem)
    outcome = SearchOutcome.of(problem, candidates, 10, {"search": 1.0})
    best = sorted((c.accuracy for c in candidates if c.accuracy is not None), reverse=True)[:10]
    assert sorted((finding.accuracy for finding in outcome.front), reverse=True)[:10] == best
    # Two networks may tie: their figures are what counts.
    front = [(finding.predicted_ms, finding.accuracy) for finding in outcome.front if finding.is_pareto]
    assert front == [(candidate.predicted_ms, candidate.accuracy) for candidate in find_front(candidates)]
    assert outcome.n_priced == len(candidates)
    assert outcome.n_evaluated == problem.n_trials
