"""A bar over several trainings, which may run in processes of their own."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from threading import Event, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Self

from tqdm import tqdm

if TYPE_CHECKING:
    from ..training.job import TrainingJob

_LOOKS_EVERY_S = 0.5


class TrainingBar:
    """Shows on standard error how many epochs of all trainings are behind, the time left, and the best validation error.

    It looks into the folders of the trainings, and so shows those of other processes as well.

    Args:
        jobs: The trainings.
    """

    def __init__(self, jobs: Sequence[TrainingJob]) -> None:
        self._jobs = jobs
        self._is_over = Event()
        self._thread = Thread(target=self._watch, daemon=True)
        self._bar: tqdm[None] | None = None

    def __enter__(self) -> Self:
        self._bar = tqdm(desc="train", unit="epoch", file=sys.stderr, dynamic_ncols=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._is_over.set()
        self._thread.join()
        if kind is None:
            self._show()
        if self._bar is not None:
            self._bar.close()

    def _watch(self) -> None:
        while not self._is_over.wait(_LOOKS_EVERY_S):
            self._show()

    def _show(self) -> None:
        assert self._bar is not None
        progress = [job.progress() for job in self._jobs]
        self._bar.total = sum(max(p.n_epochs for p in progress) if not p.is_over else p.epoch for p in progress)
        errors = [p.best_mape for p in progress if p.best_mape is not None]
        if errors:
            self._bar.set_postfix_str(f"validation MAPE {min(errors):.2f} %", refresh=False)
        self._bar.update(sum(p.epoch for p in progress) - self._bar.n)
        self._bar.refresh()
