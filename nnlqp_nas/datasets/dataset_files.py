"""Which files of a place on disk hold latency data, and of which format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..core import InvalidSettingError
from .nnlqp_folder import LATENCIES

_PARQUET = b"PAR1"


@dataclass(frozen=True, slots=True)
class DatasetFiles:
    """The files of a data set.

    Attributes:
        tables: Our parquet files.
        lists: NNLQP's ``gt.txt`` files.
    """

    tables: tuple[Path, ...] = ()
    lists: tuple[Path, ...] = ()


def find_files(place: Path) -> DatasetFiles:
    """Return the latency data of a file or folder; a folder may hold several of NNLQP's sets, a folder each.

    Raises:
        InvalidSettingError: If there is none.
    """
    try:
        files = _of_folder(place) if place.is_dir() else _of_file(place)
    except OSError as error:
        raise InvalidSettingError(f"expected a data set that can be read, got {place}: {error.strerror}; check its permissions") from error
    if files == DatasetFiles():
        raise InvalidSettingError(f"expected a folder with {LATENCIES} or *.parquet, or such a file, got {place}, which is none")
    return files


def _of_folder(folder: Path) -> DatasetFiles:
    lists = [path for path in (folder / LATENCIES, *sorted(folder.glob(f"*/{LATENCIES}"))) if path.is_file()]
    return DatasetFiles(tuple(sorted(folder.glob("*.parquet"))), tuple(lists))


def _of_file(file: Path) -> DatasetFiles:
    if not file.exists():
        raise InvalidSettingError(f"expected a data set, found nothing at {file}; check the path")
    if not file.is_file():
        return DatasetFiles()
    with file.open("rb") as opened:
        is_parquet = opened.read(len(_PARQUET)) == _PARQUET
    if is_parquet or file.suffix == ".parquet":
        return DatasetFiles(tables=(file,))
    return DatasetFiles(lists=(file,)) if file.suffix == ".txt" else DatasetFiles()
