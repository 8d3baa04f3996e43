"""NNLQP's checkpoints: read unchanged, equal to the original code, and nothing in them is run."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nnlqp_nas
from nnlqp_nas.checkpoints import predicted_platforms
from nnlqp_nas.core import CheckpointError, Platform
from nnlqp_nas.graphs import read_graph
from nnlqp_nas.main import main
from nnlqp_nas.predictors import nnlp_checkpoint
from nnlqp_nas.predictors.nnlp import Nnlp
from nnlqp_nas.predictors.nnlp_checkpoint import NINE
from nnlqp_nas.predictors.nnlp_features import nnlp_features

HERE = Path(__file__).parent
RESNET = HERE.parent / "graphs" / "resnet18-v1-7-no-weight.onnx"
GOLDEN = HERE / "nnlqp" / "multi_platform_random.pth"
Weights = dict[str, torch.Tensor]


def expected_ms() -> dict[str, float]:
    document = json.loads((HERE / "nnlqp" / "expected.json").read_text(encoding="utf-8"))
    return dict(zip(NINE, document["latency_ms"], strict=True))


def draw_weights(n_heads: int, norm_static: bool, width: int = 24, head_width: int = 16) -> Weights:
    """Return random weights under the names that NNLQP's code gives them."""
    draw = torch.Generator().manual_seed(5)
    sizes = {"graph_conv_1.lin_l": (width, 44), "graph_conv_2.lin_l": (width, width)}
    if norm_static:
        sizes["norm_sf_linear"] = (width, 4)
    for prefix in [f"head_{i}." for i in range(n_heads)] if n_heads > 1 else [""]:
        sizes[f"{prefix}fc_1"] = (head_width, width + (width if norm_static else 4))
        sizes[f"{prefix}fc_2"] = (head_width, head_width)
        sizes[f"{prefix}predictor"] = (1, head_width)
    weights = {}
    for name, size in sizes.items():
        weights[f"{name}.weight"] = torch.rand(size, generator=draw) * 0.4 - 0.2
        weights[f"{name}.bias"] = torch.rand(size[0], generator=draw) * 0.4 - 0.2
    for name in ("graph_conv_1", "graph_conv_2"):
        weights[f"{name}.lin_r.weight"] = torch.rand(weights[f"{name}.lin_l.weight"].shape, generator=draw) * 0.4 - 0.2
    return weights


def write(path: Path, weights: Weights, is_old: bool = False, best_acc: object = 0.1) -> Path:
    content = {"epoch": 51, "state_dict": weights, "best_acc": best_acc}
    torch.save(content, path, _use_new_zipfile_serialization=not is_old)
    return path


def single_head_ms(weights: Weights, batch_size: int) -> float:
    """The network written out, in double precision, for one graph and the one head."""
    w = {name: tensor.double().numpy() for name, tensor in weights.items()}
    features = nnlp_features(read_graph(RESNET), batch_size)
    x = features.nodes.astype(np.float64)
    neighbours = np.zeros((len(x), len(x)))
    neighbours[features.edges[1], features.edges[0]] = 1.0
    neighbours /= neighbours.sum(1, keepdims=True)
    for layer in ("graph_conv_1", "graph_conv_2"):
        x = neighbours @ x @ w[f"{layer}.lin_l.weight"].T + w[f"{layer}.lin_l.bias"] + x @ w[f"{layer}.lin_r.weight"].T
        x = np.maximum(x / np.linalg.norm(x, axis=1, keepdims=True), 0.0)
    static = features.static.astype(np.float64)
    if "norm_sf_linear.bias" in w:
        static = np.maximum(w["norm_sf_linear.weight"] @ static + w["norm_sf_linear.bias"], 0.0)
    y = np.concatenate([x.sum(0), static])
    for layer in ("fc_1", "fc_2"):
        y = np.maximum(w[f"{layer}.weight"] @ y + w[f"{layer}.bias"], 0.0)
    return float(np.logaddexp(0.0, -(w["predictor.weight"] @ y + w["predictor.bias"]))[0])


