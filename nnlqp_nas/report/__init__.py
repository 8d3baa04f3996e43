"""Plots and pages of what a run found."""

from .search_report import write_report

__all__ = ["write_report"]
