"""One process of a search that several share: ``python -m tests.search.shared_worker URL RATED_FILE N_TRIALS SECONDS``.

Writes a line to RATED_FILE before and after each evaluation, which takes SECONDS.
"""

from __future__ import annotations

import os
import sys
import time

from nnlqp_nas.search import OptunaSearch
from nnlqp_nas.search.study_storage import StudyStorage

from .small_problem import accuracy_of, make_problem


def main() -> None:
    url, path, n_trials, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])

    def rate(architecture):
        note(f"begin {os.getpid()} {architecture.key}")
        time.sleep(seconds)
        note(f"end {os.getpid()} {architecture.key}")
        return accuracy_of(architecture)

    def note(line):
        # One write of one short line: two processes' lines do not mix.
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, f"{line}\n".encode())
        os.close(descriptor)

    candidates = OptunaSearch("evolution", n_ask=16).run(make_problem(rate, n_trials=n_trials), StudyStorage(url))
    note(f"found {os.getpid()} {sum(candidate.accuracy is not None for candidate in candidates)}")


if __name__ == "__main__":
    main()
