"""Scikit-learn's digits as training and test batches: 1,797 images of 8 x 8, embedded in its package."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..core import InvalidSettingError

if TYPE_CHECKING:
    import torch

_TEST_SHARE = 0.25


class ArrayLoader:
    """Batches of arrays, like a ``torch.utils.data.DataLoader`` of them.

    Args:
        images: float32, shape (n, C, H, W).
        labels: int64, shape (n,).
        batch_size: Images a batch; the last one may be smaller.
        seed: Seed of the order, another one in every pass; None keeps the order of the arrays.

    Raises:
        InvalidSettingError: If ``batch_size`` is below 1.
    """

    def __init__(self, images: NDArray[np.float32], labels: NDArray[np.int64], batch_size: int, seed: int | None = None) -> None:
        if batch_size < 1:
            raise InvalidSettingError(f"expected batch_size >= 1, got {batch_size}")
        self.images = images
        self.labels = labels
        self.batch_size = batch_size
        self._rng = None if seed is None else np.random.default_rng(seed)

    def __len__(self) -> int:
        """Number of batches."""
        return -(-len(self.labels) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        import torch

        n = len(self.labels)
        order = np.arange(n) if self._rng is None else self._rng.permutation(n)
        for start in range(0, n, self.batch_size):
            batch = order[start : start + self.batch_size]
            yield torch.from_numpy(self.images[batch]), torch.from_numpy(self.labels[batch])


def load_digits_batches(batch_size: int = 64, seed: int = 0) -> tuple[ArrayLoader, ArrayLoader]:
    """Return training and test batches, a quarter of every class to test; grey values normalised.

    Args:
        batch_size: Images a batch.
        seed: Seed of the order of training; the split is always the same.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = load_digits(return_X_y=True)
    images = ((pixels - pixels.mean()) / pixels.std()).astype(np.float32).reshape(-1, 1, 8, 8)
    split = train_test_split(images, labels.astype(np.int64), test_size=_TEST_SHARE, random_state=0, stratify=labels)
    return ArrayLoader(split[0], split[2], batch_size, seed), ArrayLoader(split[1], split[3], batch_size)
