"""From a converted network to a run: rewriting, compilation, and parts where the engine refuses operators."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from .artefacts import made_once
from .isolation import ChildFailure

_MOST_ROUNDS = 4
_LONGEST_REASON = 500
_REFUSING_STAGES = frozenset({"compile", "load"})


class RunTask(Protocol):
    """Does a task of the worker in a process of its own."""

    def __call__(self, task: str, /, **fields: Any) -> Any:
        """Return the value, or a :class:`ChildFailure`; ``fields`` are added to the job."""


class Pipeline:
    """Prepares a network for an engine and runs tasks on it, every step in a process of its own.

    Where the engine refuses operators and says which, the network is cut: the engine gets what is left, ONNX
    Runtime the refused operators. A further refusal cuts once more, a few times at most.

    Args:
        folder: Holds the model.
        model: Name of the ONNX file in it.
        artefact: What compiling leaves; None where the engine reads ONNX itself.
        rewrites: Names of the rewrites to do first.
        run: Does a task of the worker.
    """

    def __init__(self, folder: Path, model: str, artefact: str | None, rewrites: Sequence[str], run: RunTask) -> None:
        self._folder, self._model, self._artefact, self._run = folder, model, artefact, run
        self._rewrites = list(rewrites)
        self._place = "+".join(rewrites)
        self._refused: list[str] = []

    def perform(self, task: str) -> Any:
        """Return the value of a task on the network, or what stands in its way as a :class:`ChildFailure`."""
        if self._rewrites:
            rewrite = lambda: self._run("rewrite", place=self._place, rewrites=self._rewrites)  # noqa: E731
            failure = made_once(self._folder / self._place, self._model, rewrite)
            if failure is not None:
                return failure
        answer = self._attempt(task)
        for _ in range(_MOST_ROUNDS):
            if task != "time" or not isinstance(answer, ChildFailure) or answer.stage not in _REFUSING_STAGES:
                break
            refused = self._run("cut", place=self._place, refused=self._refused, complaint=answer.reason)
            if isinstance(refused, ChildFailure):
                return ChildFailure(answer.stage, f"{answer.reason[: _LONGEST_REASON // 2]}; not split: {refused.reason}"[:_LONGEST_REASON])
            if refused == self._refused:
                break
            self._refused = refused
            answer = self._attempt(task)
        return answer

    def _attempt(self, task: str) -> Any:
        place = str(Path(self._place) / parts_folder(self._refused)) if self._refused else self._place
        is_split = bool(self._refused)
        if self._artefact is not None:
            compile_all = lambda: self._run("compile", place=place, is_split=is_split)  # noqa: E731
            failure = made_once(self._folder / place, self._artefact, compile_all)
            if failure is not None:
                return failure
        return self._run(task, place=place, is_split=is_split)


def parts_folder(refused: Sequence[str]) -> str:
    """Return the name of the folder for the parts of a network that is cut at some operator types."""
    return f"without-{'-'.join(refused)}"
