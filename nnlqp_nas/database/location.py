"""Where the latency database is: an argument, the environment, or the user's data folder."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import URL

from .sql_database import SqlDatabase

VARIABLE = "NNLQP_NAS_DATABASE"


def default_path() -> Path:
    """Return the file in the user's data folder."""
    import platformdirs

    return Path(platformdirs.user_data_dir("nnlqp-nas", appauthor=False)) / "latency.sqlite"


def open_database(url_or_path: str | os.PathLike[str] | None = None) -> SqlDatabase:
    """Open a latency database, made or brought to the newest schema where needed.

    Args:
        url_or_path: A file, or any SQLAlchemy URL, such as ``postgresql+psycopg://host/latency``;
            None takes the environment variable ``NNLQP_NAS_DATABASE``, else :func:`default_path`.

    Raises:
        DatabaseError: If it cannot be opened, is no latency database, or has a newer schema; it is
            left as it is then.
    """
    place = url_or_path or os.environ.get(VARIABLE) or default_path()
    text = os.fspath(place)
    if "://" in text:
        return SqlDatabase(text)
    return SqlDatabase(URL.create("sqlite", database=str(Path(text).expanduser().absolute())))
