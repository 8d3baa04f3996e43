"""Folders in NNLQP's layout: ``gt.txt``, the networks it names, and the names of its platforms."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..core import InvalidSettingError, Platform
from .nnlqp_line import PLATFORM_IDS, NnlqpLine, parse_platform, shown

LATENCIES = "gt.txt"
PLATFORMS = "platforms.txt"
NETWORKS = "onnx"

_ONE_PLATFORM = {"fpga": Platform.parse("Xilinx-Ultra96-VitisAI-int8")}
"""NNLQP's set of this name has one platform, whose number is stated nowhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """Lines that could not be read, and why.

    Attributes:
        place: Where, such as ``multi_platform/gt.txt:17``.
        reason: Why, one line.
        n_lines: How many lines are lost by it.
        is_malformed: True where the line itself is at fault, False where what it names is.
    """

    place: str
    reason: str
    n_lines: int = 1
    is_malformed: bool = False

    def __str__(self) -> str:
        more = f" ({self.n_lines} lines)" if self.n_lines > 1 else ""
        return f"{self.place}: {self.reason}{more}"


OnComplaint = Callable[[Complaint], None]


class NnlqpFolder:
    """A ``gt.txt`` and what stands beside it.

    Guarantees: a malformed line costs that line only and is told with its number; no path in
    ``gt.txt`` leads out of the folder, through symbolic links neither.

    Args:
        latencies: The file ``gt.txt``, or one of its form.
        platforms: Platforms by number, before those of ``platforms.txt`` and NNLQP's own.
        on_complaint: Is told of every line that cannot be read.
    """

    def __init__(self, latencies: Path, platforms: Mapping[int, Platform], on_complaint: OnComplaint) -> None:
        self.latencies = latencies
        self.folder = latencies.parent.resolve()
        self._on_complaint = on_complaint
        own = {number: Platform.parse(name) for number, name in PLATFORM_IDS.items()}
        self._platforms = own | self._named_platforms() | dict(platforms)

    @property
    def name(self) -> str:
        """The folder's and the file's name, such as ``multi_platform/gt.txt``."""
        return f"{self.folder.name}/{self.latencies.name}"

    def lines(self) -> Iterator[tuple[int, NnlqpLine]]:
        """Yield the well-formed lines and their numbers, from 1; empty lines count and are left out.

        Raises:
            InvalidSettingError: If the file cannot be read.
        """
        for number, text in _numbered(self.latencies):
            try:
                line = NnlqpLine.parse(text)
            except InvalidSettingError as error:
                self._on_complaint(Complaint(place=self.place(number, self.latencies), reason=str(error), is_malformed=True))
            else:
                yield number, line

    def platform(self, number: int) -> Platform | None:
        """Return the platform of a number, None where nothing says which it is."""
        return self._platforms.get(number) or _ONE_PLATFORM.get(self.folder.name)

    def model_path(self, onnx_path: str) -> Path:
        """Return the file that a line names.

        Raises:
            InvalidSettingError: If it is absent or outside the folder.
        """
        try:
            path = (self.folder / onnx_path).resolve()
            is_inside, is_there = path.is_relative_to(self.folder), path.is_file()
        except (OSError, ValueError, RuntimeError) as error:
            raise InvalidSettingError(f"expected the path of an ONNX file, got {shown(onnx_path)}") from error
        if not is_inside:
            raise InvalidSettingError(f"expected an ONNX file inside the folder, got {shown(onnx_path)}, which leads out of it")
        if not is_there:
            raise InvalidSettingError(f"expected the ONNX file {shown(onnx_path)}, found none")
        return path

    def place(self, number: int, file: Path | None = None) -> str:
        """Return file and line number, as complaints state them."""
        return f"{file or self.latencies}:{number}"

    def _named_platforms(self) -> dict[int, Platform]:
        file = self.latencies.with_name(PLATFORMS)
        named = {}
        for number, text in _numbered(file) if file.is_file() else ():
            try:
                platform_id, platform = parse_platform(text)
            except InvalidSettingError as error:
                self._on_complaint(Complaint(place=self.place(number, file), reason=str(error), is_malformed=True))
            else:
                named[platform_id] = platform
        return named


def _numbered(file: Path) -> Iterator[tuple[int, str]]:
    try:
        with file.open(encoding="utf-8-sig", errors="replace") as opened:
            for number, text in enumerate(opened, start=1):
                if text.strip() and not text.lstrip().startswith("#"):
                    yield number, text
    except OSError as error:
        raise InvalidSettingError(f"expected to read {file}, got: {error.strerror}; check its permissions") from error
