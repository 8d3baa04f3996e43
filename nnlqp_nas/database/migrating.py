"""Bringing a database to the newest schema, once, whoever opens it first."""

from __future__ import annotations

import time
from importlib.resources import files

from sqlalchemy import Connection, Engine, inspect, text

from ..core import DatabaseError
from .connection import reading, writing
from .schema import HEAD, VERSION_TABLE

_WAIT_S = 60.0


def migrate(engine: Engine) -> None:
    """Make the tables, or lead those of an older schema to the newest; a newer one is left as it is.

    Two processes that open a fresh file at once take turns: the second finds the work done.

    Raises:
        DatabaseError: If the database is another program's, has a newer schema, or cannot be written.
    """
    with reading(engine) as connection:
        version = _version(connection)
    if version == HEAD:
        return
    _check(version)
    if engine.dialect.name == "sqlite":
        _switch_on_write_ahead_log(engine)
    with writing(engine) as connection:
        if _version(connection) != HEAD:
            _upgrade(connection)


def _version(connection: Connection) -> str | None:
    """Return the schema's version, None where the database is empty."""
    tables = inspect(connection).get_table_names()
    if VERSION_TABLE in tables:
        return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    if tables and connection.dialect.name == "sqlite":
        names = ", ".join(tables[:3])
        raise DatabaseError(f"expected a latency database, got {connection.engine.url.database} with the tables {names}; name another file")
    return None


def _check(version: str | None) -> None:
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    try:
        if version is not None:
            ScriptDirectory(_scripts()).get_revision(version)
    except CommandError as error:
        raise DatabaseError(
            f"expected a latency database of schema {HEAD} or older, got schema {version}; upgrade: pip install -U nnlqp-nas"
        ) from error


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", _scripts().replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _scripts() -> str:
    return str(files(f"{__package__}.migrations"))


def _switch_on_write_ahead_log(engine: Engine) -> None:
    # Readers do not wait for the writer then. SQLite does not wait for its busy timeout here, so
    # that two processes which make the same file have to try again themselves.
    deadline = time.monotonic() + _WAIT_S
    while True:
        connection = engine.raw_connection()
        try:
            connection.cursor().execute("PRAGMA journal_mode=WAL")
            return
        except Exception as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise DatabaseError(
                    f"expected to write the latency database {engine.url.database}, got: {error}; name another file"
                ) from error
            time.sleep(0.02)
        finally:
            connection.close()
