"""Pickles that nobody vouches for: plain data is read, anything that would run code is refused."""

from __future__ import annotations

import bz2
import io
import pickle
from pathlib import Path
from typing import Any, BinaryIO

from ..core import InvalidSettingError

_PLAIN = frozenset(
    {("collections", "OrderedDict"), ("collections", "defaultdict")}
    | {("builtins", name) for name in ("list", "dict", "set", "frozenset", "tuple", "int", "float")}
    | {("numpy", "dtype"), ("numpy._core.multiarray", "scalar"), ("_codecs", "encode")}
)
"""What a pickle of plain data names; ``numpy``'s two are the scalars that averaging leaves, ``encode`` is how old protocols write bytes."""

_MOVED = {"__builtin__": "builtins", "numpy.core.multiarray": "numpy._core.multiarray"}


class PlainUnpickler(pickle.Unpickler):
    """Reads containers, numbers and text, and refuses every other class or function.

    A pickle is a program that may call whatever it names (Python's documentation of ``pickle`` warns of it);
    this one can name containers and numbers only.
    """

    def find_class(self, module: str, name: str) -> Any:
        """Return a class of plain data.

        Raises:
            pickle.UnpicklingError: If the pickle names anything else.
        """
        module = _MOVED.get(module, module)
        if (module, name) not in _PLAIN:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is no plain data")
        return super().find_class(module, name)


def read_plain_pickle(path: Path) -> Any:
    """Return the plain data of a pickle, compressed by bz2 or not.

    Raises:
        InvalidSettingError: If there is no such file, it is no pickle, or it holds more than plain data.
    """
    try:
        with path.open("rb") as file:
            stream: BinaryIO = file if file.read(3) != b"BZh" else io.BytesIO(bz2.decompress(b"BZh" + file.read()))
            stream.seek(0)
            return PlainUnpickler(stream).load()
    except OSError as error:
        raise InvalidSettingError(f"expected a readable pickle at '{path}', got: {error.strerror or error}; check the path") from error
    except (pickle.UnpicklingError, ValueError, EOFError, AttributeError, ImportError, IndexError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InvalidSettingError(f"expected a pickle of plain data, got '{path}': {reason}; take the file without weights") from error
