"""Platforms: where a network runs, with which software, at which precision."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from .errors import InvalidSettingError

_PRECISION = re.compile(r"(fp|bf|tf|int)\d+\w*")
_TOKEN = re.compile(r"[A-Za-z0-9_.+]+(-[A-Za-z0-9_.+]+)*")
_EAGER_SOFTWARE = frozenset({"torch", "torchmobile", "lut"})
_CONVERTING_SOFTWARE = frozenset({"tflite"})


class GraphView(StrEnum):
    """Which graph of a network a platform executes.

    ``AS_WRITTEN``: every node, dead branches and identities too, as PyTorch's eager mode
    and sums over operator tables do. ``CONVERTED``: nodes that nothing reads and identities are
    gone and batch normalisation is folded into its convolution, but branches that start from zeros
    run, as TensorFlow Lite's converter leaves them: what is multiplied by zero is a constant and reads
    nothing. ``OPTIMISED``: branches that start from zeros are gone too, as in what this project
    hands to inference engines.
    """

    AS_WRITTEN = "as_written"
    CONVERTED = "converted"
    OPTIMISED = "optimised"


@dataclass(frozen=True, slots=True, order=True)
class Platform:
    """A hardware, a software and a precision, written ``<hardware>-<software>-<precision>``.

    Guarantees: ``Platform.parse(str(p)) == p``; hashable; ordered by name parts.

    Attributes:
        hardware: Device, such as ``cpu`` (the machine at hand) or ``gpu-T4``; may hold hyphens.
        software: Inference engine and version, such as ``onnxruntime`` or ``trt7.1``; no hyphen.
        precision: Numeric format, such as ``fp32``, ``int8``, ``bf16``, ``int8dyn``; no hyphen.
        variant: Further setting of the engine, such as ``2t`` (two threads) or ``sse41``; may be empty.
    """

    hardware: str
    software: str
    precision: str
    variant: str = ""

    def __post_init__(self) -> None:
        if not _TOKEN.fullmatch(self.hardware) or _PRECISION.fullmatch(self.hardware):
            raise InvalidSettingError(f"expected a hardware name like 'cpu' or 'gpu-T4', got '{self.hardware}'")
        if not _TOKEN.fullmatch(self.software) or "-" in self.software:
            raise InvalidSettingError(f"expected a software name without hyphen like 'trt7.1', got '{self.software}'")
        if not _PRECISION.fullmatch(self.precision):
            raise InvalidSettingError(f"expected a precision like fp32, bf16 or int8, got '{self.precision}'")
        if self.variant and (not _TOKEN.fullmatch(self.variant) or _has_precision(self.variant)):
            raise InvalidSettingError(f"expected a variant like '2t', got '{self.variant}'")

    @classmethod
    def parse(cls, name: str) -> Platform:
        """Read ``<hardware>-<software>-<precision>[-<variant>]``.

        Raises:
            InvalidSettingError: If ``name`` is not of that form.
        """
        tokens = name.split("-")
        places = [i for i, token in enumerate(tokens) if i >= 2 and _PRECISION.fullmatch(token)]
        if not places:
            raise InvalidSettingError(f"expected <hardware>-<software>-<precision> like cpu-onnxruntime-fp32, got '{name}'")
        at = places[-1]
        return cls("-".join(tokens[: at - 1]), tokens[at - 1], tokens[at], "-".join(tokens[at + 1 :]))

    def __str__(self) -> str:
        name = f"{self.hardware}-{self.software}-{self.precision}"
        return f"{name}-{self.variant}" if self.variant else name

    @property
    def view(self) -> GraphView:
        """The graph that this platform executes, which follows from its software."""
        if self.software in _EAGER_SOFTWARE:
            return GraphView.AS_WRITTEN
        return GraphView.CONVERTED if self.software in _CONVERTING_SOFTWARE else GraphView.OPTIMISED


def _has_precision(variant: str) -> bool:
    return any(_PRECISION.fullmatch(token) for token in variant.split("-"))
