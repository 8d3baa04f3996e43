"""NNLP, NNLQP's predictor: its network, features, training and checkpoints, as the baseline to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from nnlqp_nas.core import CheckpointError, InvalidSettingError, LatencyPredictor, LatencyTable, ModelGraph, Platform, Prediction

from .checkpoint import Arrays, read_checkpoint, write_checkpoint
from .conformal import COVERAGE
from .epochs import run_epochs
from .familiarity import Domain, domain_arrays, read_domains
from .held_out import FAR_MARGIN, hold_out, margins
from .nnlp_checkpoint import SUFFIXES, read_nnlqp_checkpoint
from .nnlp_features import nnlp_features
from .nnlp_network import NnlpNetwork
from .nnlp_training import NnlpTraining, predict_ms


@dataclass(frozen=True)
class NnlpSettings:
    """Sizes and training settings; NNLQP's own unless told otherwise.

    Attributes:
        width: Size of a node's embedding.
        head_width: Size of the heads' hidden layers.
        norm_static: Whether a learned layer brings the static features to the embedding's size, as in
            NNLQP's experiment on unseen structures.
        n_epochs: Passes of :meth:`Nnlp.fit`: 50 for unseen structures, 500 for several platforms.
        n_adapt_epochs: Passes of :meth:`Nnlp.adapt`.
        learning_rate: Step size of Adam.
        n_graphs: Networks a training step.
        held_out: Share of the networks that calibrates the intervals; 0, as NNLQP has it, trains on
            all and leaves the intervals ``FAR_MARGIN`` wide.
    """

    width: int = 512
    head_width: int = 512
    norm_static: bool = False
    n_epochs: int = 50
    n_adapt_epochs: int = 500
    learning_rate: float = 1e-3
    n_graphs: int = 16
    held_out: float = 0.0

    def __post_init__(self) -> None:
        if min(self.width, self.head_width, self.n_epochs, self.n_adapt_epochs, self.n_graphs) < 1 or self.learning_rate <= 0:
            raise InvalidSettingError(f"expected sizes, epochs and a learning rate above 0, got {self}")
        if not 0 <= self.held_out < 1:
            raise InvalidSettingError(f"expected a share held out of 0 to below 1, got {self.held_out}")


@dataclass(frozen=True, eq=False)
class NnlpPart:
    """One trained network and what its heads stand for.

    Attributes:
        network: The network, ready to predict.
        platforms: The platform of each head.
        margins: For each, how far the interval reaches to each side, log milliseconds.
        domains: For each, what it was trained on; empty where nobody knows, as with NNLQP's checkpoints.
    """

    network: NnlpNetwork
    platforms: tuple[Platform, ...]
    margins: tuple[float, ...]
    domains: tuple[Domain, ...] = ()


@dataclass(frozen=True, eq=False)
class Nnlp(LatencyPredictor):
    """NNLQP's predictor: GraphSAGE on 44 numbers a node, sum pooling, one head a platform.

    A network that was read from an ONNX file is described by that file's own nodes, as NNLQP does;
    any other by its graph. Adapting fine-tunes a copy for the new platform and leaves the rest.

    Attributes:
        settings: Sizes and training settings.
        parts: Trained networks; the last one that has a platform answers for it.

    References:
        Liu et al., NNLQP: A Multi-Platform Neural Network Latency Query and Prediction System with
        an Evolving Database, ICPP 2022.
    """

    settings: NnlpSettings = field(default_factory=NnlpSettings)
    parts: tuple[NnlpPart, ...] = ()

    name = "nnlp"

    @property
    def platforms(self) -> tuple[Platform, ...]:
        return tuple(sorted({platform for part in self.parts for platform in part.platforms}))

    def _part_of(self, platform: Platform) -> NnlpPart | None:
        return next((part for part in reversed(self.parts) if platform in part.platforms), None)

    def _predict(self, graphs: Sequence[ModelGraph], platform: Platform, batch_size: int) -> Prediction:
        part = self._part_of(platform)
        assert part is not None  # predict() has checked it
        head = part.platforms.index(platform)
        latency_ms = predict_ms(part.network, [nnlp_features(graph, batch_size) for graph in graphs])[:, head]
        is_far = np.array([not part.domains or not part.domains[head].holds(graph) for graph in graphs])
        factor: NDArray[np.float64] = np.exp(np.where(is_far, max(FAR_MARGIN, part.margins[head]), part.margins[head]))
        return Prediction(latency_ms, latency_ms / factor, latency_ms * factor, is_far, COVERAGE)

    def fit(self, tables: Sequence[LatencyTable], seed: int = 0) -> Self:
        learned, held_out = hold_out(tables, self.settings.held_out, seed)
        run = self.start_training(learned, seed, device="cuda" if torch.cuda.is_available() else "cpu")
        run_epochs(run)
        return replace(self, parts=run.predictor().calibrated(held_out).parts)

    def start_training(self, tables: Sequence[LatencyTable], seed: int = 0, from_scratch: bool = True, device: str = "cpu") -> NnlpTraining:
        tables = [table for table in tables if len(table)]
        if not tables:
            raise InvalidSettingError("expected at least 1 measured network to train on, got none; check the data set")
        platforms = tuple(sorted({table.platform for table in tables}))
        start = replace(self, parts=()) if from_scratch else self
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = start._network_for(platforms)
        return NnlpTraining(start, network, platforms, tables, self.settings.n_epochs, seed, device)

    def calibrated(self, tables: Sequence[LatencyTable]) -> Self:
        told = margins(self, tables)
        parts = [replace(part, margins=tuple(map(told.get, part.platforms, part.margins))) for part in self.parts]
        return replace(self, parts=tuple(parts))

    def adapt(self, platform: Platform, graphs: Sequence[ModelGraph], latency_ms: ArrayLike, batch_size: int = 1) -> Self:
        table = LatencyTable(platform, batch_size, list(graphs), np.asarray(latency_ms, dtype=np.float64))
        if not len(table):
            return self
        if not self.parts:
            raise InvalidSettingError("expected a trained predictor, got one without weights; call fit() or load() first")
        settings = self.settings
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = _transferred((self._part_of(platform) or self.parts[0]).network)
        learned, held_out = hold_out([table], settings.held_out, 0)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        run = NnlpTraining(replace(self, parts=()), network, (platform,), learned, settings.n_adapt_epochs, 0, device)
        run_epochs(run)
        return replace(self, parts=(*self.parts, *run.predictor().calibrated(held_out).parts))

    def _network_for(self, platforms: tuple[Platform, ...]) -> NnlpNetwork:
        """Return a network with heads for these platforms that starts from what was learned, if anything was."""
        settings = self.settings
        if not self.parts:
            return NnlpNetwork(len(platforms), settings.width, settings.head_width, settings.norm_static)
        source = max(reversed(self.parts), key=lambda part: len(set(part.platforms) & set(platforms)))
        network = NnlpNetwork(**{**source.network.sizes, "n_heads": len(platforms)})  # type: ignore[arg-type]
        shared = {name: tensor for name, tensor in source.network.state_dict().items() if not name.startswith("heads.")}
        network.load_state_dict(shared, strict=False)
        for head, platform in zip(network.heads, platforms, strict=True):
            if platform in source.platforms:
                head.load_state_dict(source.network.heads[source.platforms.index(platform)].state_dict())
        return network

    def save(self, path: Path) -> None:
        arrays: Arrays = {}
        for i, part in enumerate(self.parts):
            arrays |= {f"{i}.network.{name}": tensor.numpy() for name, tensor in part.network.state_dict().items()}
            arrays |= {f"{i}.{name}": array for name, array in (domain_arrays(part.domains) if part.domains else {}).items()}
        settings = {"settings": asdict(self.settings), "parts": [_describe(part) for part in self.parts]}
        write_checkpoint(path, self.name, arrays, settings, self.platforms)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a checkpoint of this project, or one of NNLQP's (``ckpt_best.pth``).

        Raises:
            CheckpointError: If the file is truncated, of another format, or unsafe.
        """
        if path.suffix.lower() in SUFFIXES:
            network, platforms = read_nnlqp_checkpoint(path)
            sizes = network.sizes
            settings = NnlpSettings(int(sizes["width"]), int(sizes["head_width"]), bool(sizes["norm_static"]))
            return cls(settings, (NnlpPart(network, platforms, (FAR_MARGIN,) * len(platforms)),))
        arrays, stated = read_checkpoint(path, cls.name)
        try:
            parts = tuple(_read_part(_under(f"{i}.", arrays), entry) for i, entry in enumerate(stated["parts"]))
            return cls(NnlpSettings(**stated["settings"]), parts)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(f"expected an nnlp checkpoint, got one that does not fit: {str(error).splitlines()[0]}") from error


