from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnlqp_nas.core import InvalidSettingError
from nnlqp_nas.search import Finding, SearchOutcome

FROZEN = Path(__file__).parent / "outcome_v1.json"
REQUIRED = {"space", "platform", "budget_ms", "seed", "n_priced", "n_evaluated", "front", "seconds"}
latency = st.floats(0.001, 1e4)
finding = st.builds(
    Finding,
    architecture=st.one_of(st.text(), st.fixed_dictionaries({"ks": st.lists(st.integers()), "r": st.integers()})),
    key=st.just("nasbench201:0-0-0-0-0-0"),
    accuracy=st.floats(0, 100),
    predicted_ms=latency,
    interval_ms=st.tuples(latency, latency),
    measured_ms=st.none() | latency,
    within_budget=st.booleans(),
    is_pareto=st.booleans(),
)


@given(
    st.lists(finding, max_size=4), st.dictionaries(st.sampled_from(["measure", "search"]), st.integers(0, 999).map(lambda ms: ms / 1000))
)
def test_outcomes_read_back(front, seconds):
    outcome = SearchOutcome("nasbench201", "cpu-onnxruntime-fp32", 2.5, 0, 100, 20, tuple(front), seconds)
    assert SearchOutcome.from_json(json.dumps(outcome.to_json())) == outcome
    assert set(outcome.to_json()) == REQUIRED


def test_the_first_released_outcome_is_still_read():
    outcome = SearchOutcome.from_json(FROZEN.read_text(encoding="utf-8"))
    assert outcome.n_evaluated == 30
    assert len(outcome.verified) == 3
    assert outcome.to_json() == json.loads(FROZEN.read_text(encoding="utf-8"))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"front": [{}]}', '{"front": [], "space": "x"}', '{"front": 3}'])
def test_other_documents_are_refused(text):
    with pytest.raises(InvalidSettingError, match=r"expected the outcome\.json of a search"):
        SearchOutcome.from_json(text)
