from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from nnlqp_nas.core import Architecture, Platform
from nnlqp_nas.report import write_report
from nnlqp_nas.search import Candidate, SearchOutcome

FROZEN = Path(__file__).parents[1] / "search" / "outcome_v1.json"


@pytest.fixture
def outcome() -> SearchOutcome:
    return SearchOutcome.from_json(FROZEN.read_text(encoding="utf-8"))


@pytest.fixture
def candidates(outcome) -> list[Candidate]:
    found = [
        Candidate(Architecture.from_key(f.key), f"{i:032x}", f.predicted_ms, f.interval_ms, f.accuracy) for i, f in enumerate(outcome.front)
    ]
    over = Candidate(
        Architecture.from_key("nasbench201:3-3-3-3-3-3"), "f" * 32, 2 * outcome.budget_ms, (outcome.budget_ms, 3 * outcome.budget_ms)
    )
    return [*found, over]


def test_page_needs_nothing_from_elsewhere_and_shows_every_verified_network(outcome, candidates, tmp_path):
    write_report(tmp_path, outcome, candidates, {"seed": 0, "space": {"name": "<b>"}}, "accuracy, %")
    page = (tmp_path / "pareto.html").read_text(encoding="utf-8")
    own = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert not re.findall(r'(?:src|href)="(?!data:)', own)
    assert not re.findall(r"<script[^>]*\ssrc=", page)
    for finding in outcome.verified:
        assert finding.architecture in own
        assert f"{finding.measured_ms:.3f}" in own
    assert str(Platform.parse(outcome.platform)) in own
    assert "&lt;b&gt;" in own
    assert "<b>&" not in own


PICTURES = ("pareto.png", "history.png", "budgets.png", "measured.png")


def test_pictures_are_png(outcome, candidates, tmp_path):
    write_report(tmp_path, outcome, candidates, {}, "accuracy, %")
    assert {path.name for path in tmp_path.glob("*.png")} == set(PICTURES)
    for name in PICTURES:
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG\r\n")


def test_one_copy_of_what_draws_serves_every_plot_of_the_page(outcome, candidates, tmp_path):
    write_report(tmp_path, outcome, candidates, {}, "accuracy, %")
    page = (tmp_path / "pareto.html").read_text(encoding="utf-8")
    assert page.count("Plotly.newPlot(") == 4
    assert len(page) < 6_000_000
    for heading in ("Verified by measurement", "Predicted against measured", "Search history", "Accuracy within smaller budgets"):
        assert heading in page


def test_every_candidate_is_listed(outcome, candidates, tmp_path):
    write_report(tmp_path, outcome, candidates, {}, "accuracy, %")
    with (tmp_path / "candidates.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["architecture"] for row in rows] == [candidate.architecture.key for candidate in candidates]
    assert rows[-1]["accuracy"] == ""


def test_an_outcome_without_measurements_is_shown_too(outcome, candidates, tmp_path):
    document = outcome.to_json()
    for finding in document["front"]:
        finding["measured_ms"] = None
    write_report(tmp_path, SearchOutcome.from_json(document), candidates, {}, "accuracy, %")
    page = (tmp_path / "pareto.html").read_text(encoding="utf-8")
    assert "Found" in page
    assert "nothing was measured" in page
    assert not (tmp_path / "measured.png").exists()
