"""``nnlqp-nas search -m``: every combination is one search, and all of them end in one table, page and picture."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec

import pytest

from nnlqp_nas.commands.search_sweep import expand_jobs
from nnlqp_nas.core import InvalidSettingError
from nnlqp_nas.main import main

SMALL = ["predictor=universal", "adapt.n_samples=0", "verify.k=0", "n_trials=12", "max_priced=40", "+space.n_cells=1", "search.n_ask=20"]


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_combinations_are_those_of_hydra_in_its_order():
    jobs = expand_jobs(["seed=1", "budget_ms=10,20", "search=tpe,nsga2", "campaign_of=[a,b]", "platform=a"])
    assert [job.varied for job in jobs] == [
        {"budget_ms": 10, "search": "tpe"},
        {"budget_ms": 10, "search": "nsga2"},
        {"budget_ms": 20, "search": "tpe"},
        {"budget_ms": 20, "search": "nsga2"},
    ]
    assert [job.number for job in jobs] == [0, 1, 2, 3]
    assert jobs[2].overrides == ("seed=1", "budget_ms=20", "search=tpe", "campaign_of=[a,b]", "platform=a")
    assert [job.varied["seed"] for job in expand_jobs(["seed=range(0,3)"])] == [0, 1, 2]


def test_nothing_to_sweep_is_said():
    with pytest.raises(InvalidSettingError, match="leave -m out for one search"):
        expand_jobs(["budget_ms=3"])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["budget_ms=1,fast"], "expected budget_ms > 0, got fast"),
        (["budget_ms=1,-1"], "expected budget_ms > 0, got -1"),
        (["budgetms=1,2"], "nearest known: budget_ms"),
        (["search=tpe,nsga"], "nearest known: nsga3, nsga2"),
        (["adapt.n_sample=1,2"], "nearest known: adapt.n_samples"),
        (["search.n_objective=1,2"], "nearest known: search.n_objectives"),
        (["search.n_ask=1,many"], "expected search.n_ask to be a number, got many; it stands at 64"),
        (["budget_ms=1,2", "hydra/launcher=joblb"], "unknown launcher 'joblb'"),
        (["budget_ms=1,2", "ray=many"], "expected ray to be a number of workers >= 1, got many"),
        (["budget_ms=1,"], "expected overrides like budget_ms=10,20"),
        (["budget_ms=1"], "leave -m out"),
    ],
)
def test_no_search_begins_where_one_setting_is_wrong(overrides, message, capsys, tmp_path):
    assert main(["search", "-m", *SMALL, *overrides]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert message in said.err
    assert len(said.err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_sweep_ends_in_one_table_a_page_and_a_picture(capsys, tmp_path):
    arguments = ["search", "-m", "--json", *SMALL, "budget_ms=1e-12,4", "search=tpe,random", "output=swept"]
    assert main(arguments) == 1  # no network takes a femtosecond: that search has a reason and no result
    rows = json.loads(capsys.readouterr().out)
    assert rows == json.loads((tmp_path / "swept" / "sweep.json").read_text())
    assert [(row["job"], row["varied"]["budget_ms"], row["varied"]["search"]) for row in rows] == [
        (0, 1e-12, "tpe"),
        (1, 1e-12, "random"),
        (2, 4, "tpe"),
        (3, 4, "random"),
    ]
    for row in rows:
        assert (row["error"] is None) == (row["budget_ms"] == 4) == (row["accuracy"] is not None)
    for row in rows[2:]:
        outcome = json.loads((tmp_path / "swept" / row["folder"] / "outcome.json").read_text())
        assert row["accuracy"] == max(finding["accuracy"] for finding in outcome["front"] if finding["within_budget"])
    assert "raise budget_ms" in rows[0]["error"]
    page = (tmp_path / "swept" / "sweep.html").read_text()
    own = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert re.findall(r'(?:src|href)="(?!data:)([^"]*)', own) == ["2/pareto.html", "3/pareto.html"]
    assert (tmp_path / "swept" / "sweep.png").read_bytes().startswith(b"\x89PNG\r\n")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("package", "launched"),
    [("hydra_plugins.hydra_joblib_launcher", ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]), ("ray", ["ray=2"])],
)
def test_searches_side_by_side_find_what_they_find_one_after_the_other(package, launched, tmp_path):
    if find_spec(package.partition(".")[0]) is None or find_spec(package) is None:
        pytest.skip(f"needs {package}")
    found = [run_in_shell([*SMALL, "budget_ms=2,4", f"output={tmp_path / name}", *how]) for name, how in (("one", []), ("both", launched))]
    one, both = ([{name: row[name] for name in ("job", "budget_ms", "accuracy", "predicted_ms")} for row in rows] for rows in found)
    assert one == both


def run_in_shell(overrides):
    command = [sys.executable, "-m", "nnlqp_nas", "search", "-m", "--json", *overrides]
    # Ray runs its workers below every other process of the machine, which may be a busy one.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)
