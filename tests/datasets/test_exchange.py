"""Rows go out in NNLQP's layout or as parquet and come back the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import numpy as np
import onnx
import pytest

from nnlqp_nas.core import GraphView, InvalidSettingError, Measurement, Platform
from nnlqp_nas.database import SqlDatabase, open_database
from nnlqp_nas.datasets.importing import add_missing
from nnlqp_nas.datasets.latency_row import LatencyRow, write_rows
from nnlqp_nas.datasets.nnlqp_export import NnlqpExport
from nnlqp_nas.datasets.nnlqp_folder import Complaint, NnlqpFolder
from nnlqp_nas.datasets.reading import Result, known_contents, results_of_list, results_of_table
from nnlqp_nas.graphs import read_graph
from nnlqp_nas.search_spaces.nasbench201 import NasBench201
from nnlqp_nas.testing import InstantBackend
from nnlqp_nas.testing.database_contract import failed, measured

# One of each view, NNLQP's own and others, at more than one batch size.
ASKED = [("gpu-T4-trt7.1-fp32", 8), ("cpu-torch-fp32", 1), ("raspi4-tflite-fp32", 1), ("cpu-instant-fp32", 1), ("cpu-instant-fp32", 8)]
RESNET18 = Path(__file__).parents[1] / "graphs" / "resnet18-v1-7-no-weight.onnx"


def make_rows(n: int = 4) -> list[LatencyRow]:
    """Return n NAS-Bench-201 networks, dead branches among them, on every platform asked for."""
    space, rng = NasBench201(n_cells=1), np.random.default_rng(0)
    members = [space.architecture("nor_conv_3x3", "none", "none", "skip_connect", "none", "nor_conv_1x1")]
    members += [space.sample(rng) for _ in range(n - 1)]
    rows = []
    for platform, batch_size in ASKED:
        backend = InstantBackend(Platform.parse(platform))
        for member in members:
            (result,) = backend.measure([space.graph(member, backend.platform.view)], batch_size=batch_size)
            rows.append(LatencyRow.of(member, {"n_cells": 1}, result))
    return rows


@pytest.fixture(scope="module")
def rows() -> list[LatencyRow]:
    return make_rows()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqlDatabase]:
    database = open_database(tmp_path / "latency.sqlite")
    yield database
    database.close()


def add(database: SqlDatabase, results: Iterable[Result]) -> tuple[int, int]:
    def stored(platform: Platform) -> Iterator[Result]:
        yield from database.select(platform)
        yield from database.select_failures(platform)

    imported = add_missing(results, stored, database.add)
    return imported.n_added, imported.n_known


def read_list(folder: Path, on_complaint: Callable[[Complaint], None] = pytest.fail) -> Iterator[Measurement]:
    return results_of_list(NnlqpFolder(folder / "gt.txt", {}, on_complaint), on_complaint)


def asked_and_told(results: Iterable[Measurement | LatencyRow]) -> Counter[tuple[str, str, int, float | None]]:
    return Counter((one.graph_key, str(one.platform), one.batch_size, one.latency_ms) for one in results)


# NNLQP's layout


def test_rows_come_back_from_nnlqps_layout(rows: list[LatencyRow], tmp_path: Path, database: SqlDatabase) -> None:
    assert NnlqpExport(tmp_path / "out").write(rows) == len(rows)
    assert add(database, read_list(tmp_path / "out")) == (len(rows), 0)
    stored = list(database.select())
    assert asked_and_told(stored) == asked_and_told(rows)
    assert {one.facts["family"] for one in stored} == {"nasbench201"}
    assert all(one.host.startswith("NNLQP gt.txt") and one.facts["file"] == "out/gt.txt" for one in stored)


def test_the_layout_is_nnlqps(rows: list[LatencyRow], tmp_path: Path) -> None:
    NnlqpExport(tmp_path / "out", test_share=0.5).write(rows)
    lines = [line.split(" ") for line in (tmp_path / "out" / "gt.txt").read_text().splitlines()]
    assert [float(line[3]) for line in lines] == [row.latency_ms for row in rows]
    assert {(line[5], line[2]) for line in lines} == {("10", "8"), ("1001", "1"), ("1001", "8"), ("1002", "1"), ("1003", "1")}
    assert {line[6] for line in lines} <= {"train", "test"}
    assert len({(line[0], line[5]) for line in lines}) == len(lines)
    names = dict(line.split(" ") for line in (tmp_path / "out" / "platforms.txt").read_text().splitlines())
    assert names == {"10": ASKED[0][0], "1001": "cpu-instant-fp32", "1002": "cpu-torch-fp32", "1003": "raspi4-tflite-fp32"}
    for line in lines:
        model = onnx.load(tmp_path / "out" / line[1])
        assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_value == int(line[2])
        assert not any(tensor.raw_data for tensor in model.graph.initializer if len(tensor.dims) > 1)
    assert {path.suffix for path in (tmp_path / "out").rglob("*") if path.is_file()} == {".txt", ".onnx"}


def test_a_stage_belongs_to_a_network_and_follows_the_share(rows: list[LatencyRow], tmp_path: Path) -> None:
    for share, stages in ((0.0, {"train"}), (1.0, {"test"}), (0.5, {"train", "test"})):
        NnlqpExport(tmp_path / str(share), share).write(rows)
        of_network: dict[str, set[str]] = {}
        for line in (tmp_path / str(share) / "gt.txt").read_text().splitlines():
            of_network.setdefault(line.split()[1].rpartition("-")[0], set()).add(line.split()[6])
        assert all(len(given) == 1 for given in of_network.values())
        assert set.union(*of_network.values()) <= stages


def test_failures_stay_out_of_nnlqps_list(rows: list[LatencyRow], tmp_path: Path) -> None:
    failure = replace(rows[0], latency_ms=None, stage="compile", reason="no kernel")
    assert NnlqpExport(tmp_path / "out").write([failure, *rows[1:4]]) == 3
    assert len((tmp_path / "out" / "gt.txt").read_text().splitlines()) == 3


def test_nothing_that_is_there_is_replaced_and_a_stopped_export_goes_on(rows: list[LatencyRow], tmp_path: Path) -> None:
    out = tmp_path / "out"
    changed = replace(rows[-1], graph_key="0" * 32)
    with pytest.raises(InvalidSettingError, match="has changed since"):
        NnlqpExport(out).write([*rows[:-1], changed])
    assert not (out / "gt.txt").exists()
    NnlqpExport(out).write(rows)
    with pytest.raises(InvalidSettingError, match="name another one"):
        NnlqpExport(out)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InvalidSettingError, match="name another one"):
        NnlqpExport(tmp_path / "file").write(rows)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_is_a_share(share: float, tmp_path: Path) -> None:
    with pytest.raises(InvalidSettingError, match="share"):
        NnlqpExport(tmp_path, share)


def test_nnlqps_own_download_is_read(tmp_path: Path, database: SqlDatabase) -> None:
    (tmp_path / "onnx" / "resnet18").mkdir(parents=True)
    (tmp_path / "onnx" / "resnet18" / "resnet18_0000.onnx").write_bytes(RESNET18.read_bytes())
    (tmp_path / "onnx" / "text.onnx").write_text("hello")
    lines = [
        "553312 onnx/resnet18/resnet18_0000.onnx 8 90.88183 resnet18 2 train",
        "559608  onnx/resnet18/resnet18_0000.onnx\t8\t11.1463 resnet18 23 test ",
        "1 onnx/text.onnx 8 1.0 resnet18 2 train",
        "2 onnx/text.onnx 8 1.0 resnet18 9 train",
        "3 onnx/absent.onnx 8 1.0 resnet18 2 train",
        "4 onnx/resnet18/resnet18_0000.onnx 8 1.0 resnet18 99",
        "5 onnx/resnet18/resnet18_0000.onnx 8 none resnet18 2",
        "6 ../../etc/passwd 8 1.0 resnet18 2",
    ]
    (tmp_path / "gt.txt").write_text("\n".join(lines))
    complaints: list[Complaint] = []
    assert add(database, read_list(tmp_path, complaints.append)) == (2, 0)
    first, second = database.select()
    assert first.graph_key == second.graph_key == read_graph(RESNET18, GraphView.OPTIMISED).key
    assert (str(first.platform), first.latency_ms, first.facts["stage"]) == ("cpu-openppl-fp32", 90.88183, "train")
    assert (str(second.platform), second.latency_ms, second.facts["stage"]) == ("mul270-neuware-int8", 11.1463, "test")
    told = {complaint.place.rpartition(":")[2]: complaint for complaint in complaints}
    assert set(told) == {"3", "5", "6", "7", "8"}
    assert {number for number, complaint in told.items() if complaint.is_malformed} == {"7"}
    assert told["3"].n_lines == 2
    assert "--platform-id 99=" in told["6"].reason


def test_networks_that_were_read_before_are_not_read_again(tmp_path: Path, database: SqlDatabase) -> None:
    NnlqpExport(tmp_path / "out").write(make_rows(2))
    add(database, read_list(tmp_path / "out"))
    contents = known_contents(database.select())
    for path in (tmp_path / "out").rglob("*.onnx"):
        assert set(contents[blake2b(path.read_bytes(), digest_size=16).hexdigest()]) <= set(GraphView)
    changed = {digest: dict.fromkeys(GraphView, "f" * 32) for digest in contents}
    complaints: list[Complaint] = []
    folder = NnlqpFolder(tmp_path / "out" / "gt.txt", {}, complaints.append)
    assert {one.graph_key for one in results_of_list(folder, complaints.append, changed)} == {"f" * 32}
    next((tmp_path / "out").rglob("*.onnx")).write_text("hello")  # other content: the file counts, not its name
    assert {one.graph_key for one in results_of_list(folder, complaints.append, changed)} == {"f" * 32}
    assert len(complaints) == 1


# parquet


def test_rows_come_back_from_parquet_with_all_that_was_measured(rows: list[LatencyRow], tmp_path: Path, database: SqlDatabase) -> None:
    failure = replace(rows[0], latency_ms=None, std_ms=None, low_ms=None, high_ms=None, n_runs=0, stage="run", reason="no\0 kernel")
    write_rows(tmp_path / "rows.parquet", [*rows, failure])
    for expected in ((len(rows) + 1, 0), (0, len(rows) + 1)):
        assert add(database, results_of_table(tmp_path / "rows.parquet", pytest.fail)) == expected
    stored = list(database.select())
    assert asked_and_told(stored) == asked_and_told(rows)
    for row, one in zip(rows, stored, strict=True):
        assert (row.std_ms, (row.low_ms, row.high_ms), row.n_runs, row.host) == (one.std_ms, one.interval_ms, one.n_runs, one.host)
        assert one.taken_at is not None
        assert one.taken_at.isoformat() == row.taken_at
        assert (one.facts["family"], one.facts["code"], one.facts["is_virtual"]) == ("nasbench201", row.code, True)
    assert [(one.stage, one.reason) for one in database.select_failures()] == [("run", "no kernel")]


def test_rows_that_cannot_be_are_named_and_the_others_kept(rows: list[LatencyRow], tmp_path: Path, database: SqlDatabase) -> None:
    good = rows[0]
    bad = [
        replace(good, latency_ms=-1.0),
        replace(good, latency_ms=float("nan")),
        replace(good, platform="T4"),
        replace(good, batch_size=0),
        replace(good, taken_at="yesterday"),
        replace(good, taken_at="2026-01-02T03:04:05"),
        replace(good, facts="[1]"),
        replace(good, facts='{"a": NaN}'),
        replace(good, low_ms=good.high_ms, high_ms=good.low_ms),
        replace(good, graph_key="x"),
        replace(good, host=None),  # type: ignore[arg-type]
        replace(good, latency_ms=None, batch_size=-1),
    ]
    write_rows(tmp_path / "rows.parquet", [*bad, good])
    complaints: list[Complaint] = []
    assert add(database, results_of_table(tmp_path / "rows.parquet", complaints.append)) == (1, 0)
    assert [complaint.place for complaint in complaints] == [f"{tmp_path / 'rows.parquet'}: row {i + 1}" for i in range(len(bad))]
    assert all(complaint.is_malformed and "\n" not in str(complaint) for complaint in complaints)


# each once


def test_what_takes_long_is_stored_early(database: SqlDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter(range(1000))
    monkeypatch.setattr("nnlqp_nas.datasets.importing.monotonic", lambda: float(next(seconds)))

    def results() -> Iterator[Result]:
        for i in range(9):
            yield measured(f"{i:032x}")
        assert database.revision >= 6

    assert add(database, results()) == (9, 0)


def test_an_import_that_was_stopped_goes_on_and_a_third_adds_nothing(database: SqlDatabase) -> None:
    results: list[Result] = [measured(f"{i:032x}", latency_ms=1.0 + i) for i in range(450)]
    results += [measured("a", latency_ms=1.0)] * 3 + [failed("a"), failed("b")]

    def cut(n: int) -> Iterator[Result]:
        yield from results[:n]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        add(database, cut(420))
    n_stored = database.revision
    assert n_stored >= 400
    assert add(database, results) == (455 - n_stored, n_stored)
    assert add(database, results) == (0, 455)
    assert Counter(one.graph_key for one in database.select())["a"] == 3
