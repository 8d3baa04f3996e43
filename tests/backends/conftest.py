from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _numbers_keep_their_denormals() -> Iterator[None]:
    """Engines that a test loads into this very process let the processor flush denormals, for all tests that follow."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)
