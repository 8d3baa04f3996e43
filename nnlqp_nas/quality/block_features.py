"""Features of networks made of blocks, for predicting their accuracy: what is chosen, one-hot, and nothing that has no effect."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Codes = Sequence[tuple[int, ...]]

MACRO_CHOICES = (3,) * 8
ACCEL_CHOICES = (3, 2, 3, 2) * 5 + (3, 2, 4, 2) + (3, 2, 3, 2)
SUBNET_CHOICES = (25, *(3, *(3, 3) * 4) * 5)
_MACRO_TAILS = (slice(1, 2), slice(3, 5), slice(6, 8))
_DIGITS_A_STAGE = 9
_LEAST_DEPTH = 2


def describe_macro_networks(codes: Codes) -> NDArray[np.float32]:
    """Return the features of n networks of NAS-Bench-Macro, float32, shape (n, 24).

    Identities behind the first layer of a stage stand last in it: where they stand does not change the network.
    """
    return _one_hot([_without_gaps(code) for code in codes], MACRO_CHOICES)


def describe_accel_networks(codes: Codes) -> NDArray[np.float32]:
    """Return the features of n networks of Accel-NASBench, float32, shape (n, 71)."""
    return _one_hot(codes, ACCEL_CHOICES)


def describe_subnets(codes: Codes) -> NDArray[np.float32]:
    """Return the features of n sub-networks of Once-for-All's MobileNetV3, float32, shape (n, 135).

    The resolution is not among them, and all are zero of a block beyond its stage's depth.
    """
    features = _one_hot(codes, SUBNET_CHOICES)[:, SUBNET_CHOICES[0] :]
    for row, code in zip(features, codes, strict=True):
        for stage in range(5):
            depth = _LEAST_DEPTH + code[1 + _DIGITS_A_STAGE * stage]
            begin, end = stage * 27 + 3 + 6 * depth, (stage + 1) * 27
            row[begin:end] = 0
    return features


def _without_gaps(code: tuple[int, ...]) -> tuple[int, ...]:
    digits = list(code)
    for tail in _MACRO_TAILS:
        digits[tail] = sorted(digits[tail], key=lambda digit: digit == 0)
    return tuple(digits)


def _one_hot(codes: Codes, n_choices: tuple[int, ...]) -> NDArray[np.float32]:
    digits = np.array(codes, dtype=np.int64).reshape(len(codes), len(n_choices))
    return np.concatenate([np.eye(n, dtype=np.float32)[digits[:, at]] for at, n in enumerate(n_choices)], axis=1)
