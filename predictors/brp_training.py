"""Training of BRP-NAS's network, as its code does it: AdamW on the absolute error of the latency."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nnlqp_nas.core import CheckpointError, LatencyTable, ModelGraph, Platform, TrainingState

from .brp_network import BrpBatch, BrpNetwork
from .torch_training import TorchTraining

if TYPE_CHECKING:
    from .brp_nas import BrpNas

WEIGHT_DECAY = 5e-4
PATIENCE, FACTOR, LEAST_PROGRESS = 10, 0.5, 0.01
WARM_EPOCHS = 20
"""Epochs before the step size may shrink. The loss that it follows is the training's: nothing is held out here."""


class BrpTraining(TorchTraining):
    """Trains the networks of several platforms and batch sizes side by side; they share nothing but the schedule.

    Args:
        start: Holds a network to start from for every platform and batch size of ``tables``.
        tables: Training networks.
        n_epochs: Passes asked for.
        seed: Of the shuffling and of dropout.
        device: Where to train.
    """

    def __init__(self, start: BrpNas, tables: Sequence[LatencyTable], n_epochs: int, seed: int, device: str) -> None:
        self._start = start
        self._keys: list[tuple[Platform, int]] = sorted({(table.platform, table.batch_size) for table in tables})
        self._networks = nn.ModuleList(copy.deepcopy(start.parts[key].network) for key in self._keys).to(device)
        self._graphs: list[ModelGraph] = [graph for table in tables for graph in table.graphs]
        part_of = [self._keys.index((table.platform, table.batch_size)) for table in tables for _ in table.graphs]
        units_ms = np.array([start.parts[self._keys[part]].unit_ms for part in part_of])
        self._part_of = np.array(part_of)
        self._target = np.concatenate([table.latency_ms for table in tables]) / units_ms
        optimiser = torch.optim.AdamW(self._networks.parameters(), start.settings.learning_rate, weight_decay=WEIGHT_DECAY, fused=True)
        super().__init__(self._networks, optimiser, len(part_of), start.settings.n_graphs, n_epochs, seed, device)
        self._least, self._n_without_progress = np.inf, 0

    def _loss(self, rows: NDArray[np.int64]) -> Tensor:
        total = torch.zeros((), device=self.device)
        n_layers = self._start.settings.n_layers
        for part in np.unique(self._part_of[rows]):
            own = rows[self._part_of[rows] == part]
            predicted = self._networks[int(part)](BrpBatch.of([self._graphs[i] for i in own], n_layers, self.device))
            total = total + (predicted - torch.from_numpy(self._target[own]).float().to(self.device)).abs().sum()
        return total / len(rows)

    def _finish_epoch(self, loss: float) -> None:
        is_progress = loss < self._least * (1 - LEAST_PROGRESS)
        self._least = min(loss, self._least)
        self._n_without_progress = 0 if is_progress or self.epoch <= WARM_EPOCHS else self._n_without_progress + 1
        if self._n_without_progress > PATIENCE:
            self._n_without_progress = 0
            for group in self.optimiser.param_groups:
                group["lr"] *= FACTOR

    def predictor(self) -> BrpNas:
        parts = dict(self._start.parts)
        for key, network in zip(self._keys, self._networks, strict=True):
            assert isinstance(network, BrpNetwork)
            parts[key] = replace(parts[key], network=copy.deepcopy(network).cpu().eval())
        return replace(self._start, parts=parts)

    @property
    def state(self) -> TrainingState:
        return {**super().state, "plateau": np.array([self._least, self._n_without_progress])}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        super().restore(state)
        if state.get("plateau", np.zeros(0)).shape != (2,):
            raise CheckpointError(f"expected the state of this training, got one of {sorted(state)[:6]}")
        self._least, self._n_without_progress = float(state["plateau"][0]), int(state["plateau"][1])
