"""ONNX models from files and bytes, with limits for input that nobody vouches for."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import onnx

from ..core import InvalidModelError, ModelNotFoundError
from .lean_model import without_weights

MAX_FILE_BYTES = 2**31 - 1


def load_model(source: str | os.PathLike[str] | bytes) -> onnx.ModelProto:
    """Return the ONNX model of a file or of its bytes; external data is never opened.

    Raises:
        ModelNotFoundError: If there is no such file.
        InvalidModelError: If it is not an ONNX model.
    """
    if isinstance(source, bytes):
        return _parse(_lean(source), f"{len(source)} bytes")
    path = Path(source)
    if not path.exists():
        raise ModelNotFoundError(f"expected an ONNX file, found nothing at '{path}'; check the path")
    if not path.is_file():
        raise InvalidModelError(f"expected an ONNX file, got the folder or device '{path}'; name the .onnx file in it")
    try:
        size_bytes = path.stat().st_size
        if size_bytes > MAX_FILE_BYTES:
            raise InvalidModelError(f"expected at most 2 GiB, got {size_bytes} bytes in '{path}'; remove the weights, only shapes matter")
        content = _read(path, size_bytes)
    except OSError as error:
        raise InvalidModelError(f"expected a readable ONNX file, got '{path}': {error.strerror}; check its permissions") from error
    return _parse(content, f"'{path}'")


def _read(path: Path, size_bytes: int) -> bytes:
    """Return a file's content without the data of large weights, which is not read where the file can be mapped."""
    if not size_bytes:
        return b""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        return _lean(mapped)


def _lean(content: bytes | mmap.mmap) -> bytes:
    with memoryview(content) as view:
        try:
            return without_weights(view)
        except ValueError:
            return bytes(view)  # no row of fields: whoever parses it will say what is wrong


def _parse(content: bytes, name: str) -> onnx.ModelProto:
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except Exception as error:  # protobuf's DecodeError, whose module has no type stubs
        raise InvalidModelError(f"expected an ONNX model, got {name} which is none; export the network to ONNX again") from error
    if not model.HasField("graph") or not model.graph.node:
        raise InvalidModelError(f"expected an ONNX model with at least one node, got {name} without any; export the network to ONNX again")
    return model
