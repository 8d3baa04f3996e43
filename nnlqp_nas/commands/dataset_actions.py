"""The three actions of ``nnlqp-nas dataset``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import chain
from pathlib import Path

from ..core import InvalidSettingError, Platform, UnknownNameError
from ..database import SqlDatabase, open_database
from ..datasets.dataset_files import DatasetFiles, find_files
from ..datasets.importing import add_missing
from ..datasets.latency_row import LatencyRow, read_rows, write_rows
from ..datasets.measured import MEASURED
from ..datasets.nnlqp_export import NnlqpExport
from ..datasets.nnlqp_folder import NnlqpFolder
from ..datasets.nnlqp_line import parse_platform
from ..datasets.reading import Contents, Result, known_contents, results_of_list, results_of_table
from ..datasets.summary import DatasetSummary
from .complaints import Complaints
from .output import print_json, print_table

_SQLITE = b"SQLite format 3\x00"


def import_results(arguments: argparse.Namespace) -> int:
    """Add the results of a data set to the database."""
    platforms = _numbered(arguments.platform_id)
    files, complaints = find_files(arguments.source), Complaints()
    with closing(open_database(arguments.database)) as database:
        contents = known_contents(database.select()) if files.lists else {}
        results = _results(files, platforms, complaints, contents)
        imported = add_missing(results, lambda platform: _stored(database, platform), database.add)
        url = database.url
    complaints.tell_rest()
    if not imported.n_added + imported.n_known:
        raise InvalidSettingError(
            f"expected at least one row that can be read in {arguments.source}, got none; {complaints.n_lost} lines were left out"
        )
    counts = {"added": imported.n_added, "known": imported.n_known, "malformed": complaints.n_malformed, "skipped": complaints.n_skipped}
    if arguments.json:
        print_json({"source": str(arguments.source), "database": url, **counts})
    else:
        left_out = [
            f"{n} lines {why}"
            for n, why in ((complaints.n_malformed, "malformed"), (complaints.n_skipped, "without their network or platform"))
            if n
        ]
        said = f"{imported.n_added} rows added to {url}, {imported.n_known} were there already"
        sys.stdout.write("; left out: ".join(filter(None, (said, ", ".join(left_out)))) + "\n")
    return 0


def export_rows(arguments: argparse.Namespace) -> int:
    """Write rows in NNLQP's layout or as parquet."""
    target: Path = arguments.target
    rows = _chosen_rows(arguments)
    n_failures = sum(row.latency_ms is None for row in rows)
    if target.suffix == ".parquet":
        _write_table(target, rows)
        left_out = 0
    else:
        NnlqpExport(target, arguments.test_share).write(rows)
        left_out = n_failures
    n_rows = len(rows) - n_failures
    if arguments.json:
        print_json({"target": str(target), "rows": n_rows, "failures": n_failures - left_out, "left_out": left_out})
    else:
        rest = f"; left out: {left_out} failures, which only parquet keeps" if left_out else f", and {n_failures} failures"
        sys.stdout.write(f"{n_rows} rows written to {target}{rest if n_failures else ''}\n")
    return 0


def describe(arguments: argparse.Namespace) -> int:
    """Count the rows of a data set."""
    summary, complaints = DatasetSummary(), Complaints()
    platforms = _numbered(arguments.platform_id)
    if arguments.source is not None and _is_database(arguments.source):
        with closing(open_database(arguments.source)) as database:
            summary.count_results(chain(database.select(), database.select_failures()))
    else:
        files = find_files(Path(arguments.source)) if arguments.source is not None else _shipped()
        for table in files.tables:
            summary.count_table(table)
        for latencies in files.lists:
            summary.count_list(NnlqpFolder(latencies, platforms, complaints))
    if arguments.json:
        print_json(summary.to_json())
    else:
        _print_summary(summary)
    return 0


def _results(files: DatasetFiles, platforms: dict[int, Platform], complaints: Complaints, contents: Contents) -> Iterator[Result]:
    for table in files.tables:
        yield from results_of_table(table, complaints)
    for latencies in files.lists:
        yield from results_of_list(NnlqpFolder(latencies, platforms, complaints), complaints, contents)


def _stored(database: SqlDatabase, platform: Platform) -> Iterator[Result]:
    return chain(database.select(platform), database.select_failures(platform))


def _shipped() -> DatasetFiles:
    return DatasetFiles(tables=tuple(sorted(MEASURED.glob("*.parquet"))))


def _chosen_rows(arguments: argparse.Namespace) -> list[LatencyRow]:
    files = find_files(arguments.source) if arguments.source is not None else _shipped()
    if files.lists:
        raise InvalidSettingError(f"expected parquet to export from, got {files.lists[0]}, which is in NNLQP's layout already")
    rows = read_rows(files.tables)
    _check_names("platform", arguments.platform, {row.platform for row in rows})
    _check_names("family", arguments.family, {row.space for row in rows})
    chosen = [
        row
        for row in rows
        if (not arguments.platform or row.platform in arguments.platform) and (not arguments.family or row.space in arguments.family)
    ]
    if not chosen:
        raise InvalidSettingError(
            f"expected rows to export, got none in {arguments.source or 'what is shipped'}; name another source: --from"
        )
    return chosen


def _check_names(kind: str, names: Sequence[str], present: set[str]) -> None:
    for name in names:
        if name not in present:
            raise UnknownNameError.among(f"{kind} of the data set", name, present)


def _write_table(target: Path, rows: Sequence[LatencyRow]) -> None:
    if target.exists():
        raise InvalidSettingError(f"expected a file to make, got {target}, which exists; name another one")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_rows(target, rows)
    except OSError as error:
        raise InvalidSettingError(f"expected to write {target}, got: {error.strerror or error}; name another file") from error


def _numbered(texts: Sequence[str]) -> dict[int, Platform]:
    return dict(map(parse_platform, texts))


def _is_database(source: str) -> bool:
    if "://" in source:
        return True
    path = Path(source)
    if not path.is_file():
        return False
    with path.open("rb") as opened:
        return opened.read(len(_SQLITE)) == _SQLITE


def _print_summary(summary: DatasetSummary) -> None:
    for kind, counts in (("platform", summary.platforms), ("family", summary.families)):
        print_table((kind, "rows"), [(name, str(count)) for name, count in sorted(counts.items())])
        sys.stdout.write("\n")
    sys.stdout.write(f"{summary.n_rows} rows, and {summary.n_failures} failures\n")
