"""ONNX files without the data of their weights, which no graph needs and which is nearly all of a file.

A message of protocol buffers is a row of fields: a number that holds the field's number and kind, then the value,
with its length before it where it has any. So the data can be stepped over unread: a file that is
mapped into memory is not even fetched from disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

KEPT_BYTES = 1 << 16
"""Tensors up to this size stay whole: what steers operators is among them."""

_VARINT, _FIXED64, _MESSAGE, _FIXED32 = 0, 1, 2, 5
_GRAPH = 7
"""``ModelProto.graph``."""

_INITIALIZER = 5
"""``GraphProto.initializer``."""

_DIMS = 1
_DATA = frozenset({4, 5, 6, 7, 9, 10, 11})
"""``float_data``, ``int32_data``, ``string_data``, ``int64_data``, ``raw_data``, ``double_data``, ``uint64_data`` of ``TensorProto``."""


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of a message: from its tag at ``start`` over its value at ``body`` to ``end``."""

    number: int
    kind: int
    start: int
    body: int
    end: int


def without_weights(content: memoryview) -> bytes:
    """Return the bytes of a model without the data of large initializers; all else is as it was.

    Args:
        content: A serialised ``onnx.ModelProto``.

    Raises:
        ValueError: If it is no row of fields.
    """
    return b"".join(_changed(content, 0, len(content), _GRAPH, _lean_graph))


def _lean_graph(content: memoryview, start: int, end: int) -> bytes:
    return b"".join(_changed(content, start, end, _INITIALIZER, _lean_tensor))


def _lean_tensor(content: memoryview, start: int, end: int) -> bytes:
    fields = list(_fields(content, start, end))
    n_numbers = 1
    for field in fields:
        if field.number == _DIMS:
            for size in _numbers(content, field):
                n_numbers *= size
    if end - start <= KEPT_BYTES or n_numbers <= KEPT_BYTES // 8:  # small by what it claims: its data has to be checked
        return bytes(content[start:end])
    return b"".join(content[field.start : field.end] for field in fields if field.number not in _DATA)


def _changed(
    content: memoryview, start: int, end: int, number: int, change: Callable[[memoryview, int, int], bytes]
) -> Iterator[bytes | memoryview]:
    """Yield the fields of a message; messages with a number go through ``change``."""
    for field in _fields(content, start, end):
        if field.number != number or field.kind != _MESSAGE:
            yield content[field.start : field.end]
            continue
        body = change(content, field.body, field.end)
        yield _varint(number << 3 | _MESSAGE) + _varint(len(body))
        yield body


def _fields(content: memoryview, start: int, end: int) -> Iterator[_Field]:
    at = start
    while at < end:
        tag, body = _read_varint(content, at, end)
        kind = tag & 7
        if kind == _VARINT:
            after = _read_varint(content, body, end)[1]
        elif kind == _MESSAGE:
            length, body = _read_varint(content, body, end)
            after = body + length
        elif kind in (_FIXED64, _FIXED32):
            after = body + (8 if kind == _FIXED64 else 4)
        else:
            raise ValueError(f"a field of kind {kind}")
        if after > end:
            raise ValueError("a field that ends behind its message")
        yield _Field(tag >> 3, kind, at, body, after)
        at = after


def _numbers(content: memoryview, field: _Field) -> Iterator[int]:
    """Yield the whole numbers of a field, which may be one or several packed together."""
    at = field.body
    while at < field.end:
        value, at = _read_varint(content, at, field.end)
        yield value


def _read_varint(content: memoryview, at: int, end: int) -> tuple[int, int]:
    """Return the number at a place, seven bits a byte, and the place behind it."""
    value = shift = 0
    while at < end and shift < 64:
        byte = content[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
    raise ValueError("a number without an end")


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value >= 0x80:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
