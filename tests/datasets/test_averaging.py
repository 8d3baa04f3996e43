from __future__ import annotations

import json

import pytest

from nnlqp_nas.datasets.averaging import average_passes

from .synthetic_passes import one_pass


def test_the_two_fastest_passes_count() -> None:
    (row,) = average_passes([one_pass(1, minute, ms, minute) for minute, ms in enumerate((1.5, 1.0, 1.02, 9.0))])
    assert row.latency_ms == pytest.approx(1.01)
    assert (row.low_ms, row.high_ms) == pytest.approx((0.99, 1.0404))
    assert (row.n_runs, row.drift) == (20, 1.0)
    facts = json.loads(row.facts)
    assert facts["pass_medians_ms"] == [1.5, 1.0, 1.02, 9.0]
    assert facts["is_repeatable"]


def test_passes_that_do_not_agree_say_so() -> None:
    (row,) = average_passes([one_pass(1, 0, 1.0, 0), one_pass(1, 1, 1.2, 1)])
    assert not json.loads(row.facts)["is_repeatable"]
    assert row.latency_ms == pytest.approx(1.1)


def test_a_disturbed_pass_marks_the_row_only_where_it_counts() -> None:
    passes = [one_pass(1, 0, 1.0), one_pass(1, 1, 1.01, 1), one_pass(1, 2, 3.0, 2, facts='{"is_disturbed": true}')]
    assert not json.loads(average_passes(passes)[0].facts)["is_disturbed"]
    assert json.loads(average_passes([*passes[:1], *passes[2:]])[0].facts)["is_disturbed"]


def test_a_failure_counts_only_where_nothing_was_measured() -> None:
    failures = [one_pass(1, minute, None, minute, stage="time", reason=f"limit {minute}") for minute in range(2)]
    assert average_passes(failures) == [failures[1].row]
    (row,) = average_passes([*failures, one_pass(1, 5, 2.0, 2)])
    assert (row.latency_ms, row.stage) == (2.0, "")


def test_a_row_for_each_network_and_platform_in_order_and_none_for_references() -> None:
    passes = [
        one_pass(7, 0, 1.0),
        one_pass(100, 1, 1.0, is_reference=True),
        one_pass(3, 2, 1.0),
        one_pass(7, 3, 1.0, platform="cpu-torch-fp32"),
    ]
    passes.append(one_pass(7, 4, 1.0, 1))
    assert [(row.code, row.platform.split("-")[1]) for row in average_passes(passes)] == [
        ("7", "instant"),
        ("3", "instant"),
        ("7", "torch"),
    ]
    assert average_passes([]) == []
