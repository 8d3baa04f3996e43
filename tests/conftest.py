"""What every test stands on: the user's own files are out of reach, and a plug-in package can be installed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from nnlqp_nas.core import plugins

# A busy machine is no fault of what is tested.
settings.register_profile("timeless", deadline=None)
settings.load_profile("timeless")

ENTRY_POINTS = """
[nnlqp_nas.predictors]
constant = nnlqp_nas.testing.constant_predictor:ConstantPredictor

[nnlqp_nas.backends]
instant = nnlqp_nas.testing.instant_backend:InstantBackend
"""


@pytest.fixture(autouse=True)
def _own_files_are_out_of_reach(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
    monkeypatch.delenv("NNLQP_NAS_DATABASE", raising=False)


@pytest.fixture
def example_plugins(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Install somebody's package with the predictor 'constant' and the backend 'instant', here and for child processes."""
    site = tmp_path_factory.mktemp("site")
    info = site / "example_plugins-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: example-plugins\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH")))))
    plugins._entries.cache_clear()
    yield site
    sys.path.remove(str(site))
    plugins._entries.cache_clear()
