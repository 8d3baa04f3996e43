"""The exceptions of nnlqp-nas.

    NnlqpError
    ├── InvalidSettingError      (ValueError)         a setting or argument out of its range
    ├── InvalidModelError        (ValueError)         not ONNX, cyclic, without shapes
    │   └── ModelNotFoundError   (FileNotFoundError)  no such model file
    ├── UnknownNameError         (LookupError)        a name nobody registered
    │   └── UnknownPlatformError                      a platform nobody registered
    ├── CheckpointError          (ValueError)         a predictor file that cannot be read
    ├── DatabaseError            (RuntimeError)       a database that cannot be read or written
    ├── MeasurementError         (RuntimeError)       a true measurement that did not succeed
    ├── UnsupportedError         (RuntimeError)       an ability that this object does not have
    └── MissingExtraError        (ImportError)        an optional dependency is not installed

Every message says what was expected, what came, and what to do next, in one line.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class NnlqpError(Exception):
    """Base of every error that nnlqp-nas raises on purpose."""


class InvalidSettingError(NnlqpError, ValueError):
    """A setting or an argument is outside its range."""


class InvalidModelError(NnlqpError, ValueError):
    """A model is not ONNX, has a cycle, or has unknown shapes."""


class ModelNotFoundError(InvalidModelError, FileNotFoundError):
    """A model file does not exist."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class UnknownNameError(NnlqpError, LookupError):
    """A name that nobody registered; the message offers the nearest ones."""

    @classmethod
    def among(cls, kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
        """Return the error for ``name``, offering the nearest of ``known``."""
        known = sorted(known)
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or known[:8]
        offer = ", ".join(near) if near else "none is registered"
        return cls(f"unknown {kind} '{name}'; nearest known: {offer}")


class UnknownPlatformError(UnknownNameError):
    """A platform name that nobody registered."""


class CheckpointError(NnlqpError, ValueError):
    """A predictor file is truncated, of another format, or unsafe to read."""


class DatabaseError(NnlqpError, RuntimeError):
    """A latency database cannot be opened, read or written."""


class MeasurementError(NnlqpError, RuntimeError):
    """A true measurement was asked for and did not succeed."""


class UnsupportedError(NnlqpError, RuntimeError):
    """An object does not have the ability that was asked of it."""


class MissingExtraError(NnlqpError, ImportError):
    """An optional dependency is not installed; the message gives the pip line."""

    @classmethod
    def for_extra(cls, package: str, extra: str) -> MissingExtraError:
        """Return the error that names ``package`` and the extra which brings it."""
        return cls(f"this needs {package}, which is not installed: pip install 'nnlqp-nas[{extra}]'")
