"""What an engine offers inside the measuring process: a loaded network that can run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


class LoadedModel(ABC):
    """A network that an engine has loaded, its inputs in place.

    Guarantees: :meth:`run` executes the network exactly once and returns when the results are
    there; it allocates and copies no more than the engine itself does.
    """

    @abstractmethod
    def run(self) -> None:
        """Execute the network once on the inputs it was loaded with."""

    @abstractmethod
    def outputs(self) -> list[NDArray[np.float32]]:
        """Return the results of the last run, one array an output, batch dimension first."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """What is worth keeping with the measurement (engine version, provider), JSON types only."""
        return {}
