"""The tables of the newest schema; ``migrations/`` leads every older file to them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, Column, DateTime, Dialect, Double, Index, Integer, MetaData, String, Table, Text
from sqlalchemy.types import TypeDecorator

HEAD = "0001"
VERSION_TABLE = "latency_schema"

metadata = MetaData()


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time: stored as UTC, returned with its time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        time: datetime = value
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _asked() -> tuple[Column[Any], ...]:
    """Return the columns that say what was asked, where and when; measurements and failures share them."""
    return (
        Column("revision", Integer, primary_key=True, autoincrement=False),
        Column("graph_key", String(64), nullable=False),
        Column("platform", String(128), nullable=False),
        Column("batch_size", Integer, nullable=False),
        Column("host", String(256), nullable=False),
        Column("taken_at", UtcDateTime),
    )


measurements = Table(
    "measurements",
    metadata,
    *_asked(),
    Column("latency_ms", Double, nullable=False),
    Column("std_ms", Double),
    Column("low_ms", Double),
    Column("high_ms", Double),
    Column("n_runs", Integer, nullable=False),
    Column("facts", JSON, nullable=False),
    Index("ix_measurements_asked", "platform", "batch_size", "graph_key", "host", "revision"),
)

failures = Table(
    "failures",
    metadata,
    *_asked(),
    Column("stage", String(32), nullable=False),
    Column("reason", Text, nullable=False),
    Index("ix_failures_asked", "platform", "batch_size", "graph_key", "host", "revision"),
)
