from __future__ import annotations

import json

import pytest

from nnlqp_nas.main import main


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["budget_ms=-1"], "expected budget_ms > 0, got -1"),
        (["budget_ms=0"], "expected budget_ms > 0"),
        (["budget_ms=nan"], "expected budget_ms > 0"),
        (["budget_ms=fast"], "expected budget_ms > 0, got fast"),
        (["n_trials=0"], "expected n_trials to be a whole number >= 1, got 0"),
        (["seed=-1"], "expected seed"),
        (["budget_quantile=2"], "expected budget_quantile between 0 and 1"),
        (["n_trails=3"], "nearest known: n_trials"),
        (["adapt.n_sample=3"], "nearest known: adapt.n_samples"),
        (["space=nasbench20"], "nearest known: nasbench201"),
        (["search=tpa"], "nearest known: tpe"),
        (["quality=cifar10"], "nearest known: nasbench201_cifar10"),
        (["platform=cpu-onnxruntim-fp32"], "cpu-onnxruntime-fp32"),
        (["seed"], "expected overrides like seed=3, got 'seed'"),
        (["seed=["], "expected overrides"),
        (["space=mobilenetv3"], "expected a quality for space mobilenetv3"),
        (["search.n_objectives=3"], "expected 1 or 2 objectives"),
        (["search.colour=3"], "colour"),
        (["probability=1"], "expected a probability between 0 and 1, got 1"),
        (["probability=likely"], "expected probability to be a number, got likely"),
        (["limits.params=-3"], "expected limits.params > 0, or null for none, got -3"),
        (["limits.parms=3"], "nearest known: limits.params"),
        (["platforms_ms={cpu-openvino-fp32: 0}"], "expected platforms_ms.cpu-openvino-fp32 > 0, got 0"),
        (["platforms_ms={cpu-openvin-fp32: 3}"], "cpu-openvino-fp32"),
    ],
)
def test_bad_settings_are_refused_in_one_line(overrides, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["search", *overrides]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert message in said.err
    assert len(said.err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_help_lists_the_settings(capsys):
    assert main(["search", "--help"]) == 0
    assert "budget_quantile: 0.5" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_whole_run_writes_its_folder_and_can_be_read_back(capsys, tmp_path):
    folder = tmp_path / "run"
    overrides = ["predictor=flops_linear", "adapt.n_samples=4", "adapt.n_candidates=50", "n_trials=40", "verify.k=2", "verify.n_at_once=1"]
    overrides += ["verify.n_more=5", "budget_quantile=1", f"output={folder}", f"database={tmp_path / 'db'}", "+space.n_cells=1"]
    assert main(["search", "--json", *overrides]) == 0
    outcome = json.loads(capsys.readouterr().out)
    assert outcome == json.loads((folder / "outcome.json").read_text(encoding="utf-8"))
    # Two are measured; the four samples may be among what was found.
    assert 1 <= sum(finding["measured_ms"] is not None for finding in outcome["front"]) <= 6
    assert "unverified" not in outcome
    assert {"pareto.html", "pareto.png", "candidates.csv", "study.log"} <= {path.name for path in folder.iterdir()}
    assert main(["search", "--json", *overrides]) == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["front"], again["n_evaluated"]) == (outcome["front"], outcome["n_evaluated"])
    assert 40 <= outcome["n_evaluated"] <= 45


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_cannot_be_measured_here_is_said_to_be_unverified(capsys, tmp_path):
    overrides = ["platform=gpu-1080ti-torch-fp32", "adapt.n_samples=0", "budget_ms=60", "n_trials=10", "search=random", "search.n_ask=16"]
    assert main(["search", "--json", *overrides, f"output={tmp_path / 'run'}", f"database={tmp_path / 'db'}"]) == 0
    outcome = json.loads(capsys.readouterr().out)
    assert "gpu-1080ti-torch-fp32" in outcome["unverified"]
    assert all(finding["measured_ms"] is None for finding in outcome["front"])
    assert main(["search", *overrides, "adapt.n_samples=5", f"output={tmp_path / 'run'}", f"database={tmp_path / 'db'}"]) == 2


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_further_budgets_are_kept(capsys, tmp_path):
    overrides = ["adapt.n_samples=0", "verify.k=0", "budget_ms=50", "n_trials=20", "search=random", "search.n_ask=16", "+space.n_cells=1"]
    overrides += ["platforms_ms={gpu-1080ti-torch-fp32: 60.0}", "limits.params=200000", f"output={tmp_path}", f"database={tmp_path / 'db'}"]
    assert main(["search", "--json", *overrides]) == 0
    outcome = json.loads(capsys.readouterr().out)
    assert outcome["budgets"] == {"params": 200000.0, "gpu-1080ti-torch-fp32 latency_ms": 60.0}
    assert outcome["hypervolume"] > 0
    for finding in outcome["front"]:
        assert finding["uses"]["params"] <= 200000
        assert finding["uses"]["gpu-1080ti-torch-fp32 latency_ms"] <= 60.0
