"""Training of predictors: data and its split, epochs that can be stopped and resumed, what the result is worth."""

from .epoch_loop import EpochLoop, Progress
from .judgement import errors_of, judge
from .sources import DatabaseRows, NnlqpData, ParquetRows, ShippedRows
from .split import Split, SplitRule
from .training_data import TrainingData

__all__ = [
    "DatabaseRows",
    "EpochLoop",
    "NnlqpData",
    "ParquetRows",
    "Progress",
    "ShippedRows",
    "Split",
    "SplitRule",
    "TrainingData",
    "errors_of",
    "judge",
]
