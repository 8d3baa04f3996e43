"""Accuracy after a few epochs of training, here and now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..core import Architecture, InvalidSettingError, SearchSpace
from .digits import load_digits_batches
from .quality import Quality

if TYPE_CHECKING:
    import torch

Batches = Iterable[Any]
Loaders = tuple[Batches, Batches]


class TrainedAccuracy(Quality):
    """Trains each network from scratch for a few epochs and returns its test accuracy, percent.

    AdamW with one cycle of the learning rate, cross entropy. Images with one channel are repeated to the
    network's, and images of another size are resized to it.

    Guarantees: the same seed, device and number of threads give the same accuracy, where the loaders do the same; a
    batch equals its members one by one.

    >>> TrainedAccuracy(load_space("nasbench201", n_cells=1, channels=8), n_epochs=5)
    >>> TrainedAccuracy(space, loaders=lambda: (DataLoader(train, 128, shuffle=True), DataLoader(test, 128)), device="cuda")

    Args:
        space: What its architectures are members of; its networks need an output for each class.
        n_epochs: Passes over the training batches.
        loaders: Makes the training and the test batches of ``(images, labels)``, anew for each network, such as two
            ``torch.utils.data.DataLoader``; scikit-learn's digits unless given.
        batch_size: Images a batch of the digits.
        learning_rate: Its peak.
        seed: Seed of weights, of PyTorch while it trains, and of the order of the digits.
        device: Where PyTorch trains.

    Raises:
        InvalidSettingError: If a setting is out of its range.
    """

    def __init__(
        self,
        space: SearchSpace,
        n_epochs: int = 3,
        loaders: Callable[[], Loaders] | None = None,
        batch_size: int = 64,
        learning_rate: float = 5e-3,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        if n_epochs < 1 or batch_size < 2 or not learning_rate > 0:
            settings = f"n_epochs={n_epochs}, batch_size={batch_size}, learning_rate={learning_rate}"
            raise InvalidSettingError(f"expected n_epochs >= 1, batch_size >= 2 and learning_rate > 0, got {settings}")
        data = "digits" if loaders is None else str(getattr(loaders, "__name__", type(loaders).__name__))
        self.space = space.name
        self.name = f"trained:{data}_{n_epochs}"
        self.metric = f"{data} test accuracy after {n_epochs} epochs, %"
        self._space, self._n_epochs, self._rate, self._seed, self._device = space, n_epochs, learning_rate, seed, device
        self._loaders: Callable[[], Loaders] = loaders or partial(load_digits_batches, batch_size, seed)

    def evaluate(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        for architecture in architectures:
            self._space.check(architecture)
        return np.array([self._train_and_test(architecture) for architecture in architectures], dtype=np.float64)

    def _train_and_test(self, architecture: Architecture) -> float:
        import torch

        training, test = self._loaders()
        with torch.random.fork_rng(), torch.enable_grad():
            torch.manual_seed(self._seed)
            module = self._space.module(architecture).to(self._device)
            shape = self._space.graph(architecture).input_shapes[0]
            train(module, shape, training, self._n_epochs, self._rate)
            return accuracy_of(module, shape, test)


def train(module: torch.nn.Module, shape: Sequence[int], batches: Batches, n_epochs: int, learning_rate: float) -> None:
    """Train a network, in place.

    Args:
        module: The network, on the device to train on.
        shape: Of its input, (1, C, H, W).
        batches: Of ``(images, labels)``, with a length, read once an epoch; a batch of one image, which cannot be
            normalised, is left out.
        n_epochs: Number of passes.
        learning_rate: Its peak.

    Raises:
        InvalidSettingError: If there is no batch, or a label that the network has no output for.
    """
    import torch

    device = next(module.parameters()).device
    optimiser = torch.optim.AdamW(module.parameters(), lr=learning_rate, weight_decay=0.01)
    n_steps = n_epochs * _n_batches(batches)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, learning_rate, total_steps=n_steps + 1)
    module.train()
    for _ in range(n_epochs):
        for images, labels in batches:
            if len(labels) < 2:
                continue
            outputs = module(as_inputs(images, shape).to(device))
            _require_outputs(outputs, labels)
            optimiser.zero_grad()
            torch.autograd.backward(torch.nn.functional.cross_entropy(outputs, labels.to(device)))
            optimiser.step()
            schedule.step()


def accuracy_of(module: torch.nn.Module, shape: Sequence[int], batches: Batches) -> float:
    """Return the share of images classified rightly, percent; the arguments are those of :func:`train`.

    Raises:
        InvalidSettingError: If there is no image.
    """
    import torch

    device = next(module.parameters()).device
    module.eval()
    n_right = n_images = 0
    with torch.no_grad():
        for images, labels in batches:
            outputs = module(as_inputs(images, shape).to(device))
            n_right += int((outputs.argmax(1).cpu() == labels.cpu()).sum())
            n_images += len(labels)
    if not n_images:
        raise InvalidSettingError("expected test batches, got none; check what makes the loaders")
    return 100.0 * n_right / n_images


def as_inputs(images: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """Return images with the channels and the size of a network's input.

    Raises:
        InvalidSettingError: If they have several channels, and not as many as the network reads.
    """
    import torch

    _, channels, height, width = shape
    if images.dim() != 4 or images.shape[1] not in (1, channels):
        raise InvalidSettingError(f"expected images of shape (n, {channels}, H, W) or (n, 1, H, W), got {tuple(images.shape)}")
    if images.shape[1] != channels:
        images = images.expand(-1, channels, -1, -1)
    if tuple(images.shape[2:]) != (height, width):
        images = torch.nn.functional.interpolate(images, (height, width), mode="bilinear", align_corners=False)
    return images


def _n_batches(batches: Any) -> int:
    try:
        n = len(batches)
    except TypeError as error:
        raise InvalidSettingError(f"expected training batches with a length, such as a DataLoader or a list, got: {error}") from error
    if not n:
        raise InvalidSettingError("expected training batches, got none; check what makes the loaders")
    return n


def _require_outputs(outputs: torch.Tensor, labels: torch.Tensor) -> None:
    n_classes = int(labels.max()) + 1
    if outputs.dim() != 2 or outputs.shape[1] < n_classes:
        raise InvalidSettingError(
            f"expected a network with an output for each of {n_classes} classes, got outputs of shape {tuple(outputs.shape)}; "
            "give its space n_classes"
        )
