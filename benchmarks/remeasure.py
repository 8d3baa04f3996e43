"""Take further passes of shipped rows until two agree: rows of a campaign of one round are single passes, some beside a busy neighbour.

    python -m benchmarks.remeasure --core 1 --tested [--platform P]... [--passes N]
    python -m benchmarks.remeasure --keep

Networks come in random order, with ``--tested`` only those that test in ``benchmarks.multi_platform``. Each is measured once more, then
again those whose two fastest passes differ by more than 4 %. Passes are journaled under runs/remeasure, so that a killed run goes on.
``--keep`` measures nothing and writes the rows of the data set: the two fastest passes with their mean. The first pass and the later ones
were taken in different sittings; the median ratio over all networks that were measured in both is taken for the machine's drift between
them. Rows that are means of passes already stay as they are. Rows must come from the host that measured the platform the first time.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from nnlqp_nas.backends.artefacts import Artefacts
from nnlqp_nas.commands.campaign import campaign_backend, reference_set
from nnlqp_nas.core import GraphView, InvalidSettingError
from nnlqp_nas.datasets.averaging import average_passes
from nnlqp_nas.datasets.campaign import PROTOCOL, Campaign
from nnlqp_nas.datasets.drift import Drift
from nnlqp_nas.datasets.journal import Journal, Pass
from nnlqp_nas.datasets.latency_row import LatencyRow, read_rows, write_rows
from nnlqp_nas.datasets.measured import MEASURED, space_of
from nnlqp_nas.datasets.members import Member

from .evaluation import place_of
from .measured_networks import PROBES
from .multi_platform import TEST_SEED, TESTED

PROTOCOL_OF_ROWS = replace(PROTOCOL, warmup_s=0.05, min_runs=4, min_time_s=0.12, is_realtime=True)
"""As the shipped rows were taken the first time."""

SEED, N_REFERENCES, REFERENCE_EVERY_S = 7, 3, 900.0
JOURNALS = Path("runs/remeasure")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=JOURNALS, help="of the journals, one a platform")
    parser.add_argument("--platform", action="append", metavar="P", help="may be given again; all of the data set unless given")
    parser.add_argument("--core", type=int, help="core to measure on (default: any)")
    parser.add_argument("--tested", action="store_true", help="only the networks that test in benchmarks.multi_platform")
    parser.add_argument("--passes", type=int, default=3, help="most further passes of a network")
    parser.add_argument("--keep", action="store_true", help="write what the journals hold into the rows of the data set; measure nothing")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    try:
        for name in arguments.platform or sorted(path.stem for path in MEASURED.glob("*.parquet")):
            path, journal = MEASURED / f"{name}.parquet", Journal(arguments.folder / f"{name}.jsonl")
            if arguments.keep:
                n = keep(path, journal)
                print(f"{name}: {n} rows of further passes")
            else:
                measure(read_rows([path]), journal, arguments.core, arguments.tested, arguments.passes)
    except InvalidSettingError as error:
        parser.error(str(error))


def measure(rows: Sequence[LatencyRow], journal: Journal, core: int | None, is_tested: bool, n_passes: int) -> None:
    """Take passes of one platform until two agree, or ``n_passes`` are taken."""
    chosen = [row for row in rows if _is_single(row) and (_tests(row) if is_tested else True)]
    with ExitStack() as held:
        backend = campaign_backend(rows[0].platform, None if core is None else [core], held.enter_context(Artefacts(n_kept=2)), held)
        for n in range(1, n_passes + 1):
            settled = {row.identity for row in renewed(rows, journal.read()) if _is_settled(row)} if n > 1 else set()
            members = _shuffled(row for row in chosen if row.identity not in settled)
            if members:
                references = reference_set(N_REFERENCES)
                Campaign(members, [backend], journal.path, PROTOCOL_OF_ROWS, 1, SEED, n, references, REFERENCE_EVERY_S).run()


def renewed(rows: Sequence[LatencyRow], passes: Sequence[Pass]) -> list[LatencyRow]:
    """Return the rows of networks that were measured again: their two fastest passes, the one that stands in the data set among them.

    Args:
        rows: Single passes of one platform.
        passes: Further ones, taken in another sitting.

    Raises:
        InvalidSettingError: If another machine took them.
    """
    first = {row.identity: row for row in rows if _is_single(row)}
    drift = Drift(passes)
    later = [(one, one.row.latency_ms / drift.at(one.row.taken_at)) for one in passes if one.row.latency_ms and one.row.identity in first]
    later = [(one, ms) for one, ms in later if not one.is_reference]
    hosts = {row.host for row in first.values()} | {one.row.host for one, _ in later}
    if len(hosts) > 1:
        raise InvalidSettingError(f"expected passes of one machine, got {sorted(hosts)}; measure on the one that took the rows")
    if not later:
        return []
    slowness = float(np.median([ms / (first[one.row.identity].latency_ms or ms) for one, ms in later if one.number == 0]))
    together = [Pass(replace(one.row, latency_ms=ms / slowness), 1 + one.number) for one, ms in later]
    return average_passes([*(Pass(first[identity], 0) for identity in dict.fromkeys(one.row.identity for one, _ in later)), *together])


def keep(path: Path, journal: Journal) -> int:
    """Put the rows that were measured again in the place of the old ones and return how many there are."""
    rows = read_rows([path])
    again = {row.identity: row for row in renewed(rows, journal.read())}
    write_rows(path, [again.get(row.identity, row) for row in rows])
    return len(again)


def _is_single(row: LatencyRow) -> bool:
    return row.latency_ms is not None and len(json.loads(row.facts)["pass_medians_ms"]) == 1


def _tests(row: LatencyRow) -> bool:
    graph = space_of(row.space, row.settings).graph(row.architecture, GraphView.OPTIMISED)
    return row.space != PROBES and place_of(graph.key, TEST_SEED) < TESTED


def _is_settled(row: LatencyRow) -> bool:
    return bool(json.loads(row.facts)["is_repeatable"])


def _shuffled(rows: Iterable[LatencyRow]) -> list[Member]:
    members = [(space_of(row.space, row.settings), json.loads(row.settings), row.architecture) for row in rows]
    return [members[i] for i in np.random.default_rng(SEED).permutation(len(members))]


if __name__ == "__main__":
    main()
