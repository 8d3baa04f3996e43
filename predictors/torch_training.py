"""Epochs over shuffled samples with PyTorch, and the arrays in which such a training outlives its process."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nnlqp_nas.core import CheckpointError, TrainingRun, TrainingState

_NETWORK, _OPTIMISER = "network.", "optimiser."


class TorchTraining(TrainingRun):
    """Gradient descent in shuffled batches: a subclass says what the loss of some samples is.

    Args:
        network: Is trained in place, on ``device``.
        optimiser: Of its parameters.
        n_samples: How many samples there are.
        n_batch: Samples a step.
        n_epochs: Passes asked for.
        seed: Of the shuffling and of dropout.
        device: Where the network is.
    """

    def __init__(
        self, network: nn.Module, optimiser: torch.optim.Optimizer, n_samples: int, n_batch: int, n_epochs: int, seed: int, device: str
    ) -> None:
        self.device = torch.device(device)
        self.network = network
        self.optimiser = optimiser
        self._n_samples = n_samples
        self._n_batch = n_batch
        self._n_epochs = n_epochs
        self._seed = seed
        self._epoch = 0

    @abstractmethod
    def _loss(self, rows: NDArray[np.int64]) -> Tensor:
        """Return the mean loss of these samples, a scalar on ``device`` to descend on."""

    def _finish_epoch(self, loss: float) -> None:
        """Do what follows an epoch, such as a step of a schedule; ``loss`` is its mean."""

    @property
    def n_epochs(self) -> int:
        return self._n_epochs

    @property
    def epoch(self) -> int:
        return self._epoch

    def advance(self) -> float:
        # Every epoch draws from its own seed: nothing of the random states need be kept.
        order = np.random.default_rng([self._seed, self._epoch]).permutation(self._n_samples)
        self.network.train()
        total = 0.0
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []), _flushing():
            torch.manual_seed(self._seed * 1_000_003 + self._epoch)
            for start in range(0, len(order), self._n_batch):
                rows = order[start : start + self._n_batch]
                self.optimiser.zero_grad()
                loss = self._loss(rows)
                torch.autograd.backward(loss)
                self.optimiser.step()
                total += float(loss.detach()) * len(rows)
        self._epoch += 1
        self._finish_epoch(total / len(order))
        return total / len(order)

    @property
    def state(self) -> TrainingState:
        weights = {f"{_NETWORK}{name}": _array(tensor) for name, tensor in self.network.state_dict().items()}
        moments = {f"{_OPTIMISER}{name}": _array(tensor) for name, tensor in self._moments()}
        rates = np.array([group["lr"] for group in self.optimiser.param_groups])
        return {"epoch": np.array([self._epoch]), "rates": rates, **weights, **moments}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        try:
            self.network.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in _under(_NETWORK, state)})
            content = self.optimiser.state_dict()
            content["state"] = {}
            for name, array in _under(_OPTIMISER, state):
                parameter, _, moment = name.partition(".")
                content["state"].setdefault(int(parameter), {})[moment] = torch.from_numpy(array.copy())
            for group, rate in zip(content["param_groups"], state["rates"].tolist(), strict=True):
                group["lr"] = rate
            self.optimiser.load_state_dict(content)
            self._epoch = int(state["epoch"][0])
        except (KeyError, ValueError, RuntimeError, IndexError) as error:
            raise CheckpointError(f"expected the state of this training, got another: {str(error).splitlines()[0]}") from error

    def _moments(self) -> Iterator[tuple[str, Tensor]]:
        for parameter, moments in self.optimiser.state_dict()["state"].items():
            for name, value in moments.items():
                yield f"{parameter}.{name}", value


@contextmanager
def _flushing() -> Iterator[None]:
    """Take numbers below float32's normal range for 0.

    The moments of a weight that has no gradient any more decay into them, and a step on them takes several times as long.
    """
    was_flushing = float(torch.tensor(1e-30) * 1e-10) == 0.0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(was_flushing)


def _array(tensor: Tensor) -> NDArray[Any]:
    array: NDArray[Any] = tensor.detach().cpu().numpy().copy()
    return array


def _under(prefix: str, state: Mapping[str, NDArray[Any]]) -> list[tuple[str, NDArray[Any]]]:
    return [(name.removeprefix(prefix), array) for name, array in state.items() if name.startswith(prefix)]