def test_the_original_outputs_on_nine_platforms() -> None:
    predictor = nnlqp_nas.load_predictor(GOLDEN)
    graph = read_graph(RESNET)
    assert set(map(str, predictor.platforms)) == set(NINE)
    for name, latency_ms in expected_ms().items():
        prediction = predictor.predict([graph], Platform.parse(name), 8)
        assert prediction.latency_ms[0] == pytest.approx(latency_ms, rel=1e-5)
        assert prediction.is_extrapolating.all()  # nothing tells what it was trained on


def test_the_command_line_predicts_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(RESNET), "--batch-size", "8", "--predictor", str(GOLDEN), "--json"]) == 0
    answers = json.loads(capsys.readouterr().out)["predictions"]
    assert {answer["platform"]: answer["latency_ms"] for answer in answers} == pytest.approx(expected_ms(), rel=1e-5)


@pytest.mark.parametrize("is_old", [False, True])
@pytest.mark.parametrize(("norm_static", "platform"), [(True, "gpu-gtx1660-trt7.1-fp32"), (False, "gpu-T4-trt7.1-fp32")])
@pytest.mark.parametrize("batch_size", [1, 8, 33])
def test_single_platform_checkpoints(norm_static: bool, platform: str, batch_size: int, is_old: bool, tmp_path: Path) -> None:
    weights = draw_weights(1, norm_static)
    predictor = nnlqp_nas.load_predictor(write(tmp_path / "ckpt_best.pth", weights, is_old, np.float64(0.12)))
    assert [str(known) for known in predictor.platforms] == [platform]
    predicted = predictor.predict([read_graph(RESNET)], predictor.platforms[0], batch_size)
    assert predicted.latency_ms[0] == pytest.approx(single_head_ms(weights, batch_size), rel=1e-4)


@pytest.mark.parametrize("norm_static", [True, False])
def test_single_platform_checkpoints_of_the_published_size_from_the_command_line(
    norm_static: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = {name: 0.2 * tensor for name, tensor in draw_weights(1, norm_static, 512, 512).items()}
    path = write(tmp_path / "ckpt_best.pth", weights)
    for batch_size in (1, 8):
        assert main(["predict", str(RESNET), "--batch-size", str(batch_size), "--predictor", str(path), "--json"]) == 0
        (answer,) = json.loads(capsys.readouterr().out)["predictions"]
        expected_ms = single_head_ms(weights, batch_size)
        assert expected_ms > 1e-3
        assert answer["latency_ms"] == pytest.approx(expected_ms, rel=1e-4)
        assert answer["extrapolating"]


def as_saved_on_a_gpu(path: Path, is_old: bool) -> None:
    """Change what a file says of where its weights were, as one that was saved from a GPU does."""

    def moved(content: bytes) -> bytes:
        changed = content.replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")
        assert changed != content
        return changed

    if is_old:
        path.write_bytes(moved(path.read_bytes()))
        return
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, moved(content) if name.endswith("/data.pkl") else content)


@pytest.mark.parametrize("is_old", [False, True])
def test_weights_that_were_saved_on_a_gpu_load_without_one(is_old: bool, tmp_path: Path) -> None:
    weights = draw_weights(1, True)
    path = write(tmp_path / "ckpt_best.pth", weights, is_old)
    as_saved_on_a_gpu(path, is_old)
    predictor = Nnlp.load(path)
    predicted = predictor.predict([read_graph(RESNET)], predictor.platforms[0], 8)
    assert predicted.latency_ms[0] == pytest.approx(single_head_ms(weights, 8), rel=1e-4)


