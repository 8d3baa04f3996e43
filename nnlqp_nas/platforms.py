"""The registry of platforms: facts of the hardware, and short names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from .core import Platform


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformFacts:
    """What is known of a platform's hardware.

    Attributes:
        kind: ``CPU``, ``GPU``, ``NPU``, ``DSP`` or ``FPGA``.
        device: The manufacturer's name of the device.
        software: Inference engine and version.
        manufacturer: Who makes the device.
        gflops: Peak of fp32 arithmetic, 1e9 operations a second; None where unknown.
        gops: Peak of int8 arithmetic, 1e9 operations a second; None where unknown.
        power_w: Rated power, watts; None where unknown.
    """

    kind: str
    device: str
    software: str
    manufacturer: str
    gflops: float | None = None
    gops: float | None = None
    power_w: float | None = None


@cache
def registered_platforms() -> Mapping[Platform, PlatformFacts]:
    """Return the platforms of the registry and their facts."""
    return {Platform.parse(name): PlatformFacts(**facts) for name, facts in _registry()["platforms"].items()}


@cache
def aliases() -> Mapping[str, Platform]:
    """Return short names, in lower case, and the platforms they stand for."""
    return {name.lower(): Platform.parse(full) for name, full in _registry()["aliases"].items()}


@cache
def _registry() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(files(__package__).joinpath("platforms.json").read_text(encoding="utf-8"))
    return document
