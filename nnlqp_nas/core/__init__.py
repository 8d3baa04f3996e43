"""Values and abstract base classes; imports nothing of the project."""

from .architecture import Architecture
from .backend import MeasurementBackend, OperatorTime
from .database import LatencyDatabase
from .errors import (
    CheckpointError,
    DatabaseError,
    InvalidModelError,
    InvalidSettingError,
    MeasurementError,
    MissingExtraError,
    ModelNotFoundError,
    NnlqpError,
    UnknownNameError,
    UnknownPlatformError,
    UnsupportedError,
)
from .graph import ModelGraph
from .latency_table import LatencyTable
from .measurement import Measurement, MeasurementFailure, Source
from .operator import INPUT, PART, AttributeValue, Operator, Shape
from .oracle import LatencyOracle, Spent
from .platform import GraphView, Platform
from .prediction import Prediction
from .predictor import LatencyPredictor
from .search_space import Parameter, SearchSpace
from .timing_protocol import TimingProtocol
from .training import TrainingRun, TrainingState

__all__ = [
    "INPUT",
    "PART",
    "Architecture",
    "AttributeValue",
    "CheckpointError",
    "DatabaseError",
    "GraphView",
    "InvalidModelError",
    "InvalidSettingError",
    "LatencyDatabase",
    "LatencyOracle",
    "LatencyPredictor",
    "LatencyTable",
    "Measurement",
    "MeasurementBackend",
    "MeasurementError",
    "MeasurementFailure",
    "MissingExtraError",
    "ModelGraph",
    "ModelNotFoundError",
    "NnlqpError",
    "Operator",
    "OperatorTime",
    "Parameter",
    "Platform",
    "Prediction",
    "SearchSpace",
    "Shape",
    "Source",
    "Spent",
    "TimingProtocol",
    "TrainingRun",
    "TrainingState",
    "UnknownNameError",
    "UnknownPlatformError",
    "UnsupportedError",
]
