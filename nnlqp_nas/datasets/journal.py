"""The journal of a campaign: one line a pass, on disk before the next one starts."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core import InvalidSettingError
from .latency_row import LatencyRow


@dataclass(frozen=True, slots=True)
class Pass:
    """One network measured once on one platform.

    Attributes:
        row: What came of it.
        number: In which round of the campaign, counted from 0; a reference has the number of its turn.
        is_reference: True for a network of the reference set, which is measured again and again.
    """

    row: LatencyRow
    number: int
    is_reference: bool = False

    @property
    def identity(self) -> tuple[Any, ...]:
        """What must not be measured again."""
        return *self.row.identity, self.number, self.is_reference

    def to_json(self) -> str:
        """Return one line of JSON."""
        return json.dumps({"pass": self.number, "is_reference": self.is_reference, "row": json.loads(self.row.to_json())})

    @classmethod
    def from_json(cls, line: str) -> Pass:
        """Read what :meth:`to_json` wrote.

        Raises:
            InvalidSettingError: If ``line`` is not of that form.
        """
        try:
            document = json.loads(line)
            return cls(LatencyRow.from_json(json.dumps(document["row"])), int(document["pass"]), bool(document["is_reference"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidSettingError(f"expected a pass of a campaign as JSON, got {line[:60]!r}") from error


class Journal:
    """A file of passes that survives a kill at any moment; whatever line the kill cut off is left out.

    Args:
        path: The file; is created, or continued.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[Pass]:
        """Return the passes so far, in the order they were taken.

        Raises:
            InvalidSettingError: If the file is not a journal.
        """
        if not self.path.exists():
            return []
        lines = self.path.read_text(encoding="utf-8").split("\n")
        return [Pass.from_json(line) for line in lines[:-1] if line]

    def append(self, one: Pass) -> None:
        """Write a pass to disk."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(one.to_json() + "\n")
            file.flush()
            os.fsync(file.fileno())

    def mend(self) -> None:
        """Make the folder where there is none, and remove a line that was cut off."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            content = self.path.read_bytes()
            whole = content[: content.rfind(b"\n") + 1]
            if whole != content:
                self.path.write_bytes(whole)