def test_half_and_double_precision_weights_are_read(tmp_path: Path) -> None:
    weights = draw_weights(1, True)
    for dtype, tolerance in ((torch.float64, 1e-4), (torch.float16, 0.02)):
        path = write(tmp_path / "ckpt_best.pth", {name: tensor.to(dtype) for name, tensor in weights.items()})
        predictor = Nnlp.load(path)
        predicted = predictor.predict([read_graph(RESNET)], predictor.platforms[0], 8)
        assert predicted.latency_ms[0] == pytest.approx(single_head_ms(weights, 8), rel=tolerance)


def test_a_best_accuracy_that_an_old_numpy_wrote_is_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path / "ckpt_best.pth", draw_weights(1, True), True, np.float64(0.12))
    content = path.read_bytes()
    assert b"numpy._core.multiarray" in content
    path.write_bytes(content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert Nnlp.load(path).platforms


def test_the_number_of_heads_tells_published_platforms_and_a_card_any_other(tmp_path: Path) -> None:
    without_target = nnlqp_nas.load_predictor(write(tmp_path / "ckpt_best.pth", draw_weights(8, False)))
    assert {*map(str, without_target.platforms), "gpu-T4-trt7.1-fp32"} == set(NINE)
    path = write(tmp_path / "mine.pth", draw_weights(2, False))
    with pytest.raises(CheckpointError, match=r"mine\.json"):
        nnlqp_nas.load_predictor(path)
    (tmp_path / "mine.json").write_text('{"platforms": ["npu-a1-int8", "npu-b1-int8"]}', encoding="utf-8")
    assert [str(platform) for platform in predicted_platforms(path)] == ["npu-a1-int8", "npu-b1-int8"]
    for wrong in ("{}", "[]", "[", '{"platforms": ["npu"]}', '{"platforms": ["npu-a1-int8"]}', '{"platforms": 3}'):
        (tmp_path / "mine.json").write_text(wrong, encoding="utf-8")
        with pytest.raises(CheckpointError):
            Nnlp.load(path)


def test_it_can_be_saved_as_ours(tmp_path: Path) -> None:
    original, graph = Nnlp.load(GOLDEN), read_graph(RESNET)
    original.save(tmp_path / "nine.safetensors")
    ours = nnlqp_nas.load_predictor(tmp_path / "nine.safetensors")
    for platform in original.platforms:
        assert ours.predict([graph], platform, 8).latency_ms == original.predict([graph], platform, 8).latency_ms


class _Touch:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("is_old", [False, True])
def test_nothing_that_a_file_asks_for_is_run(is_old: bool, tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    path = write(tmp_path / "evil.pth", draw_weights(1, True), is_old, _Touch(touched))
    with pytest.raises(CheckpointError, match="safely") as caught:
        Nnlp.load(path)
    assert "\n" not in str(caught.value)
    assert not touched.exists()
    torch.load(path, weights_only=False)
    assert touched.exists()  # so the file does ask


class _Ask:
    """Asks whoever unpickles it to call something."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.asked = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.asked


def hidden(place: str, evil: object) -> object:
    """Return the content of a checkpoint with something hidden in it."""
    weights: dict[Any, Any] = dict(draw_weights(1, True))
    content: dict[Any, Any] = {"epoch": 51, "state_dict": weights, "best_acc": 0.1}
    if place == "alone":
        return evil
    if place == "as a weight":
        weights["fc_1.bias"] = evil
    elif place == "as a name":
        weights[evil] = torch.zeros(3)
    else:
        content[place] = evil
    return content


@pytest.mark.parametrize("place", ["alone", "epoch", "optimizer", "as a weight", "as a name"])
@pytest.mark.parametrize("kind", ["os.system", "eval", "exec", "builtins.open"])
def test_malicious_pickles_are_refused_wherever_they_hide(
    place: str, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    touched = tmp_path / "touched"
    code = f"open({str(touched)!r}, 'w')"
    evil = {
        "os.system": _Ask(os.system, f"touch {touched}"),
        "eval": _Ask(eval, code),
        "exec": _Ask(exec, code),
        "builtins.open": _Ask(open, str(touched), "w"),
    }[kind]
    path = tmp_path / "ckpt_best.pth"
    torch.save(hidden(place, evil), path)
    assert main(["predict", str(RESNET), "--predictor", str(path)]) == 2
    said = capsys.readouterr()
    assert len(said.err.splitlines()) == 1
    assert "safely" in said.err
    assert not touched.exists()


def test_a_bare_pickle_is_not_opened(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    for protocol in range(6):
        path = tmp_path / "ckpt_best.pth"
        path.write_bytes(pickle.dumps(_Ask(os.system, f"touch {touched}"), protocol=protocol))
        with pytest.raises(CheckpointError, match="expected"):
            Nnlp.load(path)
    assert not touched.exists()


def _missing(weights: Weights) -> None:
    del weights["fc_2.bias"]


def _foreign(weights: Weights) -> None:
    weights["extra.bias"] = torch.zeros(3)


def _misfit(weights: Weights) -> None:
    weights["graph_conv_2.lin_l.weight"] = torch.zeros(24, 23)


def _nan(weights: Weights) -> None:
    weights["fc_1.bias"][0] = float("nan")


def _integers(weights: Weights) -> None:
    weights["fc_1.bias"] = weights["fc_1.bias"].long()


def _swollen(weights: Weights) -> None:
    weights["graph_conv_1.lin_l.bias"] = torch.zeros(1).expand(1 << 40)


def _wide(weights: Weights) -> None:
    weights["graph_conv_1.lin_l.bias"] = torch.zeros(1).expand(1 << 24)


def _sparse(weights: Weights) -> None:
    weights["fc_1.weight"] = weights["fc_1.weight"].to_sparse()


def _no_tensor(weights: Weights) -> None:
    weights["fc_1.bias"] = [1.0, 2.0]  # type: ignore[assignment]


@pytest.mark.parametrize("damage", [_missing, _foreign, _misfit, _nan, _integers, _swollen, _wide, _sparse, _no_tensor])
def test_weights_that_are_not_the_networks_are_refused(damage: Callable[[Weights], None], tmp_path: Path) -> None:
    weights = draw_weights(1, True)
    damage(weights)
    with pytest.raises(CheckpointError, match="expected") as caught:
        nnlqp_nas.load_predictor(write(tmp_path / "ckpt_best.pth", weights))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("is_old", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.9, 0.999])
def test_truncated_files_are_refused(share: float, is_old: bool, tmp_path: Path) -> None:
    path = write(tmp_path / "ckpt_best.pth", draw_weights(1, True), is_old)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(CheckpointError, match=r"ckpt_best\.pth"):
        nnlqp_nas.load_predictor(path)


@pytest.mark.parametrize("content", [{}, {"state_dict": {}}, [1, 2], {"state_dict": 3}, 5])
def test_files_without_weights_are_refused(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "ckpt_best.pth")
    with pytest.raises(CheckpointError, match="state_dict"):
        nnlqp_nas.load_predictor(tmp_path / "ckpt_best.pth")


def test_an_archive_that_unpacks_to_too_much_is_refused_unopened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nnlp_checkpoint, "LARGEST_BYTES", 1 << 20)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(5):
            archive.writestr(f"bomb/data/{i}", bytes(1 << 18))
    (tmp_path / "bomb.pth").write_bytes(packed.getvalue())
    with pytest.raises(CheckpointError, match="unpacked"):
        nnlqp_nas.load_predictor(tmp_path / "bomb.pth")


def test_other_suffixes_are_as_foreign_as_before(tmp_path: Path) -> None:
    shutil.copy(GOLDEN, tmp_path / "ckpt_best.ckpt")
    with pytest.raises(CheckpointError, match="safetensors"):
        nnlqp_nas.load_predictor(tmp_path / "ckpt_best.ckpt")
