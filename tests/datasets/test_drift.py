from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnlqp_nas.datasets.averaging import average_passes
from nnlqp_nas.datasets.drift import Drift
from nnlqp_nas.datasets.journal import Pass

from .synthetic_passes import drifting_campaign, iso, one_pass

TURNS = np.linspace(0, 120, 13)


@given(st.lists(st.floats(0.01, 0.02), min_size=12, max_size=12), st.sampled_from([-1.0, 1.0]))
@settings(max_examples=30, deadline=None)
def test_a_drift_of_the_machine_is_recovered_and_taken_out_of_the_rows(steps: list[float], sign: float) -> None:
    at_turns = np.exp(sign * np.cumsum([0.0, *steps]))

    def slowness(minute: float) -> float:
        return float(np.exp(np.interp(minute, TURNS, np.log(at_turns))))

    passes = drifting_campaign(slowness)
    drift = Drift(passes)
    usual = float(np.median(at_turns))
    for minute in (0.0, 7.5, 60.0, 119.0, 120.0):
        assert drift.at(iso(minute)) == pytest.approx(slowness(minute) / usual, rel=1e-9)
    for row in average_passes(passes):
        assert row.latency_ms == pytest.approx((int(row.code) + 1) * usual, rel=1e-9)
        assert row.raw_ms == pytest.approx(row.latency_ms * row.drift)
    assert drift.spread == pytest.approx(np.std(np.log(at_turns)))


@given(st.floats(0.2, 20.0), st.integers(0, 3), st.integers(0, 12))
@settings(max_examples=30, deadline=None)
def test_one_mad_reference_moves_little(factor: float, mad: int, turn: int) -> None:
    def go_mad(one: Pass) -> Pass:
        is_it = one.is_reference and one.row.code == str(100 + mad) and one.number == turn
        return replace(one, row=replace(one.row, latency_ms=(one.row.latency_ms or 0.0) * factor)) if is_it else one

    def slowness(minute: float) -> float:
        return 1 + 0.1 * minute / 120

    calm = drifting_campaign(slowness)
    before, after = Drift(calm), Drift([go_mad(one) for one in calm])
    for minute in TURNS:
        assert after.at(iso(minute)) == pytest.approx(before.at(iso(minute)), rel=0.005)


@given(st.floats(0.3, 3.0), st.integers(0, 12))
@settings(max_examples=30, deadline=None)
def test_a_turn_in_a_burst_of_other_work_says_nothing_of_the_time_around_it(factor: float, turn: int) -> None:
    calm = drifting_campaign(lambda minute: 1 + 0.02 * minute / 120)
    burst = [
        replace(one, row=replace(one.row, latency_ms=(one.row.latency_ms or 0.0) * factor))
        if one.is_reference and one.number == turn
        else one
        for one in calm
    ]
    before, after = Drift(calm), Drift(burst)
    for minute in TURNS:
        assert after.at(iso(minute)) == pytest.approx(before.at(iso(minute)), rel=0.01)


def test_a_reference_that_failed_once_is_left_out_of_that_turn() -> None:
    passes = drifting_campaign(lambda minute: 1 + minute / 600)
    broken = [replace(one, row=replace(one.row, latency_ms=None)) if (one.number, one.row.code) == (5, "102") else one for one in passes]
    assert Drift(broken).at(iso(50)) == pytest.approx(Drift(passes).at(iso(50)), rel=1e-3)
    assert Drift(broken).n_turns == 13


def test_before_the_first_and_after_the_last_turn_it_stays() -> None:
    drift = Drift(drifting_campaign(lambda minute: 1 + minute / 240))
    assert drift.at(iso(-500)) == drift.at(iso(0)) < 1 < drift.at(iso(120)) == drift.at(iso(500))


@pytest.mark.parametrize("n_turns", [0, 1, 2])
def test_few_turns_correct_nothing(n_turns: int) -> None:
    drift = Drift([one_pass(100, 10 * turn, 1.0 + turn, turn, is_reference=True) for turn in range(n_turns)])
    assert (drift.n_turns, drift.at(iso(5)), drift.spread) == (n_turns, 1.0, 0.0)
