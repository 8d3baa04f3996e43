"""Connections: one set of rules for every transaction, whatever the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from ..core import DatabaseError, MissingExtraError
from .sqlite_file import check_file

_WAIT_S = 60
_WRITER_LOCK = 0x6E6E6C71  # any number that no other program uses: "nnlq"


def make_engine(url: str | URL) -> Engine:
    """Return the engine of a URL; a file behind it is checked, not yet opened.

    Raises:
        DatabaseError: If the URL or the file is no good.
        MissingExtraError: If the database's driver is not installed.
    """
    try:
        parsed = make_url(url)
        is_sqlite = parsed.get_backend_name() == "sqlite"
        if is_sqlite and parsed.database and parsed.database != ":memory:":
            check_file(Path(parsed.database))
        engine = create_engine(parsed, connect_args={"timeout": _WAIT_S} if is_sqlite else {})
    except (ArgumentError, NoSuchModuleError) as error:
        raise DatabaseError(f"expected a file or a URL like postgresql+psycopg://host/latency, got {url}: {one_line(error)}") from error
    except ImportError as error:
        raise MissingExtraError(f"this database needs {error.name}, which is not installed: pip install {error.name}") from error
    if is_sqlite:
        event.listen(engine, "connect", _leave_transactions_to_us)
        event.listen(engine, "begin", _begin)
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Yield a connection that sees one state of the database.

    Raises:
        DatabaseError: If the database cannot be read.
    """
    with _stating(engine, "read"), engine.connect() as connection:
        yield connection


@contextmanager
def probing(engine: Engine) -> Iterator[Any]:
    """Yield a cursor of the driver for one statement, which SQLAlchemy would take several times longer over.

    Raises:
        DatabaseError: If the database cannot be read.
    """
    with _stating(engine, "read"), closing(engine.raw_connection()) as connection, closing(connection.cursor()) as cursor:
        yield cursor


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Yield the connection of the only writer; all it writes is committed at the end, or nothing.

    Raises:
        DatabaseError: If the database cannot be written.
    """
    with _stating(engine, "write"), engine.connect().execution_options(is_writing=True) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _WRITER_LOCK})
        yield connection


def one_line(error: Exception) -> str:
    """Return what a database said, without SQLAlchemy's frame, in one line."""
    said = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return " ".join(str(said).split())


@contextmanager
def _stating(engine: Engine, verb: str) -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, engine.dialect.loaded_dbapi.Error) as error:
        place = engine.url.database if engine.dialect.name == "sqlite" else engine.url.render_as_string()
        advice = "check that it is not damaged, locked or write-protected, or name another one"
        raise DatabaseError(f"expected to {verb} the latency database {place}, got: {one_line(error)}; {advice}") from error


def _leave_transactions_to_us(connection: Any, _: object) -> None:
    # The driver would begin transactions late and without a lock: two writers could then read the
    # same newest revision. It is told to begin none, and _begin says how.
    connection.isolation_level = None


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("is_writing") else "BEGIN")
