import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count

from nnlqp_nas.backends import host_facts, host_name
from nnlqp_nas.backends.core_speed import CoreSpeed, undisturbed
from nnlqp_nas.backends.timing import time_runs, time_undisturbed
from nnlqp_nas.core import Measurement, Platform, Source, TimingProtocol

_PROTOCOL = TimingProtocol(warmup_s=0.01, min_runs=7, min_time_s=0.02, max_time_s=0.3, steady=10.0)


def spin(seconds: float) -> None:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


def test_the_number_of_runs_is_true() -> None:
    counter = count(1)
    times = time_runs(lambda: (spin(1e-3), next(counter))[0], _PROTOCOL)
    assert times.n_warmup >= 1
    assert times.n_runs + times.n_warmup + times.n_discarded == next(counter) - 1
    assert times.n_runs >= _PROTOCOL.min_runs


def test_runs_go_on_until_both_least_count_and_least_time_are_met() -> None:
    slow = time_runs(lambda: spin(0.01), _PROTOCOL, is_discarding=False)
    assert slow.n_runs == _PROTOCOL.min_runs
    fast = time_runs(lambda: spin(1e-4), _PROTOCOL)
    assert fast.n_runs > _PROTOCOL.min_runs


def test_a_drifting_latency_runs_to_the_end_and_is_not_called_steady() -> None:
    counter = count(1)
    strict = TimingProtocol(warmup_s=0.0, min_runs=5, min_time_s=0.01, max_time_s=0.2, steady=0.01)
    times = time_runs(lambda: spin(2e-4 * next(counter)), strict)
    assert not times.is_steady


def test_the_statistics_are_ordered() -> None:
    times = time_runs(lambda: spin(1e-3), _PROTOCOL)
    assert 0 < times.min_ms <= times.low_ms <= times.median_ms <= times.high_ms
    assert times.median_ms >= 1.0
    assert times.cpu_ms > 0


def test_a_disturbed_measurement_is_taken_again_and_says_so() -> None:
    waiting = time_undisturbed(lambda: time.sleep(2e-3), _PROTOCOL, is_retrying=True, time_left_s=60)
    assert (waiting["n_disturbed"], waiting["is_disturbed"]) == (1 + _PROTOCOL.n_retries, True)
    assert waiting["wall_over_cpu"] > _PROTOCOL.disturbed


def test_runs_that_something_interrupted_do_not_count() -> None:
    turns = count()
    times = time_runs(lambda: (spin(1e-3), time.sleep(4e-3 if next(turns) % 5 == 0 else 0.0))[0], _PROTOCOL)
    assert times.n_discarded > 0
    assert times.n_runs >= _PROTOCOL.min_runs
    assert times.median_ms < 2.0 * times.min_ms
    assert times.wall_over_cpu > _PROTOCOL.disturbed


def test_nothing_is_taken_again_without_time_or_reason() -> None:
    for is_retrying, time_left_s in ((False, 60.0), (True, 0.1)):
        counter = count(1)
        times = time_undisturbed(lambda: (time.sleep(2e-3), next(counter))[0], _PROTOCOL, is_retrying, time_left_s)  # noqa: B023
        assert times["n_runs"] + times["n_warmup"] + times["n_discarded"] == next(counter) - 1


def test_the_host_is_named_alike_each_time() -> None:
    assert host_name() == host_name() != ""
    assert host_name().count(" / ") == 2
    assert host_facts()["n_cores"] >= 1


class ScriptedSpeed(CoreSpeed):
    """Finds the core shared while ``is_busy`` says so."""

    def __init__(self, is_busy: Callable[[], bool]) -> None:
        super().__init__()
        self._is_busy = is_busy

    def is_shared(self) -> bool:
        return self._is_busy()


def test_runs_on_a_shared_core_do_not_count() -> None:
    """For far longer than the protocol's least time; those runs are the shorter ones here, so that nothing else discards them."""
    begin, counter = time.perf_counter(), count(1)

    def is_busy() -> bool:
        return time.perf_counter() - begin < 0.15

    times = time_runs(lambda: (spin(5e-4 if is_busy() else 1e-3), next(counter))[0], _PROTOCOL, speed=ScriptedSpeed(is_busy))
    assert times.shared == 0
    assert times.min_ms >= 1.0
    assert times.n_discarded > 0
    assert times.n_runs + times.n_warmup + times.n_discarded == next(counter) - 1


def test_a_core_that_stays_shared_ends_the_patience_and_is_told() -> None:
    begin = time.perf_counter()
    times = time_undisturbed(lambda: spin(1e-3), _PROTOCOL, is_retrying=True, time_left_s=60, speed=ScriptedSpeed(lambda: True))
    assert (times["shared"], times["is_disturbed"], times["n_disturbed"]) == (1.0, True, 1 + _PROTOCOL.n_retries)
    assert time.perf_counter() - begin > (1 + _PROTOCOL.n_retries) * 2 * _PROTOCOL.max_time_s


def test_a_core_is_shared_where_the_same_work_takes_longer_than_at_its_best() -> None:
    alone = CoreSpeed()
    assert alone.quiet_ns is None
    alone.is_shared()
    assert alone.quiet_ns is not None
    assert CoreSpeed(alone.quiet_ns / 100).is_shared()
    assert not CoreSpeed(alone.quiet_ns * 100).is_shared()
    alone.learn(None)
    alone.learn(1.0)
    alone.learn(2.0)
    assert alone.quiet_ns == 1.0


def test_who_measured_before_the_core_was_ever_seen_quiet_counts_as_disturbed() -> None:
    def taken(**facts: object) -> Measurement:
        return Measurement(
            graph_key="0" * 32,
            platform=Platform.parse("cpu-torch-fp32"),
            batch_size=1,
            latency_ms=1.0,
            source=Source.MEASURED,
            n_runs=1,
            host="here",
            taken_at=datetime.now(UTC),
            facts=facts,
        )

    rows = [taken(quiet_us=50.0), taken(quiet_us=33.0), taken(quiet_us=32.0, is_disturbed=True), taken(quiet_us=None), taken()]
    assert undisturbed(rows) == [False, True, False, True, True]
    assert undisturbed([taken()]) == [True]
    assert undisturbed([]) == []
