"""Plots and pages of what a run found."""

from .search_report import write_report
from .sweep import SweepRow
from .sweep_report import write_sweep

__all__ = ["SweepRow", "write_report", "write_sweep"]
