"""A network in parts on disk: written once, compiled and loaded part by part."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..core import UnsupportedError
from .engine import LoadedModel
from .fallback_session import FallbackSession
from .partition import Part, partition
from .split_model import SplitModel

if TYPE_CHECKING:
    import onnx

Compile = Callable[[Path, list[NDArray[np.float32]], Mapping[str, Any]], None]
Load = Callable[[Path, list[NDArray[np.float32]], Mapping[str, Any]], LoadedModel]

_PLAN = "parts.json"


@dataclass(frozen=True, slots=True)
class SplitNetwork:
    """The parts of a network, each in a folder of its own as an engine expects it.

    Attributes:
        folder: Where the folders ``0``, ``1``, ... of the parts are.
        model: Name of the ONNX file in each of them.
        parts: What the parts read and leave, in the order in which they run.
        inputs: Names of the network's inputs.
        outputs: Names of the network's outputs.
        kinds: Name of each value between parts, and of each input, to its shape and NumPy type.
    """

    folder: Path
    model: str
    parts: list[Part]
    inputs: list[str]
    outputs: list[str]
    kinds: dict[str, tuple[list[int], str]]

    @classmethod
    def write(cls, source: Path, folder: Path, refused: Sequence[str], input_shapes: Sequence[Sequence[int]]) -> SplitNetwork:
        """Cut an ONNX file and write its parts.

        Args:
            source: The whole network.
            folder: Where the parts go; made if it is not there.
            refused: Operator types that the engine does not run.
            input_shapes: What the network is run with.

        Raises:
            UnsupportedError: If the network runs input by input, or nothing is left for the engine.
        """
        import onnx
        from onnx.utils import Extractor

        model = onnx.shape_inference.infer_shapes(onnx.load(source))
        kinds = _kinds(model)
        weights = {one.name for one in model.graph.initializer}
        inputs = [one.name for one in model.graph.input if one.name not in weights]
        if [kinds[name][0] for name in inputs] != [list(shape) for shape in input_shapes]:
            raise UnsupportedError("expected an engine that runs the whole batch at once, got one that runs input by input")
        parts = partition(model, refused)
        split = cls(folder, source.name, parts, inputs, [one.name for one in model.graph.output], kinds)
        extractor = Extractor(model)
        for at, part in enumerate(parts):
            split.folder_of(at).mkdir(parents=True, exist_ok=True)
            onnx.save(extractor.extract_model(list(part.inputs), list(part.outputs)), split.folder_of(at) / source.name)
        fields = {name: value for name, value in asdict(split).items() if name != "folder"}
        (folder / _PLAN).write_text(json.dumps(fields))
        return split

    @classmethod
    def read(cls, folder: Path) -> SplitNetwork:
        """Return what :meth:`write` left in a folder."""
        fields = json.loads((folder / _PLAN).read_text())
        parts = [Part(one["is_refused"], tuple(one["operators"]), tuple(one["inputs"]), tuple(one["outputs"])) for one in fields["parts"]]
        return cls(folder, **{**fields, "parts": parts})

    def folder_of(self, at: int) -> Path:
        """Return the folder of a part."""
        return self.folder / str(at)

    def compile(self, compile_one: Compile, settings: Mapping[str, Any]) -> None:
        """Let the engine compile the parts that it runs."""
        for at, part in enumerate(self.parts):
            if not part.is_refused:
                compile_one(self.folder_of(at), self._stand_ins(part), settings)

    def load(self, load_one: Load, inputs: Sequence[NDArray[np.float32]], settings: Mapping[str, Any]) -> SplitModel:
        """Load every part, by the engine or by ONNX Runtime, ready to run on ``inputs``.

        Raises:
            UnsupportedError: If the engine cannot take new inputs.
        """
        given = dict(zip(self.inputs, inputs, strict=True))
        models: list[LoadedModel] = []
        for at, part in enumerate(self.parts):
            arrays = [given.get(name, stand_in) for name, stand_in in zip(part.inputs, self._stand_ins(part), strict=True)]
            if part.is_refused:
                models.append(FallbackSession(self.folder_of(at) / self.model, arrays, settings["n_threads"]))
            else:
                models.append(load_one(self.folder_of(at), arrays, settings))
            models[-1].feed(arrays)
        return SplitModel(self.parts, models, given, self.outputs)

    def _stand_ins(self, part: Part) -> list[NDArray[Any]]:
        """Return arrays of the shapes and types that a part reads."""
        return [np.zeros(*self.kinds[name]) for name in part.inputs]


def _kinds(model: onnx.ModelProto) -> dict[str, tuple[list[int], str]]:
    from onnx.helper import tensor_dtype_to_np_dtype

    kinds = {}
    for one in (*model.graph.input, *model.graph.value_info, *model.graph.output):
        kind = one.type.tensor_type
        kinds[one.name] = ([size.dim_value for size in kind.shape.dim], str(tensor_dtype_to_np_dtype(kind.elem_type)))
    return kinds
