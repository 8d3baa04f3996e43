"""The evolving database: every true measurement ever taken, in SQLite or any other SQL database."""

from .location import default_path, open_database
from .sql_database import SqlDatabase

__all__ = ["SqlDatabase", "default_path", "open_database"]
