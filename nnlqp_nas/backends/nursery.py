"""An interpreter that has imported an engine already and forks a process for every job.

Half of a short measurement would otherwise be spent on starting Python and importing. What is
forked is a process of its own all the same: its own engine, memory limit, cores and end.

The nursery reads a line a job, the job's folder, and answers with the process's number, with ``ended`` when
it has, and, told ``reap``, with its exit code; until then nobody else can get the number, so that its group is safe to kill.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from ..core import MeasurementError

SAID = "said"
"""The pipe in a job's folder that its process prints into."""

_PROGRAM = "from nnlqp_nas.backends.nursery import tend; tend()"
_ENDED, _REAP = "ended", "reap"


class Nursery:
    """Forks processes from an interpreter that holds an engine.

    It is started with the first job, and again after ``n_jobs`` of them, so that no layout of
    memory favours all measurements of a campaign.

    Args:
        modules: What to import.
        environment: Variables to set before that.
        n_jobs: Processes forked from one interpreter.
    """

    def __init__(self, modules: Sequence[str], environment: Mapping[str, str], n_jobs: int = 100) -> None:
        self._modules = modules
        self._environment = environment
        self._n_jobs = n_jobs
        self._n_born = 0
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        """Number of the interpreter, started if it is not there or has had its jobs."""
        if self._process is not None and (self._n_born >= self._n_jobs or self._process.poll() is not None):
            self.close()
        if self._process is None:
            self._start()
        assert self._process is not None
        return self._process.pid

    def bear(self, folder: Path) -> int:
        """Fork the process of a job and return its number.

        Raises:
            MeasurementError: If the nursery itself has ended.
        """
        self._n_born += 1
        self._tell(str(folder))
        return int(self._hear())

    def ending(self) -> int:
        """Return the descriptor that can be read once the process has ended."""
        assert self._process is not None
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def reap(self) -> int:
        """Return the exit code of the process, negative for a signal; waits for its end.

        Raises:
            MeasurementError: If the nursery itself has ended.
        """
        self._hear()
        self._tell(_REAP)
        return int(self._hear())

    def close(self) -> None:
        """End the interpreter, and with it what it forked."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def __enter__(self) -> Nursery:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _start(self) -> None:
        self._n_born = 0
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _PROGRAM, *self._modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **self._environment},
        )

    def _tell(self, line: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise MeasurementError(f"expected the nursery of {', '.join(self._modules)} to be there, got {error}") from error

    def _hear(self) -> str:
        """Return the next line, and not a byte more: whoever waits for :meth:`ending` must find the rest unread."""
        line = b""
        while not line.endswith(b"\n"):
            byte = os.read(self.ending(), 1)
            if not byte:
                raise MeasurementError(
                    f"expected the nursery of {', '.join(self._modules)} to answer, got its end; does the engine import?"
                )
            line += byte
        return line.decode().strip()


def tend() -> None:
    """Import the modules named as arguments, then fork as told; the other side of :class:`Nursery`."""
    from .worker import end_with_parent

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what imports print is no answer
    end_with_parent()
    for name in sys.argv[1:]:
        importlib.import_module(name)
    while folder := sys.stdin.readline().strip():
        pid = os.fork()
        if pid == 0:
            answers.close()
            _be_born(Path(folder))
        print(pid, file=answers, flush=True)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        print(_ENDED, file=answers, flush=True)
        sys.stdin.readline()
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), file=answers, flush=True)


def _be_born(folder: Path) -> None:
    from . import worker

    os.setsid()
    said = os.open(folder / SAID, os.O_WRONLY)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (said, 1), (said, 2)):
        os.dup2(source, target)
    sys.argv[1:] = [str(folder)]
    worker.main()
