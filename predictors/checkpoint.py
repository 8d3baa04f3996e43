"""Checkpoints: safetensors files that say which predictor wrote them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from nnlqp_nas.core import CheckpointError, Platform

FORMAT = "nnlqp-nas-predictor"
VERSION = 1
LARGEST_BYTES = 256 * 1024 * 1024

Arrays = dict[str, NDArray[Any]]


def write_checkpoint(
    path: Path, predictor: str, arrays: Mapping[str, NDArray[Any]], settings: Mapping[str, Any], platforms: Sequence[Platform]
) -> None:
    """Write a checkpoint, whole or not at all.

    Args:
        path: File to write.
        predictor: Entry-point name of the predictor that reads it.
        arrays: Weights by name.
        settings: JSON types.
        platforms: What it predicts; they stand in the header, so that a listing need not load it.
    """
    metadata = {
        "format": FORMAT,
        "version": str(VERSION),
        "predictor": predictor,
        "platforms": json.dumps([str(platform) for platform in platforms]),
        "settings": json.dumps(settings, sort_keys=True),
    }
    content = save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, metadata=metadata)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(content)
    draft.replace(path)


def read_checkpoint(path: Path, predictor: str) -> tuple[Arrays, dict[str, Any]]:
    """Return the arrays and settings of a checkpoint.

    Raises:
        CheckpointError: If the file is missing, too large, truncated, or another predictor's.
    """
    if not path.is_file():
        raise CheckpointError(f"expected a checkpoint file, got {path}, which does not exist")
    if path.stat().st_size > LARGEST_BYTES:
        raise CheckpointError(f"expected a checkpoint of at most {LARGEST_BYTES} bytes, got {path.stat().st_size}")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"expected a safetensors checkpoint, got {path.name}: {error}; download or train it again") from error
    if metadata.get("format") != FORMAT or metadata.get("version") != str(VERSION) or metadata.get("predictor") != predictor:
        found = f"{metadata.get('format')} version {metadata.get('version')} of {metadata.get('predictor')}"
        raise CheckpointError(f"expected {FORMAT} version {VERSION} of {predictor}, got {found} in {path.name}")
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise CheckpointError(f"expected finite weights, got NaN or infinity in '{name}' of {path.name}")
    return arrays, _settings(metadata, path)


def _settings(metadata: Mapping[str, str], path: Path) -> dict[str, Any]:
    try:
        settings = json.loads(metadata["settings"])
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"expected JSON settings in the header of {path.name}, got {error}") from error
    if not isinstance(settings, dict):
        raise CheckpointError(f"expected a JSON object in the header of {path.name}, got {type(settings).__name__}")
    return settings


def take(arrays: Arrays, name: str, shape: tuple[int, ...] | None = None) -> NDArray[Any]:
    """Return one array of a checkpoint.

    Raises:
        CheckpointError: If it is missing or of another shape.
    """
    if name not in arrays:
        raise CheckpointError(f"expected an array '{name}' in the checkpoint, got {sorted(arrays)[:6]}")
    if shape is not None and arrays[name].shape != shape:
        raise CheckpointError(f"expected '{name}' of shape {shape}, got {arrays[name].shape}")
    return arrays[name]
