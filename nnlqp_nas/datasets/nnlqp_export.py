"""Writing latency rows in NNLQP's layout: ``gt.txt``, ``onnx/`` without weights, ``platforms.txt``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from tqdm import tqdm

from ..core import GraphView, InvalidSettingError, ModelGraph, Platform
from .latency_row import LatencyRow
from .measured import check_key, space_of
from .nnlqp_folder import LATENCIES, NETWORKS, PLATFORMS
from .nnlqp_line import FIRST_FREE_ID, PLATFORM_IDS, NnlqpLine
from .view_keys import ViewKeys

_Placed = tuple[int, LatencyRow, float]


class NnlqpExport:
    """A folder in NNLQP's layout to write latency rows into.

    Networks are written as their space writes them, a file for each batch size, which is fixed in it. The
    list comes last and whole: an export that was killed goes on where it stopped.

    Args:
        folder: Is made where it is missing.
        test_share: Share of networks that are marked ``test``, chosen by their keys, the others ``train``; None marks none.

    Raises:
        InvalidSettingError: If ``folder`` holds a list already or ``test_share`` is no share.
    """

    def __init__(self, folder: Path, test_share: float | None = None) -> None:
        if test_share is not None and not 0 <= test_share <= 1:
            raise InvalidSettingError(f"expected a share of 0 to 1 for the test networks, got {test_share}")
        if (folder / LATENCIES).exists():
            raise InvalidSettingError(f"expected a folder without {LATENCIES}, got {folder}; name another one, or remove that file")
        self.folder = folder
        self.test_share = test_share
        self._graph_ids: dict[tuple[str, str, str, int], int] = {}

    def write(self, rows: Sequence[LatencyRow]) -> int:
        """Write the measured rows in their order and return how many; failures have no place in that format.

        Raises:
            InvalidSettingError: If the folder cannot be written, or a network made again from its code
                has another key than its row says.
            UnknownNameError: If a space is not registered.
        """
        try:
            return self._write(rows)
        except OSError as error:
            raise InvalidSettingError(
                f"expected to write into the folder {self.folder}, got: {error.strerror or error}; name another one"
            ) from error

    def _write(self, rows: Sequence[LatencyRow]) -> int:
        networks: dict[tuple[str, str, str], list[_Placed]] = {}
        measured = [(i, row, row.latency_ms) for i, row in enumerate(rows) if row.latency_ms is not None]
        for placed in measured:
            row = placed[1]
            networks.setdefault((row.space, row.settings, row.code), []).append(placed)
        platform_ids = number_platforms(row.platform for _, row, _ in measured)
        lines: dict[int, NnlqpLine] = {}
        for group in tqdm(networks.values(), desc="export", unit="network", file=sys.stderr, disable=None):
            lines |= self._write_network(group, platform_ids)
        self.folder.mkdir(parents=True, exist_ok=True)
        _write_lines(self.folder / PLATFORMS, (f"{number} {name}" for name, number in platform_ids.items()))
        _write_lines(self.folder / LATENCIES, (str(lines[i]) for i in sorted(lines)))
        return len(lines)

    def _write_network(self, group: Sequence[_Placed], platform_ids: dict[str, int]) -> dict[int, NnlqpLine]:
        """Write the files of one network and return its lines by the place of their rows."""
        first = group[0][1]
        keys = ViewKeys(lambda: space_of(first.space, first.settings).graph(first.architecture, GraphView.AS_WRITTEN))
        lines = {}
        for i, row, latency_ms in group:
            check_key(row, keys[Platform.parse(row.platform).view])
            lines[i] = NnlqpLine(
                graph_id=self._graph_id(row),
                onnx_path=self._write_model(keys.written, row.space, row.batch_size),
                batch_size=row.batch_size,
                latency_ms=latency_ms,
                model_type=row.space,
                platform_id=platform_ids[row.platform],
                stage=self._stage(keys.written.key),
            )
        return lines

    def _write_model(self, graph: ModelGraph, space: str, batch_size: int) -> str:
        from ..graphs import to_onnx

        onnx_path = f"{NETWORKS}/{space}/{graph.key}-{batch_size}.onnx"
        path = self.folder / onnx_path
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_whole(path, to_onnx(graph, batch_size, has_weights=False).SerializeToString())
        return onnx_path

    def _graph_id(self, row: LatencyRow) -> str:
        # NNLQP's programs keep what they computed under this number and the platform's: it has to tell batch sizes apart.
        return str(self._graph_ids.setdefault((row.space, row.settings, row.code, row.batch_size), len(self._graph_ids) + 1))

    def _stage(self, key: str) -> str:
        if self.test_share is None:
            return ""
        return "test" if int(key[:8], 16) / 16**8 < self.test_share else "train"


def number_platforms(names: Iterable[str]) -> dict[str, int]:
    """Return a number for each platform: NNLQP's own where it has one, else from 1001, in the order of the names."""
    theirs = {name: number for number, name in PLATFORM_IDS.items()}
    present = sorted(set(names))
    ours = {name: FIRST_FREE_ID + i for i, name in enumerate(name for name in present if name not in theirs)}
    return {name: number for name, number in sorted((theirs | ours).items(), key=lambda pair: pair[1]) if name in present}


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    _write_whole(path, "".join(f"{line}\n" for line in lines).encode("utf-8"))


def _write_whole(path: Path, content: bytes) -> None:
    draft = path.with_name(f"{path.name}.draft")
    draft.write_bytes(content)
    draft.replace(path)
