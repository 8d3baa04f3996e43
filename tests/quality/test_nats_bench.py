from __future__ import annotations

import bz2
import os
import pickle
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnlqp_nas.core import Architecture, InvalidSettingError, UnknownNameError
from nnlqp_nas.quality import NatsBenchTss
from nnlqp_nas.quality.nats_bench import SPLITS
from nnlqp_nas.quality.safe_pickle import read_plain_pickle
from nnlqp_nas.search_spaces.nasbench201 import NasBench201
from nnlqp_nas.testing.quality_contract import QualityContract, draw_members

SPACE = NasBench201()
MEMBERS = draw_members(SPACE, 4)
SEEDS = {"cifar10-valid": [777, 888], "cifar10": [777, 888, 999], "cifar100": [777], "ImageNet16-120": [777, 888]}
TESTED_ON = {"cifar10-valid": ["x-valid", "ori-test"], "cifar10": ["ori-test"]}


def run_of(trained_on: str, seed: int, n_epochs: int, number: int) -> dict[str, Any]:
    """A trial with the fields that the benchmark's authors wrote, and made-up numbers."""
    sets = TESTED_ON.get(trained_on, ["x-valid", "x-test", "ori-test"])
    keys = [(name, epoch) for name in sets for epoch in range(n_epochs)]
    accuracies = {f"{name}@{epoch}": 10.0 + number + len(name) + 0.01 * seed * (epoch + 1) / n_epochs for name, epoch in keys}
    epochs = dict.fromkeys(range(n_epochs), 50.0)
    return {
        "name": "infer.tiny",
        "net_state_dict": None,
        "train_acc1es": epochs,
        "train_acc5es": epochs,
        "train_losses": epochs,
        "train_times": epochs,
        "arch_config": {"channel": 16, "num_cells": 5, "arch_str": SPACE.encode(MEMBERS[number]), "class_num": 10},
        "params": 0.1,
        "flop": np.float64(15.6),
        "seed": seed,
        "epochs": n_epochs,
        "latency": [0.01],
        "eval_names": sets,
        "eval_acc1es": accuracies,
        "eval_times": dict.fromkeys(accuracies, 1.0),
        "eval_losses": dict.fromkeys(accuracies, 1.0),
    }


def record_of(number: int, n_epochs: int) -> dict[str, Any]:
    trials = {(name, seed): run_of(name, seed, n_epochs, number) for name, seeds in SEEDS.items() for seed in seeds}
    cell = SPACE.encode(MEMBERS[number])
    return {"arch_index": number, "arch_str": cell, "all_results": trials, "dataset_seed": SEEDS, "clear_net_done": True}


def content_of(names: tuple[str, str] = ("12", "200")) -> dict[str, Any]:
    records = {
        number: OrderedDict(zip(names, (record_of(number, 12), record_of(number, 200)), strict=True)) for number in range(len(MEMBERS))
    }
    cells = [SPACE.encode(member) for member in MEMBERS]
    return {"meta_archs": cells, "arch2infos": OrderedDict(records), "evaluated_indexes": set(records)}


