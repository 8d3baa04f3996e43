"""The first schema: measurements and failures."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _asked() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("revision", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("graph_key", sa.String(64), nullable=False),
        sa.Column("platform", sa.String(128), nullable=False),
        sa.Column("batch_size", sa.Integer(), nullable=False),
        sa.Column("host", sa.String(256), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True)),
    )


def upgrade() -> None:
    """Make the tables of an empty database."""
    op.create_table(
        "measurements",
        *_asked(),
        sa.Column("latency_ms", sa.Double(), nullable=False),
        sa.Column("std_ms", sa.Double()),
        sa.Column("low_ms", sa.Double()),
        sa.Column("high_ms", sa.Double()),
        sa.Column("n_runs", sa.Integer(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
    )
    op.create_table(
        "failures",
        *_asked(),
        sa.Column("stage", sa.String(32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
    )
    for table in ("measurements", "failures"):
        op.create_index(f"ix_{table}_asked", table, ["platform", "batch_size", "graph_key", "host", "revision"])
