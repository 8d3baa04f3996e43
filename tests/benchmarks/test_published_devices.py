from __future__ import annotations

import pytest

from benchmarks import published_devices
from benchmarks.evaluation import Cells
from benchmarks.published_devices import GTX1660, over_devices, run, task
from nnlqp_nas.core import InvalidSettingError


def test_each_method_is_trained_once_a_space_and_seed_and_the_slow_ones_on_the_gtx_1660_alone(tmp_path, monkeypatch):
    asked = []

    def learn(method, settings, train, tests, seed):
        asked.append((method, seed))
        judged = {"mape": 1.0 + seed, "acc10": 100.0, "acc5": 100.0, "spearman": 1.0, "kendall": 1.0, "coverage": 90.0}
        return {method: {"a": judged, "b": {**judged, "mape": 5.0}}, "seconds": 1.0}

    monkeypatch.setattr(published_devices, "task", lambda name, seed, sizes: ([], {}))
    monkeypatch.setattr(published_devices, "learn_and_judge", learn)
    cells = Cells(tmp_path / "cells.jsonl")
    found, digests = run(("fbnet", GTX1660), ("flops", "brp_nas"), 2, cells, {}, (10, 5))
    assert asked == [("flops", 0), ("flops", 1), ("flops", 0), ("brp_nas", 0), ("flops", 1), ("brp_nas", 1)]
    assert {device: [result["mape"] for result in results] for device, results in found["flops"]["fbnet"].items()} == {
        "a": [1.0, 2.0],
        "b": [5.0, 5.0],
    }
    assert list(found["brp_nas"]) == [GTX1660]
    told = over_devices(found["flops"]["fbnet"])
    assert (told["mape"], told["mape_std"], told["n_seeds"]) == (3.25, 0.25, 2)
    assert {name: len(of) for name, of in digests.items()} == {"fbnet": 2, GTX1660: 2}
    assert run(("fbnet", GTX1660), ("flops", "brp_nas"), 2, cells, {}, (10, 5))[0] == found
    assert len(asked) == 6


def test_without_the_tables_it_says_what_to_set(monkeypatch):
    monkeypatch.delenv("NNLQP_NAS_DATA", raising=False)
    with pytest.raises(InvalidSettingError, match="NNLQP_NAS_DATA"):
        task("fbnet", 0, (10, 5))
