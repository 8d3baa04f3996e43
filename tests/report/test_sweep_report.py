from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from nnlqp_nas.report import SweepRow, write_sweep
from nnlqp_nas.report.sweep import group_series
from nnlqp_nas.search import SearchOutcome

FROZEN = Path(__file__).parents[1] / "search" / "outcome_v1.json"


@pytest.fixture
def rows():
    outcome = SearchOutcome.from_json(FROZEN.read_text(encoding="utf-8"))
    settings = [("tpe", 8.0), ("tpe", 4.0), ("<b>", 4.0)]
    found = [
        SweepRow.of(job, {"search": search, "budget_ms": ms}, str(job), replace(outcome, budget_ms=ms))
        for job, (search, ms) in enumerate(settings)
    ]
    return [*found, SweepRow(3, {"search": "<b>", "budget_ms": 1e-9}, "3", "nasbench201", "cpu-x-fp32", 1e-9, error="raise <budget_ms>")]


def test_a_row_has_the_best_that_was_verified_within_the_budget(rows):
    outcome = SearchOutcome.from_json(FROZEN.read_text(encoding="utf-8"))
    within = [finding for finding in outcome.verified if finding.within_budget]
    assert rows[0].accuracy == max(finding.accuracy for finding in within)
    assert (rows[0].n_within, rows[0].n_verified) == (len(within), len(outcome.verified))
    none = replace(outcome, front=tuple(replace(finding, within_budget=False) for finding in outcome.front))
    assert SweepRow.of(0, {}, "0", none).accuracy is None
    unverified = replace(outcome, front=tuple(replace(finding, measured_ms=None, within_budget=True) for finding in outcome.front))
    assert SweepRow.of(0, {}, "0", unverified).measured_ms is None


def test_a_series_is_all_that_varies_but_the_budget(rows):
    series = group_series(rows)
    assert [[row.job for row in group] for group in series.values()] == [[2], [1, 0]]
    assert [name.rpartition(", ")[2] for name in series] == ["<b>", "tpe"]


def test_files_of_a_sweep_need_nothing_from_elsewhere(rows, tmp_path):
    write_sweep(tmp_path, rows, "accuracy, %")
    assert json.loads((tmp_path / "sweep.json").read_text())[3]["error"] == "raise <budget_ms>"
    assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG\r\n")
    page = (tmp_path / "sweep.html").read_text(encoding="utf-8")
    own = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert re.findall(r'(?:src|href)="(?!data:)([^"]*)', own) == ["0/pareto.html", "1/pareto.html", "2/pareto.html"]
    assert "raise &lt;budget_ms&gt;" in own
    assert "<b>" not in own
    assert "4 searches, 1 of them without a result" in own


def test_a_sweep_that_found_nothing_is_shown_too(rows, tmp_path):
    write_sweep(tmp_path, rows[3:], "accuracy, %")
    assert "1 search, 1 of them" in (tmp_path / "sweep.html").read_text(encoding="utf-8")
