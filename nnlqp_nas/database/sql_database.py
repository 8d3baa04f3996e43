"""The latency database in SQL: an SQLite file by default, any database that SQLAlchemy speaks to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from typing import Any

from sqlalchemy import URL, Connection, Select, bindparam, func, select
from sqlalchemy import Table as SqlTable
from sqlalchemy.sql.compiler import SQLCompiler

from ..core import InvalidSettingError, LatencyDatabase, Measurement, MeasurementFailure, Platform
from .connection import make_engine, probing, reading, writing
from .migrating import migrate
from .rows import failure_of, failure_row, measurement_of, measurement_row
from .schema import failures, measurements

_KEYS_A_QUERY = 5000
_ROWS_A_PAGE = 1000

_platform_of = lru_cache(maxsize=1024)(Platform.parse)


class SqlDatabase(LatencyDatabase):
    """Measurements and failures in two tables, numbered together by revision.

    One writer at a time: the number of a row is one more than the greatest there is, and readers
    see rows in the order of their numbers, so that :meth:`select` from a known revision misses none.

    Args:
        url: A SQLAlchemy URL, such as ``sqlite:///latency.sqlite``.

    Raises:
        DatabaseError: If it cannot be opened, is no latency database, or has a newer schema; it is
            left as it is then.
    """

    def __init__(self, url: str | URL) -> None:
        self._engine = make_engine(url)
        try:
            migrate(self._engine)
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        """Where the database is; a password in it is masked."""
        return self._engine.url.render_as_string()

    def look_up(
        self, graph_keys: Sequence[str], platform: Platform, batch_size: int = 1, host: str | None = None
    ) -> list[Measurement | None]:
        found: dict[str, Measurement] = {}
        keys = list(dict.fromkeys(graph_keys))
        if not keys:
            return []
        if len(keys) == 1 and not self._has(keys[0], platform, batch_size):
            return [None] * len(graph_keys)
        with reading(self._engine) as connection:
            for start in range(0, len(keys), _KEYS_A_QUERY):
                rows = connection.execute(_newest(keys[start : start + _KEYS_A_QUERY], platform, batch_size, host)).all()
                found |= {row[1]: measurement_of(row, platform) for row in rows}
        return [found.get(key) for key in graph_keys]

    def add(self, results: Iterable[Measurement | MeasurementFailure]) -> int:
        rows = [_row(result) for result in results]
        if not rows:
            return 0
        with writing(self._engine) as connection:
            first = _newest_revision(connection) + 1
            numbered = [(table, {"revision": first + i, **row}) for i, (table, row) in enumerate(rows)]
            for table in (measurements, failures):
                batch = [row for owner, row in numbered if owner is table]
                if batch:
                    connection.execute(table.insert(), batch)
        return len(rows)

    def select(self, platform: Platform | None = None, batch_size: int | None = None, since_revision: int = 0) -> Iterator[Measurement]:
        for row in self._pages(measurements, platform, batch_size, since_revision):
            yield measurement_of(row, _platform_of(row.platform))

    def select_failures(
        self, platform: Platform | None = None, batch_size: int | None = None, since_revision: int = 0
    ) -> Iterator[MeasurementFailure]:
        """Yield failures in the order they were added.

        Raises:
            DatabaseError: If the database cannot be read.
        """
        return map(failure_of, self._pages(failures, platform, batch_size, since_revision))

    def count_rows(self) -> dict[Platform, int]:
        query = select(measurements.c.platform, func.count()).group_by(measurements.c.platform).order_by(measurements.c.platform)
        with reading(self._engine) as connection:
            return {_platform_of(name): count for name, count in connection.execute(query)}

    @property
    def revision(self) -> int:
        with reading(self._engine) as connection:
            return _newest_revision(connection)

    def close(self) -> None:
        self._engine.dispose()

    def _has(self, graph_key: str, platform: Platform, batch_size: int) -> bool:
        """Whether any host has a row; in a search of one network at a time most have none, and this is what they cost."""
        asked = {"platform": str(platform), "batch_size": batch_size, "graph_key": graph_key}
        probe = self._probe
        with probing(self._engine) as cursor:
            cursor.execute(probe.string, [asked[name] for name in probe.positiontup] if probe.positiontup else asked)
            return cursor.fetchone()[0] is not None

    @cached_property
    def _probe(self) -> SQLCompiler:
        columns = measurements.c
        names = ("platform", "batch_size", "graph_key")
        query = select(func.max(columns.revision)).where(*(columns[name] == bindparam(name) for name in names))
        return query.compile(self._engine)

    def _pages(self, table: SqlTable, platform: Platform | None, batch_size: int | None, since_revision: int) -> Iterator[Any]:
        # Page by page, each a query of its own: a slow reader holds no transaction open.
        query = select(table).order_by(table.c.revision).limit(_ROWS_A_PAGE)
        if platform is not None:
            query = query.where(table.c.platform == str(platform))
        if batch_size is not None:
            query = query.where(table.c.batch_size == batch_size)
        while True:
            with reading(self._engine) as connection:
                page = connection.execute(query.where(table.c.revision > since_revision)).all()
            yield from page
            if len(page) < _ROWS_A_PAGE:
                return
            since_revision = page[-1].revision


def _row(result: Measurement | MeasurementFailure) -> tuple[SqlTable, dict[str, Any]]:
    if isinstance(result, Measurement):
        return measurements, measurement_row(result)
    if isinstance(result, MeasurementFailure):
        return failures, failure_row(result)
    raise InvalidSettingError(f"expected measurements and failures to store, got {type(result).__name__}")


def _newest(keys: list[str], platform: Platform, batch_size: int, host: str | None) -> Select[Any]:
    """Return the query for the newest row of each key: one pass over the index, then as many rows as keys found."""
    columns = measurements.c
    newest = select(func.max(columns.revision)).where(
        columns.platform == str(platform), columns.batch_size == batch_size, columns.graph_key.in_(keys)
    )
    if host is not None:
        newest = newest.where(columns.host == host)
    return select(measurements).where(columns.revision.in_(newest.group_by(columns.graph_key)))


def _newest_revision(connection: Connection) -> int:
    newest = (connection.execute(select(func.max(table.c.revision))).scalar() for table in (measurements, failures))
    return max(revision or 0 for revision in newest)
