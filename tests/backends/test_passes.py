from __future__ import annotations

from typing import Any

import pytest

from nnlqp_nas.backends.passes import combine, has_agreement
from nnlqp_nas.core import InvalidSettingError, TimingProtocol

PROTOCOL = TimingProtocol(n_passes=2, max_passes=4, agreement=0.04)


def one_pass(median_ms: float, n_runs: int = 100) -> dict[str, Any]:
    return {
        "median_ms": median_ms,
        "low_ms": 0.99 * median_ms,
        "high_ms": 1.01 * median_ms,
        "std_ms": 0.1,
        "n_runs": n_runs,
        "is_disturbed": False,
    }


@pytest.mark.parametrize(
    ("medians", "is_over"),
    [
        ([], False),
        ([1.0], False),
        ([1.0, 1.03], True),
        ([1.0, 1.3], False),
        ([1.0, 1.3, 1.29], False),
        ([1.0, 1.3, 1.01], True),
        ([1.0, 2.0, 3.0, 4.0], True),
    ],
)
def test_passes_go_on_until_the_two_fastest_agree(medians: list[float], is_over: bool) -> None:
    assert has_agreement([one_pass(median) for median in medians], PROTOCOL) is is_over


def test_the_two_fastest_passes_make_the_measurement() -> None:
    combined = combine([one_pass(1.3, 50), one_pass(1.0, 100), one_pass(1.02, 300)], PROTOCOL)
    assert combined["median_ms"] == pytest.approx(1.01)
    assert (combined["low_ms"], combined["high_ms"]) == pytest.approx((0.99, 1.0302))
    assert combined["n_runs"] == 400
    assert combined["pass_medians_ms"] == [1.3, 1.0, 1.02]
    assert combined["is_repeatable"]
    assert not combine([one_pass(1.0), one_pass(1.3)], PROTOCOL)["is_repeatable"]


def test_of_two_passes_that_do_not_agree_the_faster_counts() -> None:
    combined = combine([one_pass(1.5, 50), one_pass(1.0, 100)], PROTOCOL)
    assert (combined["median_ms"], combined["n_runs"], combined["is_repeatable"]) == (1.0, 100, False)
    assert combined["pass_medians_ms"] == [1.5, 1.0]


def test_a_single_pass_agrees_with_none_where_two_were_asked_for() -> None:
    assert not combine([one_pass(1.0)], PROTOCOL)["is_repeatable"]
    assert combine([one_pass(1.0)], TimingProtocol(n_passes=1))["is_repeatable"]


def test_a_pass_takes_no_longer_than_it_is_given_but_its_least_time() -> None:
    protocol = TimingProtocol(warmup_s=0.1, min_time_s=0.2, max_time_s=1.0)
    assert protocol.within(5.0) == protocol
    assert protocol.within(0.6).max_time_s == pytest.approx(0.5)
    assert protocol.within(-1.0).max_time_s == protocol.min_time_s


def test_no_patience_at_all_is_refused() -> None:
    with pytest.raises(InvalidSettingError, match="patience_s"):
        TimingProtocol(patience_s=0.0)


def test_one_pass_alone_is_what_it_is() -> None:
    assert combine([one_pass(2.0)], TimingProtocol(n_passes=1))["median_ms"] == 2.0


def test_impossible_numbers_of_passes_are_refused() -> None:
    with pytest.raises(InvalidSettingError, match="n_passes"):
        TimingProtocol(n_passes=3, max_passes=2)
