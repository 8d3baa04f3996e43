"""True measurement: one file an inference engine; timing; isolation in a child process."""

from .core_speed import undisturbed
from .engine import LoadedModel
from .host import host_facts, host_name
from .isolated_backend import IsolatedBackend

__all__ = ["IsolatedBackend", "LoadedModel", "host_facts", "host_name", "undisturbed"]
