"""Which backend measures a platform: whichever is registered for its software."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from .core import MeasurementBackend, NnlqpError, Platform, UnknownNameError, UnknownPlatformError, UnsupportedError
from .core.plugins import BACKENDS, load_plugin, plugin_names

_log = logging.getLogger(__name__)


def backend_platforms() -> tuple[Platform, ...]:
    """Return what all registered backends offer, available here or not; a broken backend is named in the log."""
    return tuple(sorted({platform for backend in _backend_classes() for platform in backend.known_platforms()}))


def profiled_software() -> tuple[str, ...]:
    """Return the software of every registered backend that has an operator profiler, sorted."""
    return tuple(sorted(backend.software for backend in _backend_classes() if backend.has_profiler))


def measurable_platforms() -> tuple[Platform, ...]:
    """Return what this machine can measure now, sorted."""
    return tuple(platform for platform in backend_platforms() if find_backend(platform).is_available)


def _backend_classes() -> Iterator[Any]:
    for name in plugin_names(BACKENDS):
        try:
            backend = load_plugin(BACKENDS, name)
        except NnlqpError as error:
            _log.warning("backend %s is left out: %s", name, error)
        else:
            yield backend


def find_backend(platform: Platform) -> MeasurementBackend:
    """Return the backend of a platform, available here or not.

    Raises:
        UnsupportedError: If no backend offers the platform.
    """
    try:
        backend: MeasurementBackend = load_plugin(BACKENDS, platform.software)(platform)
    except UnknownNameError as error:
        offered = ", ".join(plugin_names(BACKENDS)) or "none"
        what = (
            "no backend" if not isinstance(error, UnknownPlatformError) else f"backend {platform.software} does not offer it, and none else"
        )
        raise UnsupportedError(f"{what} measures {platform}; backends: {offered}") from error
    return backend


def available_backend(platform: Platform) -> MeasurementBackend:
    """Return the backend of a platform that this machine can measure.

    Raises:
        UnsupportedError: If it cannot, with the reason.
        MissingExtraError: If the backend needs a package that is not installed.
    """
    backend = find_backend(platform)
    reason = backend.unavailable_reason()
    if reason is not None:
        raise UnsupportedError(f"{platform} cannot be measured here: {reason}")
    return backend
