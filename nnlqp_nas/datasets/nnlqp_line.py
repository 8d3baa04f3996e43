"""Lines of NNLQP's ``gt.txt``: one latency of one network each."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from ..core import InvalidSettingError, Platform

PLATFORM_IDS = {
    1: "gpu-gtx1660-trt7.1-fp32",
    2: "cpu-openppl-fp32",
    9: "hi3559A-nnie11-int8",
    10: "gpu-T4-trt7.1-fp32",
    12: "gpu-T4-trt7.1-int8",
    13: "gpu-P4-trt7.1-fp32",
    14: "gpu-P4-trt7.1-int8",
    16: "hi3519A-nnie12-int8",
    18: "atlas300-acl-fp16",
    23: "mul270-neuware-int8",
}
"""NNLQP's own numbers: nine of its multi-platform set, in the order of its demo, and the one of its unseen-structure set."""

FIRST_FREE_ID = 1001
"""From here on count the platforms that NNLQP has no number for."""

FORM = "GraphID OnnxPath BatchSize Latency ModelType PlatformId [Stage]"
_COUNT = re.compile(r"[0-9]{1,9}")
_NUMBER = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_LEAST_FIELDS = 6
_SHOWN = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class NnlqpLine:
    """One latency, as NNLQP writes it.

    Guarantees: ``parse(str(line)) == line`` where no field but the path holds white space, and that
    only single spaces; a latency keeps every bit.

    Attributes:
        graph_id: NNLQP's name of the network.
        onnx_path: Path of the network, relative to the folder of ``gt.txt``; as written there, not to be trusted.
        batch_size: Inputs per run.
        latency_ms: Milliseconds for the whole batch, finite and positive.
        model_type: Family of the network.
        platform_id: Number of the platform.
        stage: ``train`` or ``test``; empty where the line does not say.
    """

    graph_id: str
    onnx_path: str
    batch_size: int
    latency_ms: float
    model_type: str
    platform_id: int
    stage: str = ""

    @classmethod
    def parse(cls, text: str) -> NnlqpLine:
        """Read a line; fields are parted by any white space.

        Raises:
            InvalidSettingError: If a field is missing or not what it must be.
        """
        fields = text.split()
        if len(fields) < _LEAST_FIELDS:
            raise InvalidSettingError(f"expected {FORM}, got {shown(text.strip())}")
        stage = "" if _COUNT.fullmatch(fields[-1]) else fields.pop()
        graph_id, *path, batch_size, latency_ms, model_type, platform_id = fields
        if not path:
            raise InvalidSettingError(f"expected {FORM}, got {shown(text.strip())}")
        return cls(
            graph_id=graph_id,
            onnx_path=" ".join(path),
            batch_size=_positive("batch size", batch_size),
            latency_ms=_latency_ms(latency_ms),
            model_type=_word("model type", model_type),
            platform_id=_count("platform number", platform_id),
            stage=_word("stage", stage),
        )

    def __str__(self) -> str:
        stage = f" {self.stage}" if self.stage else ""
        numbers = f"{self.batch_size} {self.latency_ms!r}"
        return f"{self.graph_id} {self.onnx_path} {numbers} {self.model_type} {self.platform_id}{stage}"


def parse_platform(text: str) -> tuple[int, Platform]:
    """Read a number and the platform's name, parted by white space or ``=``.

    Raises:
        InvalidSettingError: If ``text`` is not of that form.
    """
    fields = text.replace("=", " ", 1).split()
    if len(fields) != 2:
        raise InvalidSettingError(f"expected a platform's number and name, such as 1001 cpu-onnxruntime-fp32, got {shown(text.strip())}")
    return _count("platform number", fields[0]), Platform.parse(fields[1])


def shown(text: str) -> str:
    """Return what strangers wrote as it can be printed: quoted, in one line, not longer than it helps."""
    return ascii(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")


def _latency_ms(text: str) -> float:
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not (math.isfinite(value) and value > 0):
        raise InvalidSettingError(f"expected a latency above 0 ms, got {shown(text)}")
    return value


def _word(what: str, text: str) -> str:
    if not text.isprintable():
        raise InvalidSettingError(f"expected a {what}, got {shown(text)}")
    return text


def _positive(what: str, text: str) -> int:
    value = _count(what, text)
    if value < 1:
        raise InvalidSettingError(f"expected a {what} >= 1, got {shown(text)}")
    return value


def _count(what: str, text: str) -> int:
    if not _COUNT.fullmatch(text):
        raise InvalidSettingError(f"expected a {what}, got {shown(text)}")
    return int(text)
