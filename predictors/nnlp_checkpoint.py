"""NNLQP's own checkpoints (``ckpt_best.pth``): PyTorch files of which the weights are read and nothing else."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.serialization import safe_globals

from nnlqp_nas.core import CheckpointError, InvalidSettingError, Platform

from .nnlp_network import NnlpNetwork

SUFFIXES = (".pth",)
LARGEST_BYTES = 256 * 1024 * 1024
MOST_TENSORS = 4096

TARGET = "gpu-T4-trt7.1-fp32"
NINE = (
    "cpu-openppl-fp32",
    "hi3559A-nnie11-int8",
    TARGET,
    "gpu-T4-trt7.1-int8",
    "gpu-P4-trt7.1-fp32",
    "gpu-P4-trt7.1-int8",
    "hi3519A-nnie12-int8",
    "atlas300-acl-fp16",
    "mul270-neuware-int8",
)
"""The platforms 2, 9, 10, 12, 13, 14, 16, 18, 23 of NNLQP's data set, in the order of the heads."""

# (heads, static features normalised): the experiments whose checkpoints were published.
_PUBLISHED: dict[tuple[int, bool], tuple[str, ...]] = {
    (9, False): NINE,
    (8, False): tuple(name for name in NINE if name != TARGET),  # what the transfer starts from
    (1, False): (TARGET,),  # what the transfer ends in
    (1, True): ("gpu-gtx1660-trt7.1-fp32",),  # unseen structures
}

_ZIP_MAGIC = b"PK\x03\x04"
_PICKLE_MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # what torch.save wrote before version 1.6
_HEAD_LAYERS = ("fc_1", "fc_2", "predictor")


class _Unread:
    """Stands for the numpy numbers of a checkpoint, such as its best accuracy: they are passed over, numpy reads nothing."""

    def __init__(self, *arguments: object) -> None:
        del arguments

    def __setstate__(self, state: object) -> None:
        del state


_UNREAD: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    (_Unread, name) for name in ("numpy.dtype", "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
]


def read_nnlqp_checkpoint(path: Path) -> tuple[NnlpNetwork, tuple[Platform, ...]]:
    """Return the network of a checkpoint of NNLQP and the platform of each head.

    The file does not name its platforms: a list ``"platforms"`` in a JSON file of the same name
    beside it does, or its number of heads, where it is one that NNLQP published. Nothing that the file
    asks to run is run.

    Raises:
        CheckpointError: If it is no such file, damaged, too large, holds more than weights, or
            nothing tells its platforms.
    """
    weights = _ours(_read_weights(path))
    network = _network(weights, path)
    return network, _platforms(network, path)


def _read_weights(path: Path) -> dict[str, Tensor]:
    _check_container(path)
    try:
        with safe_globals(_UNREAD):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can break torch's reader anywhere
        reason = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no reason given'}"[:160]
        raise CheckpointError(
            f"expected weights and nothing else in {path.name}, got what torch will not load safely ({reason}); "
            "download it again, or save a safetensors file"
        ) from error
    weights = content.get("state_dict") if isinstance(content, dict) else None
    if not isinstance(weights, Mapping) or not weights or len(weights) > MOST_TENSORS:
        raise CheckpointError(f"expected NNLQP's 'state_dict' in {path.name}, got {_kind(content)}; is it a checkpoint of another project?")
    return _checked(weights, path)


def _check_container(path: Path) -> None:
    """Refuse what is too large, or no file of ``torch.save``, before torch opens it."""
    if not path.is_file():
        raise CheckpointError(f"expected a checkpoint file, got {path}, which does not exist")
    if path.stat().st_size > LARGEST_BYTES:
        raise CheckpointError(f"expected a checkpoint of at most {LARGEST_BYTES} bytes, got {path.stat().st_size} in {path.name}")
    with path.open("rb") as file:
        start = file.read(len(_PICKLE_MAGIC))
    if not start.startswith((_ZIP_MAGIC, _PICKLE_MAGIC)):
        raise CheckpointError(f"expected a file of torch.save or a safetensors file, got {path.name}, which is neither; download it again")
    if not start.startswith(_ZIP_MAGIC):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise CheckpointError(f"expected a file of torch.save, got {path.name}: {error}; it is truncated; download it again") from error
    if len(entries) > 2 * MOST_TENSORS or sum(entry.file_size for entry in entries) > LARGEST_BYTES:
        raise CheckpointError(f"expected at most {LARGEST_BYTES} bytes of weights in {path.name}, got more once unpacked")


