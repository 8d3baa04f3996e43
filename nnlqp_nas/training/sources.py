"""Where training data comes from: shipped rows, parquet files, NNLQP's folders, the user's own database."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import product
from pathlib import Path

from tqdm import tqdm

from ..core import (
    Architecture,
    GraphView,
    InvalidModelError,
    InvalidSettingError,
    LatencyTable,
    Measurement,
    ModelGraph,
    Platform,
    SearchSpace,
)
from ..core.plugins import SPACES, load_plugin
from ..database import open_database
from ..datasets.dataset_files import find_files
from ..datasets.latency_row import read_rows
from ..datasets.measured import MEASURED, space_of, tables_of
from ..datasets.nnlqp_folder import Complaint, NnlqpFolder, OnComplaint
from ..datasets.nnlqp_line import NnlqpLine
from ..datasets.reading import FAMILY
from ..graphs import read_graph, viewed
from .training_data import MeasuredNetwork, TrainingData

LARGEST_SPACE = 100_000
"""Members of a space that are all written to find networks by their keys."""

UNSTATED = "unstated"
TEST = "test"


class DataSource(ABC):
    """A place with measured networks."""

    @abstractmethod
    def read(self, on_complaint: OnComplaint) -> TrainingData:
        """Return what there is; ``on_complaint`` is told of rows that cannot be used.

        Raises:
            InvalidSettingError: If the place cannot be read or holds nothing to train on.
        """


class ParquetRows(DataSource):
    """Rows in this project's parquet files; their networks are made again from their codes.

    Args:
        path: A file, or a folder of them.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def read(self, on_complaint: OnComplaint) -> TrainingData:  # noqa: ARG002 - a row that is no row stops the reading
        files = find_files(self.path)
        if not files.tables:
            raise InvalidSettingError(f"expected parquet files in {self.path}, got NNLQP's layout; choose it: data=folder")
        return _of_files(str(self.path), files.tables)


class ShippedRows(DataSource):
    """The measurements that come with the package."""

    def read(self, on_complaint: OnComplaint) -> TrainingData:  # noqa: ARG002 - see above
        return _of_files("shipped rows", sorted(MEASURED.glob("*.parquet")))


class NnlqpData(DataSource):
    """NNLQP's layout: ``gt.txt`` and ``onnx/``; networks with a line of the stage ``test`` are for testing alone.

    Args:
        path: The folder, a folder of such folders, or the list itself.
        platform_ids: Platforms by number, where neither ``platforms.txt`` nor NNLQP's own numbering names them.
    """

    def __init__(self, path: str | Path, platform_ids: Mapping[int, str] | None = None) -> None:
        self.path = Path(path)
        self.platforms = {int(number): Platform.parse(name) for number, name in (platform_ids or {}).items()}

    def read(self, on_complaint: OnComplaint) -> TrainingData:
        files = find_files(self.path)
        if not files.lists:
            raise InvalidSettingError(f"expected gt.txt in {self.path}, got parquet files; choose them: data=parquet")
        counter = _Counting(on_complaint)
        networks: list[MeasuredNetwork] = []
        test: set[str] = set()
        for latencies in files.lists:
            for line, one in _of_list(NnlqpFolder(latencies, self.platforms, counter), counter):
                networks.append(one)
                if line.stage == TEST:
                    test.add(one.graph.key)
        return TrainingData.of(str(self.path), networks, test, counter.n_lines)


class DatabaseRows(DataSource):
    """The measurements in a latency database, the newest of each network, platform and batch size.

    A database knows networks by their keys. Which network a key belongs to is told by the row itself, where
    it was imported from parquet; by ONNX files; or by spaces small enough to write all of their members.

    Args:
        path: File or URL; None takes the default one.
        host: Rows of this machine only; None takes any.
        networks: A folder in which ONNX files are looked for, at any depth.
        spaces: Names of registered spaces.
    """

    def __init__(
        self, path: str | None = None, host: str | None = None, networks: str | Path | None = None, spaces: Sequence[str] = ()
    ) -> None:
        self.path = path
        self.host = host
        self.networks = None if networks is None else Path(networks)
        self.spaces = [_small_space(name) for name in spaces]

    def read(self, on_complaint: OnComplaint) -> TrainingData:
        with closing(open_database(self.path)) as database:
            rows = {(row.graph_key, row.platform, row.batch_size): row for row in database.select() if self.host in (None, row.host)}
            source = f"database {database.url}"
        missing = {(row.graph_key, row.platform.view) for row in rows.values() if "code" not in row.facts}
        known = dict(self._find(missing, on_complaint)) if missing else {}
        networks, n_unknown = [], 0
        for row in rows.values():
            graph = known.get(row.graph_key) or _made_again(row)
            if graph is None:
                n_unknown += 1
            else:
                domain = str(row.facts.get(FAMILY, UNSTATED))
                networks.append(MeasuredNetwork(graph, row.platform, row.batch_size, row.latency_ms, domain))
        if n_unknown:
            reason = "nothing tells which network their key belongs to; give data.networks=FOLDER of ONNX files, or data.spaces=[NAME]"
            on_complaint(Complaint(place=source, reason=reason, n_lines=n_unknown))
        return TrainingData.of(source, networks, n_left_out=n_unknown)

    def _find(self, missing: set[tuple[str, GraphView]], on_complaint: OnComplaint) -> Iterator[tuple[str, ModelGraph]]:
        """Yield the networks that have one of these keys."""
        keys = {key for key, _ in missing}
        views = {view for _, view in missing}
        for written in (*self._files(on_complaint), *(graph for space in self.spaces for graph in _members(space))):
            for view in views:
                graph = viewed(written, view)
                if graph.key in keys:
                    yield graph.key, graph

    def _files(self, on_complaint: OnComplaint) -> Iterator[ModelGraph]:
        if self.networks is None:
            return
        if not self.networks.is_dir():
            raise InvalidSettingError(f"expected a folder with ONNX files, got {self.networks}, which is none")
        for path in tqdm(sorted(self.networks.rglob("*.onnx")), desc="read", unit="network", file=sys.stderr, disable=None):
            try:
                yield read_graph(path, GraphView.AS_WRITTEN)
            except InvalidModelError as error:
                on_complaint(Complaint(place=str(path), reason=str(error)))


