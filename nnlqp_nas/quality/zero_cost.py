"""Zero-cost proxies: scores of untrained networks, each from one pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..core import Architecture, GraphView, InvalidSettingError, ModelGraph, SearchSpace, UnknownNameError
from ..graphs import graph_cost
from .quality import Quality

if TYPE_CHECKING:
    import torch

COSTS = ("params", "macs", "flops")
METRICS = {
    "naswot": "NASWOT, log det of the kernel of active rectifiers",
    "synflow": "SynFlow, log(1 + score)",
    "params": "parameters",
    "macs": "multiply-accumulates",
    "flops": "FLOPs",
}
_RECTIFIERS = frozenset({"Relu", "Clip", "HardSwish", "LeakyRelu", "PRelu", "Elu", "Gelu", "Mish"})


class ZeroCostProxy(Quality):
    """Scores networks of a space without training them.

    Guarantees: the same seed, the same scores; a batch equals its members one by one.

    Args:
        space: What its architectures are members of.
        proxy: ``naswot``, ``synflow``, or a cost of which more is better: ``params``, ``macs``, ``flops``.
        batch_size: Images that NASWOT runs on.
        seed: Seed of the weights and, for NASWOT, of the images.
        images: float32, shape (n, C, H, W): what NASWOT runs on instead of ``batch_size`` images of Gaussian noise;
            they have to be of the networks' input shape.

    Raises:
        UnknownNameError: If there is no such proxy.
        InvalidSettingError: If ``batch_size`` is below 2.
    """

    def __init__(
        self,
        space: SearchSpace,
        proxy: str = "naswot",
        batch_size: int = 32,
        seed: int = 0,
        images: NDArray[np.float32] | None = None,
    ) -> None:
        if proxy not in METRICS:
            raise UnknownNameError.among("zero-cost proxy", proxy, METRICS)
        if batch_size < 2:
            raise InvalidSettingError(f"expected batch_size >= 2, got {batch_size}")
        self.space = space.name
        self.name = f"zero_cost:{proxy}"
        self.metric = METRICS[proxy]
        self._space, self._proxy, self._batch_size, self._seed, self._images = space, proxy, batch_size, seed, images

    def evaluate(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        for architecture in architectures:
            self._space.check(architecture)
        scores = np.array([self._score(architecture) for architecture in architectures], dtype=np.float64)
        if not np.all(np.isfinite(scores)):
            wrong = architectures[int(np.argmin(np.isfinite(scores)))]
            raise InvalidSettingError(f"expected {self.name} to be finite, got another score for {wrong.key}; take another proxy")
        return scores

    def _score(self, architecture: Architecture) -> float:
        graph = self._space.graph(architecture, GraphView.AS_WRITTEN)
        if self._proxy in COSTS:
            return float(getattr(graph_cost(graph), self._proxy))
        if self._proxy == "synflow":
            return float(np.log1p(synflow_score(_seeded_module(graph, self._seed))))
        images = self._draw_images(graph) if self._images is None else self._images
        return naswot_score(graph, images, self._seed)

    def _draw_images(self, graph: ModelGraph) -> NDArray[np.float32]:
        shape = (self._batch_size, *graph.input_shapes[0][1:])
        return np.random.default_rng(self._seed).standard_normal(shape, dtype=np.float32)


def naswot_score(graph: ModelGraph, images: NDArray[np.float32], seed: int = 0) -> float:
    """Return log det(K + I) of :func:`naswot_kernel` (Mellor et al., ICML 2021, arXiv 2006.04647, equation 3).

    The identity is not in the paper: with it, networks that answer all images alike have a score too.

    Args:
        graph: The network as written; it is run as it trains, normalising by the batch.
        images: float32, shape (n, C, H, W).
        seed: Seed of its weights.

    Raises:
        InvalidSettingError: If the images are not of the network's input shape.
    """
    if images.shape[1:] != graph.input_shapes[0][1:]:
        raise InvalidSettingError(f"expected images of shape (n, *{graph.input_shapes[0][1:]}), got {images.shape}")
    kernel = naswot_kernel(graph, images, seed)
    return float(np.linalg.slogdet(kernel + np.eye(len(kernel)))[1])


def naswot_kernel(graph: ModelGraph, images: NDArray[np.float32], seed: int = 0) -> NDArray[np.float64]:
    """Return K, float64, shape (n, n): of how many rectifier outputs two images agree whether they are positive.

    Rectifiers are ReLU and its kin, and ``x * sigmoid(x)``.
    """
    import torch

    module: Any = _seeded_module(graph, seed).train()
    kernel = np.zeros((len(images), len(images)))

    def agree(_: torch.nn.Module, __: Any, output: torch.Tensor) -> None:
        active = (output.flatten(1) > 0).numpy().astype(np.float32)
        kernel[:] += active @ active.T + (1 - active) @ (1 - active).T

    for node in _rectifiers(graph):
        module.layers[f"{graph.operators[node].op_type.lower()}_{node}"].register_forward_hook(agree)
    with torch.no_grad():
        module(torch.from_numpy(images))
    return kernel


def synflow_score(module: torch.nn.Module) -> float:
    """Return SynFlow, the sum of ``|weight * dR/dweight|`` (Tanaka et al., NeurIPS 2020, arXiv 2006.05467, equation 7).

    R is the sum of the outputs for an input of ones, with every parameter replaced by its absolute value. Counted are
    weights of convolutions and linear layers; normalisations do nothing, as they stand before training.

    Args:
        module: A network with ``input_shape``; its parameters are changed.
    """
    import torch

    module = module.double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.abs_()
    ones = torch.ones(tuple(module.input_shape), dtype=torch.float64)  # type: ignore[arg-type]
    weights = [parameter for parameter in module.parameters() if parameter.dim() > 1]
    gradients = torch.autograd.grad(module(ones).sum(), weights, allow_unused=True)
    terms = [(weight * gradient).abs().sum() for weight, gradient in zip(weights, gradients, strict=True) if gradient is not None]
    return float(torch.stack(terms).sum().detach()) if terms else 0.0


def _seeded_module(graph: ModelGraph, seed: int) -> torch.nn.Module:
    import torch

    from ..graphs.torch_module import to_module

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return to_module(graph)


def _rectifiers(graph: ModelGraph) -> Iterator[int]:
    for node, (operator, sources) in enumerate(zip(graph.operators, graph.sources, strict=True)):
        gates = [source for source in sources if graph.operators[source].op_type == "Sigmoid"]
        is_swish = operator.op_type == "Mul" and any(graph.sources[gate][0] in sources for gate in gates)
        if operator.op_type in _RECTIFIERS or is_swish:
            yield node