def _checked(weights: Mapping[Any, Any], path: Path) -> dict[str, Tensor]:
    """Return the weights in single precision; a tensor may claim more numbers than its file holds."""
    for name, tensor in weights.items():
        is_plain = isinstance(name, str) and isinstance(tensor, Tensor) and tensor.layout is torch.strided and tensor.device.type == "cpu"
        if not is_plain or not tensor.is_floating_point() or tensor.dim() > 2:
            raise CheckpointError(f"expected vectors and matrices of floats in {path.name}, got {_kind(tensor)} for {str(name)[:60]!r}")
    n_numbers = sum(tensor.numel() for tensor in weights.values())
    if 4 * n_numbers > LARGEST_BYTES:
        raise CheckpointError(f"expected at most {LARGEST_BYTES} bytes of weights in {path.name}, got {n_numbers} numbers")
    copies = {name: tensor.detach().float().clone(memory_format=torch.contiguous_format) for name, tensor in weights.items()}
    broken = next((name for name, tensor in copies.items() if not torch.isfinite(tensor).all()), None)
    if broken is not None:
        raise CheckpointError(f"expected finite weights, got NaN or infinity in '{broken}' of {path.name}; download it again")
    return copies


def _ours(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights under this project's names: ``head_3.fc_1.bias``, or ``fc_1.bias`` of a single head."""
    renamed = {}
    for name, tensor in weights.items():
        layer = name.partition(".")[0]
        head = re.fullmatch(r"head_(\d{1,3})\.(.+)", name)
        ours = f"heads.{int(head[1])}.{head[2]}" if head else name
        renamed[f"heads.0.{name}" if layer in _HEAD_LAYERS else ours] = tensor
    return renamed


def _network(weights: dict[str, Tensor], path: Path) -> NnlpNetwork:
    n_heads = sum(re.fullmatch(r"heads\.\d+\.fc_1\.bias", name) is not None for name in weights)
    try:
        with torch.device("meta"):  # sizes that do not fit each other are refused before memory is taken
            network = NnlpNetwork(
                n_heads, len(weights["graph_conv_1.lin_l.bias"]), len(weights["heads.0.fc_1.bias"]), "norm_sf_linear.bias" in weights
            )
        network.load_state_dict(weights, assign=True)
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:160]
        raise CheckpointError(f"expected the weights of NNLQP's network in {path.name}, got others: {reason}") from error
    return network.requires_grad_().eval()


def _platforms(network: NnlpNetwork, path: Path) -> tuple[Platform, ...]:
    n_heads, norm_static = len(network.heads), bool(network.sizes["norm_static"])
    names = _beside(path) or _PUBLISHED.get((n_heads, norm_static), ())
    platforms = tuple(Platform.parse(name) for name in names)
    if not len(platforms) == len(set(platforms)) == n_heads:
        raise CheckpointError(
            f"expected a platform for each of {n_heads} heads of {path.name}, got {', '.join(names) or 'none'}; "
            f'name them, in order, in {path.stem}.json: {{"platforms": [...]}}'
        )
    return platforms


def _beside(path: Path) -> tuple[str, ...]:
    card = path.with_suffix(".json")
    if not card.is_file():
        return ()
    try:
        names = json.loads(card.read_text(encoding="utf-8"))["platforms"]
        return tuple(str(Platform.parse(name)) for name in names)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, InvalidSettingError) as error:
        raise CheckpointError(f'expected {{"platforms": [...]}} in {card.name}, got something else: {error}') from error


def _kind(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of {value.dtype} and shape {tuple(value.shape)}"
    return f"{type(value).__name__} of {list(value)[:4]}" if isinstance(value, Mapping) else type(value).__name__
