"""NNI's experiments of hyper-parameters over search spaces of this project."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

pytest.importorskip("pytorch_lightning")
pytest.importorskip("nni")

from nnlqp_nas.core import InvalidSettingError
from nnlqp_nas.search.nni import as_hpo_search_space, constrained_metric, read_hpo_parameters
from nnlqp_nas.search_spaces.nasbench201 import NasBench201

pytestmark = pytest.mark.nni
ROOT = Path(__file__).parents[3]


def test_a_space_and_its_members_go_there_and_back():
    space = NasBench201()
    search_space = json.loads(json.dumps(as_hpo_search_space(space)))
    assert search_space["edge_0_1"] == {
        "_type": "choice",
        "_value": ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"],
    }
    architecture = space.sample(np.random.default_rng(0))
    parameters = {name: offer["_value"][digit] for (name, offer), digit in zip(search_space.items(), architecture.code, strict=True)}
    assert read_hpo_parameters(space, parameters) == architecture
    with pytest.raises(InvalidSettingError, match="edge_2_3"):
        read_hpo_parameters(space, {name: value for name, value in parameters.items() if name != "edge_2_3"})
    with pytest.raises(InvalidSettingError, match="edge_0_1 to be one of"):
        read_hpo_parameters(space, {**parameters, "edge_0_1": "conv_9x9"})


def test_what_is_above_the_budget_is_worse_than_anything_within_and_worse_the_slower_it_is():
    metrics = [
        constrained_metric(accuracy, latency_ms, 10.0) for accuracy, latency_ms in [(90.0, 9.0), (0.0, 10.0), (99.0, 11.0), (None, 30.0)]
    ]
    assert metrics == sorted(metrics, reverse=True)
    assert metrics == [90.0, 0.0, pytest.approx(-0.1), pytest.approx(-2.0)]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_experiment_asks_trials_for_their_next_parameter_and_leaves_nothing(home, tmp_path):
    """The example of the documentation, with the manager of NNI's, on ports that it leaves again."""
    import subprocess

    before = {process.pid for process in psutil.process_iter()}
    command = [
        sys.executable,
        "-m",
        "benchmarks.nni_hpo",
        "--trials",
        "4",
        "--budget-ms",
        "3",
        "--folder",
        str(tmp_path / "experiment"),
        "--json",
    ]
    environment = {**os.environ, "HOME": str(home), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-2000:]
    figures = json.loads(done.stdout)
    assert len(figures["trials"]) == 4
    for trial in figures["trials"]:
        assert (trial["metric"] >= 0) == (trial["latency_ms"] <= 3)
    time.sleep(1)
    assert [process for process in psutil.process_iter() if process.pid not in before and "nni" in process.name()] == []
    assert [path for path in (home / "nni-experiments").rglob("*") if path.is_file() and path.name != ".experiment"] == []
