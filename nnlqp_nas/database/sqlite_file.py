"""SQLite files: told apart from everything else before anything is written to them."""

from __future__ import annotations

import os
from pathlib import Path

from ..core import DatabaseError

_MAGIC = b"SQLite format 3\x00"
_HEADER_BYTES = 100


def check_file(path: Path) -> None:
    """Accept a path where a latency database is or can be made; nothing is written but missing folders.

    Raises:
        DatabaseError: If it is a directory, no SQLite file, cut short, or in a folder that cannot be written.
    """
    if path.is_dir():
        raise DatabaseError(f"expected a database file, got the directory {path}; name a file in it, such as {path / 'latency.sqlite'}")
    if not path.exists():
        _make_folder(path)
        return
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
            size_bytes = file.seek(0, os.SEEK_END)
    except OSError as error:
        raise DatabaseError(
            f"expected to read the database {path}, got: {error.strerror}; check its permissions or name another file"
        ) from error
    if header and not header.startswith(_MAGIC):
        raise DatabaseError(
            f"expected an SQLite database, got other content in {path}; it was left as it is: move it away or name another file"
        )
    if header and size_bytes < _least_bytes(path, header):
        raise DatabaseError(
            f"expected {_least_bytes(path, header)} bytes in {path}, got {size_bytes}: the file is cut short; restore a copy of it"
        )


def _make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseError(f"expected a folder to keep {path.name} in, got {path.parent}: {error.strerror}; name another file") from error


def _least_bytes(path: Path, header: bytes) -> int:
    """Return the size that the header states, where nothing is left to be replayed that could change it."""
    log = path.with_name(f"{path.name}-wal")
    is_current = header[24:28] == header[92:96]
    if not is_current or len(header) < _HEADER_BYTES or (log.exists() and log.stat().st_size > 0):
        return _HEADER_BYTES
    page_bytes = int.from_bytes(header[16:18], "big")
    return (65536 if page_bytes == 1 else page_bytes) * int.from_bytes(header[28:32], "big")
