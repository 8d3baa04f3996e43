from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnlqp_nas.core import InvalidSettingError
from nnlqp_nas.datasets.journal import Journal, Pass

from .synthetic_passes import one_pass

PASSES = st.builds(
    one_pass,
    code=st.integers(0, 10**6),
    minute=st.floats(0, 1e4),
    latency_ms=st.none() | st.floats(1e-3, 1e6),
    number=st.integers(0, 100),
    is_reference=st.booleans(),
    reason=st.text(max_size=40),
)


@given(PASSES)
@settings(max_examples=30, deadline=None)
def test_a_pass_survives_its_line(one: Pass) -> None:
    line = one.to_json()
    assert "\n" not in line
    assert Pass.from_json(line) == one


def test_passes_come_back_in_their_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "deep" / "down" / "journal.jsonl")
    assert journal.read() == []
    journal.mend()
    passes = [one_pass(code, code, 1.0, number=code % 2, is_reference=code == 3) for code in range(5)]
    for one in passes:
        journal.append(one)
    assert journal.read() == passes


@pytest.mark.parametrize("n_cut", [1, 2, 50])
def test_a_line_that_was_cut_off_is_left_out_and_mended(n_cut: int, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    passes = [one_pass(code, code, 1.0) for code in range(3)]
    for one in passes:
        journal.append(one)
    journal.path.write_bytes(journal.path.read_bytes()[:-n_cut])
    assert journal.read() == passes[:2]
    journal.mend()
    journal.append(passes[2])
    assert journal.read() == passes


def test_identity_tells_rounds_and_references_apart() -> None:
    passes = [one_pass(1, 0, 1.0), one_pass(1, 0, 1.0, number=1), one_pass(1, 0, 1.0, is_reference=True), one_pass(2, 0, 1.0)]
    assert len({one.identity for one in passes}) == 4
    assert one_pass(1, 0, 1.0).identity == one_pass(1, 99, None).identity


@pytest.mark.parametrize("line", ["{}", "[]", "rubbish", '{"pass": 0, "is_reference": false, "row": {}}', '{"pass": "x", "row": 3}'])
def test_files_that_are_no_journal_are_refused(line: str, tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_text(line + "\n")
    with pytest.raises(InvalidSettingError, match="as JSON"):
        Journal(tmp_path / "journal.jsonl").read()
