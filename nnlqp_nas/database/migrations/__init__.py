"""Alembic's migrations of the latency database, shipped with the package."""
