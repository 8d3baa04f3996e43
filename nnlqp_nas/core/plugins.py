"""Plug-ins: spaces, predictors and backends, found by entry point and never imported by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from .errors import InvalidSettingError, MissingExtraError, UnknownNameError

SPACES = "nnlqp_nas.search_spaces"
PREDICTORS = "nnlqp_nas.predictors"
BACKENDS = "nnlqp_nas.backends"
FOREIGN_CHECKPOINTS = "nnlqp_nas.foreign_checkpoints"
"""Predictors whose ``load`` reads files of another project; an entry is named like the files' suffix, such as ``pth``."""


@cache
def _entries(group: str) -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=group)}


def plugin_names(group: str) -> tuple[str, ...]:
    """Return the names registered in an entry-point group, sorted."""
    return tuple(sorted(_entries(group)))


def load_plugin(group: str, name: str) -> Callable[..., Any]:
    """Return the class that a name stands for, importing its module.

    Raises:
        UnknownNameError: If nobody registered ``name``; the nearest names are offered.
        MissingExtraError: If its module needs a package that is not installed.
        InvalidSettingError: If the plug-in is broken; it is named with its distribution.
    """
    entries = _entries(group)
    if name not in entries:
        raise UnknownNameError.among(group.rpartition(".")[2].removesuffix("s").replace("_", " "), name, entries)
    try:
        return entries[name].load()
    except MissingExtraError:
        raise
    except (ImportError, AttributeError) as error:
        raise InvalidSettingError(f"expected plug-in {name} = {entries[name].value} to import, got: {error}") from error
