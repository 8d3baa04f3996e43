from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnlqp_nas.core import Architecture
from nnlqp_nas.report.series import History, budget_steps, describe_errors, is_covered, measured_steps
from nnlqp_nas.search import Candidate, SearchOutcome

FROZEN = Path(__file__).parents[1] / "search" / "outcome_v1.json"
CANDIDATES = st.lists(
    st.builds(
        lambda place, ms, width, accuracy: Candidate(
            Architecture("a", (place,)), f"{place:032x}", ms, (ms * (1 - width), ms * (1 + width)), accuracy
        ),
        st.integers(0, 10**6),
        st.floats(0.1, 20),
        st.floats(0, 0.5),
        st.one_of(st.none(), st.floats(0, 100)),
    ),
    max_size=30,
)


@given(CANDIDATES)
def test_history_is_of_rated_candidates_and_its_best_never_falls(candidates):
    history = History.of(candidates)
    assert history.accuracy == [candidate.accuracy for candidate in candidates if candidate.accuracy is not None]
    assert [candidates[place - 1].accuracy for place in history.n_priced] == history.accuracy
    assert history.best == [max(history.accuracy[: i + 1]) for i in range(len(history.accuracy))]


@given(CANDIDATES, st.floats(0.1, 20))
def test_each_budget_allows_the_best_that_fits_it(candidates, budget_ms):
    budgets_ms, best = budget_steps(candidates, budget_ms)
    assert budgets_ms == sorted(budgets_ms)
    assert best == sorted(set(best))
    for smaller_ms in [budget_ms, *budgets_ms]:
        fitting = [c.accuracy for c in candidates if c.accuracy is not None and c.interval_ms[1] <= smaller_ms]
        allowed = [accuracy for step_ms, accuracy in zip(budgets_ms, best, strict=True) if step_ms <= smaller_ms]
        assert (allowed[-1:] or [None]) == ([max(fitting)] if fitting else [None])


def test_errors_are_those_of_what_was_measured():
    outcome = SearchOutcome.from_json(FROZEN.read_text(encoding="utf-8"))
    first = outcome.front[0]
    inside = replace(first, predicted_ms=2.0, interval_ms=(1.5, 3.0), measured_ms=2.5)
    outside = replace(first, predicted_ms=2.0, interval_ms=(1.5, 3.0), measured_ms=4.0)
    assert [is_covered(finding) for finding in (inside, outside, replace(inside, measured_ms=None))] == [True, False, False]
    assert describe_errors([inside, outside]) == "2 measured: mean error 35.0 %, 1 of 2 inside their intervals"
    assert describe_errors([]) == "nothing was measured"
    alone = replace(outcome, front=(replace(inside, accuracy=90.0), replace(outside, accuracy=80.0)))
    assert measured_steps(alone) == ([2.5], [90.0])
    both = replace(outcome, front=(replace(inside, accuracy=80.0), replace(outside, accuracy=90.0)))
    assert measured_steps(both) == ([2.5, 4.0], [80.0, pytest.approx(90.0)])
