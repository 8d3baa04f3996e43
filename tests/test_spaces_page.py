"""The page on spaces and qualities names all of them, and its example runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nnlqp_nas.commands.run_settings import group_choices
from nnlqp_nas.core.plugins import SPACES, plugin_names
from nnlqp_nas.quality.surrogate import SCOPES, read_card

PAGE = (Path(__file__).parents[1] / "docs" / "spaces-and-quality.md").read_text(encoding="utf-8")


def test_every_space_and_every_quality_is_named() -> None:
    choices = group_choices("search")
    names = {*choices["space"], *choices["quality"], *plugin_names(SPACES)}
    assert [name for name in sorted(names) if f"`{name}`" not in PAGE] == []


@pytest.mark.parametrize("space", SCOPES)
def test_the_figures_are_those_of_the_cards(space: str) -> None:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("|")]
    for errors in read_card(space)["errors"].values():
        stated = errors["rest"]
        figures = [stated["spearman"], stated["kendall_tau"], stated["mae_percent"], stated["spearman_best_fifth"]]
        expected = [f"{stated['n']:,}", f"{figures[0]:.3f}", f"{figures[1]:.3f}", f"{figures[2]:.2f} %", f"{figures[3]:.3f}"]
        assert any(row[2:] == expected for row in rows), expected


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(example, "docs/spaces-and-quality.md", "exec"), {"__name__": "example"})
    assert "'depth'" in capsys.readouterr().out
