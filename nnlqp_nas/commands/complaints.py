"""What could not be read, told on standard error."""

from __future__ import annotations

import sys

from ..datasets.nnlqp_folder import Complaint

_TOLD = 20


class Complaints:
    """Tells every malformed line as it comes, and of the lines that name something absent the first few.

    Attributes:
        n_malformed: Lines that are at fault themselves.
        n_skipped: Well-formed lines whose network or platform could not be had.
    """

    def __init__(self) -> None:
        self.n_malformed = 0
        self.n_skipped = 0
        self._n_told = 0
        self._n_untold = 0

    @property
    def n_lost(self) -> int:
        """All lines that could not be read."""
        return self.n_malformed + self.n_skipped

    def __call__(self, complaint: Complaint) -> None:
        """Take a complaint, and tell it."""
        if complaint.is_malformed:
            self.n_malformed += complaint.n_lines
        else:
            self.n_skipped += complaint.n_lines
            self._n_told += 1
            if self._n_told > _TOLD:
                self._n_untold += complaint.n_lines
                return
        _write(str(complaint))

    def tell_rest(self) -> None:
        """Say how many lines were not told one by one."""
        if self._n_untold:
            _write(f"... and {self._n_untold} more lines whose network or platform could not be had")


def _write(text: str) -> None:
    from tqdm import tqdm

    tqdm.write(text, file=sys.stderr)
