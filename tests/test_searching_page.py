"""The page on searching names every sampler and every budget, and its example runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nnlqp_nas.commands.run_settings import group_choices
from nnlqp_nas.search import CostBudget

PAGE = (Path(__file__).parents[1] / "docs" / "searching.md").read_text(encoding="utf-8")


def test_every_sampler_and_every_limit_is_named() -> None:
    names = [*group_choices("search")["search"], *(f"limits.{quantity}" for quantity in CostBudget.QUANTITIES)]
    assert [name for name in names if f"`{name}`" not in PAGE] == []


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(example, "docs/searching.md", "exec"), {"__name__": "example"})
    assert re.fullmatch(r"[0-9.e-]+ \[[0-9.e-]+, [0-9.e-]+\]\n", capsys.readouterr().out)
