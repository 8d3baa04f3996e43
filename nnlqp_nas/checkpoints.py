"""Predictors on disk: found by name or path, looked at before anything of them is loaded."""

from __future__ import annotations

import json
import os
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from .core import CheckpointError, InvalidSettingError, LatencyPredictor, NnlqpError, Platform, UnknownNameError
from .core.plugins import FOREIGN_CHECKPOINTS, PREDICTORS, load_plugin, plugin_names

DEFAULT = "universal"
ADAPTED = "adapted"
FORMAT = "nnlqp-nas-predictor"
SUFFIX = ".safetensors"
_PICKLES = frozenset({".pth", ".pt", ".ckpt", ".bin", ".pkl"})
_LARGEST_FILE_BYTES = 256 << 20
_LARGEST_HEADER_BYTES = 16 << 20


def own_folder() -> Path:
    """Return the folder in the user's data folder where adapted predictors are kept by name."""
    import platformdirs

    return Path(platformdirs.user_data_dir("nnlqp-nas", appauthor=False)) / "predictors"


def checkpoint_names() -> dict[str, Path]:
    """Return the predictors that can be loaded by name: the pretrained ones, then the user's own."""
    shipped = Path(str(files("nnlqp_nas.predictors.pretrained")))
    return {path.stem: path for folder in (own_folder(), shipped) for path in sorted(folder.glob(f"*{SUFFIX}"))}


def default_name() -> str:
    """Return the predictor that is meant where none is named: your adapted one, if there is one, else the pretrained one."""
    return ADAPTED if (own_folder() / f"{ADAPTED}{SUFFIX}").is_file() else DEFAULT


def keep_predictor(predictor: LatencyPredictor, name: str) -> Path:
    """Keep a predictor under a name of your own, whole or not at all; what was kept under it before is replaced.

    Raises:
        InvalidSettingError: If it is no plain name, or a shipped predictor has it.
    """
    if not name or Path(name).name != name or name.startswith("."):
        raise InvalidSettingError(f"expected a name for the predictor, such as {ADAPTED}, got '{name}'")
    path = own_folder() / f"{name}{SUFFIX}"
    if checkpoint_names().get(name, path) != path:
        raise InvalidSettingError(f"expected a name that no shipped predictor has, got '{name}'; choose another")
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        predictor.save(draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return path


def load_adaptable(name: str | None = None) -> LatencyPredictor:
    """Return a predictor to adapt: a pretrained one, one in a file, or an untrained plug-in that few measurements suffice for.

    Args:
        name: None takes :func:`default_name`.

    Raises:
        UnknownNameError: If it is a name that no predictor has.
        CheckpointError: If it is no file, truncated, of another format, or unsafe.
    """
    if name in plugin_names(PREDICTORS) and name not in checkpoint_names():
        untrained: LatencyPredictor = load_plugin(PREDICTORS, name)()
        return untrained
    return load_predictor(name or default_name())


def find_checkpoint(name_or_path: str | os.PathLike[str] = DEFAULT) -> Path:
    """Return the file of a predictor.

    Raises:
        UnknownNameError: If it is a name that no predictor has.
        CheckpointError: If it is a path where no file is.
    """
    text = os.fspath(name_or_path)
    names = checkpoint_names()
    if text in names:
        return names[text]
    path = Path(text).expanduser()
    if path.is_file():
        return path
    if path.is_dir() or path.suffix or len(path.parts) != 1:
        raise CheckpointError(
            f"expected a checkpoint file or the name of a predictor, got {text}, which is no file; names: {_listed(names)}"
        )
    raise UnknownNameError.among("predictor", text, names)


def read_header(path: Path) -> dict[str, str]:
    """Return the metadata of a checkpoint; nothing of the weights is read or executed.

    Raises:
        CheckpointError: If it is too large, truncated, or not a checkpoint of this project.
    """
    if path.suffix.lower() in _PICKLES:
        raise CheckpointError(f"expected a {SUFFIX} checkpoint, got {path.name}: no predictor reads such files; save it as safetensors")
    try:
        size_bytes = path.stat().st_size
        with path.open("rb") as file:
            header_bytes = int.from_bytes(file.read(8), "little")
            if not 8 + header_bytes <= size_bytes <= _LARGEST_FILE_BYTES or header_bytes > _LARGEST_HEADER_BYTES:
                raise ValueError(f"{size_bytes} bytes that hold no header")
            header = json.loads(file.read(header_bytes))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"expected a {SUFFIX} checkpoint, got {path.name}: {error}; it is damaged or another format") from error
    _check_length(path, header, size_bytes - 8 - header_bytes)
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT or not isinstance(metadata.get("predictor"), str):
        raise CheckpointError(
            f"expected a checkpoint of format '{FORMAT}', got {path.name} without it; train or adapt a predictor to make one"
        )
    return metadata


def load_predictor(name_or_path: str | os.PathLike[str] = DEFAULT) -> LatencyPredictor:
    """Load a pretrained predictor by name, an adapted one of yours by name, or a checkpoint file.

    Raises:
        UnknownNameError: If it is a name that no predictor has, or nobody registered its class.
        CheckpointError: If it is no file, truncated, of another format, or unsafe.
    """
    path = find_checkpoint(name_or_path)
    state = path.stat()
    return _load(path.resolve(), state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4)  # predictors are immutable, so that several oracles may share one
def _load(path: Path, changed_at_ns: int, size_bytes: int) -> LatencyPredictor:  # noqa: ARG001 - they tell versions of a file apart
    cls: Any = (
        load_plugin(FOREIGN_CHECKPOINTS, _suffix(path)) if _is_foreign(path) else load_plugin(PREDICTORS, read_header(path)["predictor"])
    )
    try:
        predictor: LatencyPredictor = cls.load(path)
    except NnlqpError:
        raise
    except (ValueError, KeyError, TypeError, RuntimeError, OSError) as error:
        raise CheckpointError(f"expected a checkpoint of {cls.__name__}, got {path.name}: {error}; train it again") from error
    return predictor


def predicted_platforms(name_or_path: str | os.PathLike[str] = DEFAULT) -> tuple[Platform, ...]:
    """Return what a predictor on disk predicts: from its header where it says so, else by loading it.

    Raises:
        UnknownNameError: If it is a name that no predictor has, or nobody registered its class.
        CheckpointError: If it is no file, truncated, of another format, or unsafe.
    """
    path = find_checkpoint(name_or_path)
    stated = None if _is_foreign(path) else read_header(path).get("platforms")
    if stated is None:
        return load_predictor(path).platforms
    try:
        return tuple(Platform.parse(name) for name in json.loads(stated))
    except (ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"expected a list of platforms in the header of {path.name}, got {stated!r}; train it again") from error


def _suffix(path: Path) -> str:
    return path.suffix.lower().removeprefix(".")


def _is_foreign(path: Path) -> bool:
    """Whether a predictor reads this kind of file, which another project wrote."""
    return _suffix(path) in plugin_names(FOREIGN_CHECKPOINTS)


def _check_length(path: Path, header: Any, data_bytes: int) -> None:
    try:
        stated = max((entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"), default=0)
        is_whole = stated == data_bytes
    except (AttributeError, KeyError, IndexError, TypeError) as error:
        raise CheckpointError(f"expected a {SUFFIX} checkpoint, got {path.name} with a strange header; it is damaged") from error
    if not is_whole:
        raise CheckpointError(
            f"expected {stated} bytes of weights in {path.name}, got {data_bytes}: it is truncated; copy or download it again"
        )


def _listed(names: dict[str, Path]) -> str:
    return ", ".join(sorted(names)) or "none yet"