def _transferred(source: NnlpNetwork) -> NnlpNetwork:
    """Return a network for one platform that starts from what another learned; the only head of a network counts too."""
    sizes = {**source.sizes, "n_heads": 1}
    network = NnlpNetwork(1, int(sizes["width"]), int(sizes["head_width"]), bool(sizes["norm_static"]))
    is_kept = len(source.heads) == 1
    kept = {name: tensor for name, tensor in source.state_dict().items() if is_kept or not name.startswith("heads.")}
    network.load_state_dict(kept, strict=False)
    return network


def _describe(part: NnlpPart) -> dict[str, Any]:
    return {
        "network": part.network.sizes,
        "platforms": [str(platform) for platform in part.platforms],
        "margins": list(part.margins),
        "n_domains": len(part.domains),
    }


def _read_part(arrays: Arrays, entry: dict[str, Any]) -> NnlpPart:
    with torch.device("meta"):  # weights of other sizes than stated are refused before memory is taken
        network = NnlpNetwork(**entry["network"])
    weights = {name: torch.from_numpy(array.copy()) for name, array in _under("network.", arrays).items()}
    network.load_state_dict(weights, assign=True)
    platforms = tuple(Platform.parse(name) for name in entry["platforms"])
    margins = tuple(float(margin) for margin in entry["margins"])
    domains = read_domains(arrays, ["training"] * entry["n_domains"]) if entry["n_domains"] else ()
    if not len(network.heads) == len(platforms) == len(margins) or len(domains) not in (0, len(platforms)):
        raise CheckpointError(f"expected a platform and a margin for each of {len(network.heads)} heads, got {platforms} and {margins}")
    return NnlpPart(network.eval(), platforms, margins, domains)


def _under(prefix: str, arrays: Arrays) -> Arrays:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
