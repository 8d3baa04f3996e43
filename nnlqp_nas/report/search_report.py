"""The files of a search's report: page, picture and the list of candidates."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..search import Candidate, SearchOutcome
from .pareto_page import render_page
from .pareto_picture import draw_picture
from .run_pictures import draw_budgets, draw_history, draw_measured


def write_report(folder: Path, outcome: SearchOutcome, candidates: Sequence[Candidate], settings: dict[str, Any], metric: str) -> None:
    """Write the page ``pareto.html``, pictures and ``candidates.csv`` into a folder.

    The pictures are ``pareto.png``, ``history.png``, ``budgets.png`` and, where something was measured, ``measured.png``.

    Args:
        folder: Where; it exists.
        outcome: What the search found.
        candidates: All it priced.
        settings: Of the run, JSON types.
        metric: What the accuracies are, such as ``CIFAR-10 test accuracy, %``.
    """
    (folder / "pareto.html").write_text(render_page(outcome, candidates, settings, metric), encoding="utf-8")
    draw_picture(folder / "pareto.png", outcome, candidates, metric)
    draw_history(folder / "history.png", outcome, candidates, metric)
    draw_budgets(folder / "budgets.png", outcome, candidates, metric)
    if outcome.verified:
        draw_measured(folder / "measured.png", outcome)
    with (folder / "candidates.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["architecture", "graph_key", "predicted_ms", "low_ms", "high_ms", "accuracy"])
        for candidate in candidates:
            accuracy = "" if candidate.accuracy is None else candidate.accuracy
            table.writerow([candidate.architecture.key, candidate.graph_key, candidate.predicted_ms, *candidate.interval_ms, accuracy])
