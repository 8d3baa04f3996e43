from __future__ import annotations

import os
from pathlib import Path

import pytest

from nnlqp_nas.core import InvalidSettingError, Platform
from nnlqp_nas.datasets.nnlqp_folder import Complaint, NnlqpFolder

T4 = Platform.parse("gpu-T4-trt7.1-fp32")
CPU = Platform.parse("cpu-onnxruntime-fp32")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "outside.onnx").write_bytes(b"secret")
    folder = tmp_path / "multi_platform"
    (folder / "onnx").mkdir(parents=True)
    (folder / "onnx" / "a b.onnx").write_bytes(b"network")
    (folder / "gt.txt").write_text("")
    return folder


def open_folder(folder: Path, complaints: list[Complaint] | None = None, **platforms: Platform) -> NnlqpFolder:
    numbered = {int(name.removeprefix("id")): platform for name, platform in platforms.items()}
    return NnlqpFolder(folder / "gt.txt", numbered, (complaints if complaints is not None else []).append)


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_malformed_lines_are_named_and_the_others_kept(folder: Path, start: bytes, end: bytes) -> None:
    good = [b"1 onnx/a.onnx 8 1.5 alexnet 2 train", b"2\tonnx/b.onnx\t8\t2.5\tvgg\t10"]
    bad = [b"rubbish", b"3 onnx/c.onnx 8 \xff\xfe alexnet 2", b"4 onnx/d.onnx 8 1.5 alexnet"]
    (folder / "gt.txt").write_bytes(start + end.join([good[0], b"", bad[0], b"# a remark", bad[1], good[1], bad[2]]))
    complaints: list[Complaint] = []
    read = list(open_folder(folder, complaints).lines())
    assert [(number, line.onnx_path) for number, line in read] == [(1, "onnx/a.onnx"), (6, "onnx/b.onnx")]
    assert [complaint.place for complaint in complaints] == [f"{folder / 'gt.txt'}:{number}" for number in (3, 5, 7)]
    assert all(complaint.is_malformed and str(complaint).isprintable() for complaint in complaints)


def test_platforms_come_from_the_caller_the_folder_and_nnlqp_in_this_order(folder: Path) -> None:
    assert open_folder(folder).platform(10) == T4
    assert open_folder(folder).platform(1001) is None
    (folder / "platforms.txt").write_text("1001 cpu-onnxruntime-fp32\n10 cpu-onnxruntime-fp32\nrubbish\n")
    complaints: list[Complaint] = []
    named = open_folder(folder, complaints, id1001=T4)
    assert [named.platform(number) for number in (1001, 10, 2, 99)] == [T4, CPU, Platform.parse("cpu-openppl-fp32"), None]
    assert [complaint.place for complaint in complaints] == [f"{folder / 'platforms.txt'}:3"]


def test_the_fpga_set_has_one_platform(folder: Path) -> None:
    fpga = folder.rename(folder.with_name("fpga"))
    assert str(open_folder(fpga).platform(77)) == "Xilinx-Ultra96-VitisAI-int8"


def test_networks_are_found_in_the_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_folder(folder).model_path("onnx/a b.onnx").read_bytes() == b"network"
    assert open_folder(folder).model_path("onnx/../onnx/./a b.onnx").read_bytes() == b"network"
    monkeypatch.chdir(folder.parent)
    assert open_folder(Path("multi_platform")).model_path("onnx/a b.onnx").read_bytes() == b"network"


def test_no_path_leads_out_of_the_folder(folder: Path) -> None:
    (folder / "onnx" / "link.onnx").symlink_to(folder.parent / "outside.onnx")
    (folder / "up").symlink_to(folder.parent)
    (folder / "onnx" / "loop").symlink_to("loop")
    os.mkfifo(folder / "onnx" / "pipe.onnx")
    outside = ["../outside.onnx", "onnx/../../outside.onnx", str(folder.parent / "outside.onnx"), "onnx/link.onnx", "up/outside.onnx"]
    strange = ["onnx/none.onnx", "onnx", ".", "", "onnx/pipe.onnx", "onnx/loop", "a\0b", "a" * 5000, "\ud800"]
    for path in outside:
        with pytest.raises(InvalidSettingError, match="leads out of it"):
            open_folder(folder).model_path(path)
    for path in strange:
        with pytest.raises(InvalidSettingError, match="ONNX file") as caught:
            open_folder(folder).model_path(path)
        assert str(caught.value).isprintable()


def test_a_list_that_cannot_be_read_is_refused(folder: Path) -> None:
    (folder / "gt.txt").unlink()
    with pytest.raises(InvalidSettingError, match=r"gt\.txt"):
        list(open_folder(folder).lines())
