"""What an engine offers inside the measuring process: a loaded network that can run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import UnsupportedError


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

    def feed(self, inputs: Sequence[NDArray[Any]]) -> None:  # noqa: ARG002
        """Put other inputs in the place of those that it was loaded with.

        Needed where a network is run in parts.

        Args:
            inputs: Arrays of the same shapes and types, in the same order; not written to, and left alone by the caller until
                the next call.

        Raises:
            UnsupportedError: If this engine keeps the inputs that it was loaded with.
        """
        raise UnsupportedError("expected an engine that takes new inputs, got one that keeps those that it was loaded with")

    @property
    def facts(self) -> Mapping[str, Any]:
        """What is worth keeping with the measurement (engine version, provider), JSON types only."""
        return {}