def write_pickle(path: Path, content: object) -> None:
    path.write_bytes(bz2.compress(pickle.dumps(content, protocol=4)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The folder, the file and NAS-Bench-201's own file, as the authors wrote theirs."""
    import torch

    root = tmp_path_factory.mktemp("nats")
    simple, content = root / "NATS-tss-v1_0-3ffb9-simple", content_of()
    simple.mkdir()
    write_pickle(simple / "meta.pickle.pbz2", {"meta_archs": content["meta_archs"], "evaluated_indexes": content["evaluated_indexes"]})
    for number, record in content["arch2infos"].items():
        write_pickle(simple / f"{number:06d}.pickle.pbz2", record)
    write_pickle(root / "NATS-tss-v1_0-3ffb9.pickle.pbz2", content)
    old = content_of(("less", "full"))
    torch.save({**old, "evaluated_indexes": sorted(old["evaluated_indexes"])}, root / "NAS-Bench-201-v1_1-096897.pth")
    return root


SOURCES = ["NATS-tss-v1_0-3ffb9-simple", "NATS-tss-v1_0-3ffb9.pickle.pbz2", "NAS-Bench-201-v1_1-096897.pth"]


class TestNatsBenchTss(QualityContract):
    @pytest.fixture(params=SOURCES)
    def quality(self, request, folder: Path) -> NatsBenchTss:
        return NatsBenchTss(folder / request.param)

    @pytest.fixture
    def members(self) -> list[Architecture]:
        return MEMBERS


# cifar10: three seeds, tested on "ori-test"; cifar10 valid: two seeds, on "x-valid": see run_of.
@pytest.mark.parametrize("source", SOURCES)
def test_a_value_is_the_mean_over_seeds_after_the_last_epoch(folder, source):
    test = NatsBenchTss(folder / source).evaluate(MEMBERS[:2])
    assert test == pytest.approx([10 + 8 + 8.88, 11 + 8 + 8.88])
    valid = NatsBenchTss(folder / source, split="valid", n_epochs=12).evaluate(MEMBERS[:1])
    assert valid == pytest.approx([10 + 7 + (7.77 + 8.88) / 2])


@pytest.mark.parametrize(("dataset", "split"), SPLITS)
@pytest.mark.parametrize("n_epochs", [12, 200])
def test_values_equal_those_of_the_authors_own_reader(folder, dataset, split, n_epochs):
    nats_bench = pytest.importorskip("nats_bench", reason="the peer is not installed: pip install nats-bench")
    peer = nats_bench.create(str(folder / SOURCES[0]), "tss", fast_mode=True, verbose=False)
    quality = NatsBenchTss(folder / SOURCES[0], dataset, split, n_epochs)
    trained_on = SPLITS[dataset, split][0]
    for number, member in enumerate(MEMBERS):
        told = peer.get_more_info(number, trained_on, hp=str(n_epochs), is_random=False)[f"{split}-accuracy"]
        assert quality.evaluate([member])[0] == pytest.approx(told)


class Exploit:
    def __reduce__(self):
        return os.system, ("touch nnlqp_nas_was_here",)


@pytest.mark.parametrize("compress", [bz2.compress, bytes])
def test_a_pickle_that_would_run_code_is_refused_and_runs_nothing(tmp_path, monkeypatch, compress):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "NATS-tss.pickle.pbz2"
    path.write_bytes(compress(pickle.dumps({"meta_archs": Exploit()})))
    with pytest.raises(InvalidSettingError, match=r"it names posix.system, which is no plain data; take the file without weights"):
        NatsBenchTss(path)
    assert not (tmp_path / "nnlqp_nas_was_here").exists()


def test_a_file_of_torch_that_would_run_code_is_refused(tmp_path, monkeypatch):
    import torch

    monkeypatch.chdir(tmp_path)
    torch.save({"meta_archs": Exploit()}, tmp_path / "NAS-Bench-201.pth")
    with pytest.raises(InvalidSettingError, match="weights_only=True"):
        NatsBenchTss(tmp_path / "NAS-Bench-201.pth")
    assert not (tmp_path / "nnlqp_nas_was_here").exists()


def test_plain_data_is_read_whatever_the_protocol(tmp_path):
    plain = {"a": [1, 2.5, None, True, "text", (3,)], "b": OrderedDict(c={4}), "d": np.float32(0.5), "e": defaultdict(list, f=[1])}
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        (tmp_path / "plain").write_bytes(pickle.dumps(plain, protocol=protocol))
        assert read_plain_pickle(tmp_path / "plain") == plain
    # NumPy's scalars have moved since the benchmarks' files were written.
    (tmp_path / "old").write_bytes(pickle.dumps(np.float64(0.5), protocol=0).replace(b"numpy._core", b"numpy.core"))
    assert read_plain_pickle(tmp_path / "old") == 0.5


@pytest.mark.parametrize("content", [b"", b"BZh", b"BZh9 cut", b"\x80\x04", b"nonsense", pickle.dumps([1, 2])])
def test_damaged_files_are_named(tmp_path, content):
    (tmp_path / "NATS-tss.pickle.pbz2").write_bytes(content)
    with pytest.raises(InvalidSettingError, match=r"expected a .*NATS-tss"):
        NatsBenchTss(tmp_path / "NATS-tss.pickle.pbz2")


def test_what_is_not_there_is_said(tmp_path, folder):
    with pytest.raises(InvalidSettingError, match="check the path"):
        NatsBenchTss(tmp_path / "none.pickle.pbz2")
    with pytest.raises(InvalidSettingError, match="check the path"):
        NatsBenchTss(tmp_path)
    with pytest.raises(InvalidSettingError, match="found none"):
        NatsBenchTss(folder / SOURCES[0]).evaluate([next(SPACE.neighbours(MEMBERS[0]))])
    with pytest.raises(UnknownNameError, match="nearest known: cifar100"):
        NatsBenchTss(folder / SOURCES[0], "cifar1000")
    with pytest.raises(InvalidSettingError, match="expected a split test or valid, got 'train'"):
        NatsBenchTss(folder / SOURCES[0], split="train")
    with pytest.raises(InvalidSettingError, match="expected n_epochs to be 200 or 12, got 90"):
        NatsBenchTss(folder / SOURCES[0], n_epochs=90)
