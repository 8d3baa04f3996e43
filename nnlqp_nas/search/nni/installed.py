"""Whether NNI is there, imported once without the warnings that it gives with today's PyTorch."""

from __future__ import annotations

import warnings
from functools import cache

from ...core import MissingExtraError


@cache
def require_nni() -> None:
    """Import what of NNI searches architectures.

    NNI warns of two classes of newer PyTorch that it takes for layers; nothing depends on them.

    Raises:
        MissingExtraError: If NNI, or PyTorch Lightning that it needs and does not ask for, is not installed.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is found to be not a nn.Module", category=RuntimeWarning, module=r"nni\.")
        try:
            import nni.nas.hub.pytorch
            import nni.nas.oneshot.pytorch  # noqa: F401 - imported here for its warnings
        except ImportError as error:
            raise MissingExtraError.for_extra("nni and pytorch-lightning", "nni") from error