class _Counting:
    """Passes complaints on and counts the lines that they cost."""

    def __init__(self, on_complaint: OnComplaint) -> None:
        self._on_complaint = on_complaint
        self.n_lines = 0

    def __call__(self, complaint: Complaint) -> None:
        self.n_lines += complaint.n_lines
        self._on_complaint(complaint)


def _of_files(source: str, files: Iterable[Path]) -> TrainingData:
    rows = read_rows(list(files))
    tables = tables_of(tqdm(rows, desc="read", unit="row", file=sys.stderr, disable=None))
    networks = [one for table in tables for one in _of_table(table)]
    return TrainingData.of(source, networks, n_left_out=len(rows) - len(networks))


def _of_table(table: LatencyTable) -> Iterator[MeasuredNetwork]:
    for graph, latency_ms in zip(table.graphs, table.latency_ms, strict=True):
        yield MeasuredNetwork(graph, table.platform, table.batch_size, float(latency_ms), table.domain)


def _of_list(folder: NnlqpFolder, on_complaint: OnComplaint) -> Iterator[tuple[NnlqpLine, MeasuredNetwork]]:
    """Yield lines and what they say; each ONNX file is read once."""
    by_path: dict[str, list[tuple[int, NnlqpLine]]] = {}
    for number, line in folder.lines():
        by_path.setdefault(line.onnx_path, []).append((number, line))
    for onnx_path, lines in tqdm(by_path.items(), desc=folder.name, unit="network", file=sys.stderr, disable=None):
        try:
            written = read_graph(folder.model_path(onnx_path), GraphView.AS_WRITTEN)
        except (InvalidSettingError, InvalidModelError) as error:
            on_complaint(Complaint(place=folder.place(lines[0][0]), reason=str(error), n_lines=len(lines)))
            continue
        views: dict[GraphView, ModelGraph] = {}
        for number, line in lines:
            platform = folder.platform(line.platform_id)
            if platform is None:
                reason = (
                    f"expected a platform whose name is known, got number {line.platform_id}; name it: data.platform_ids={{NUMBER: NAME}}"
                )
                on_complaint(Complaint(place=folder.place(number), reason=reason))
                continue
            graph = views.setdefault(platform.view, viewed(written, platform.view))
            yield line, MeasuredNetwork(graph, platform, line.batch_size, line.latency_ms, line.model_type)


def _made_again(row: Measurement) -> ModelGraph | None:
    """Return the network of a row that states its space and code; None where it does not, or they tell another one."""
    family, settings, code = (row.facts.get(name) for name in (FAMILY, "settings", "code"))
    if not (isinstance(family, str) and isinstance(settings, str) and isinstance(code, str)):
        return None
    graph = space_of(family, settings).graph(Architecture.from_key(f"{family}:{code}"), row.platform.view)
    return graph if graph.key == row.graph_key else None


def _small_space(name: str) -> SearchSpace:
    space: SearchSpace = load_plugin(SPACES, name)()
    if space.size > LARGEST_SPACE:
        raise InvalidSettingError(
            f"expected a space of at most {LARGEST_SPACE} members to find networks by their keys, got {name} with {space.size}; "
            "give data.networks=FOLDER of ONNX files"
        )
    return space


def _members(space: SearchSpace) -> Iterator[ModelGraph]:
    codes = {space.canonical(code) for code in product(*(range(len(parameter.choices)) for parameter in space.parameters))}
    for code in tqdm(sorted(codes), desc=space.name, unit="network", file=sys.stderr, disable=None):
        yield space.graph(Architecture(space.name, code), GraphView.AS_WRITTEN)
