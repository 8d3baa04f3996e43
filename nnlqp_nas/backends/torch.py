"""PyTorch's eager mode: on the CPU, on CUDA, on Apple's GPUs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..core import OperatorTime, Platform
from .engine import LoadedModel
from .isolated_backend import MODEL, IsolatedBackend
from .operator_times import N_PROFILED, N_WARMUP, middle_mean

if TYPE_CHECKING:
    from torch import nn

DEVICES: Mapping[str, str] = MappingProxyType({"cpu": "cpu", "gpu-cuda": "cuda", "gpu-mps": "mps"})


class TorchBackend(IsolatedBackend):
    """PyTorch, every node of the network as written: a layer a node, channels first, in inference mode.

    The hardware part of the platform names the device (see :data:`DEVICES`). fp32 is fp32: TF32 is off.
    """

    software = "torch"
    package = "torch"
    module = "torch"
    imports = ("nnlqp_nas.graphs.torch_weights",)
    has_profiler = True

    @classmethod
    def known_platforms(cls) -> tuple[Platform, ...]:
        others = tuple(Platform(hardware, cls.software, "fp32") for hardware in DEVICES if hardware != "cpu")
        return Platform("cpu", cls.software, "fp32"), Platform("cpu", cls.software, "fp32", "2t"), *others

    def unavailable_reason(self) -> str | None:
        reason = super().unavailable_reason()
        if reason is not None or self.platform.hardware == "cpu":
            return reason
        import torch

        device = DEVICES[self.platform.hardware]
        is_here = torch.cuda.is_available() if device == "cuda" else torch.backends.mps.is_available()
        return None if is_here else f"torch {torch.__version__} finds no {device} device here"

    def settings(self, n_threads: int) -> dict[str, Any]:
        return {**super().settings(n_threads), "device": DEVICES[self.platform.hardware]}

    @staticmethod
    def load(folder: Path, inputs: list[NDArray[np.float32]], settings: Mapping[str, Any]) -> LoadedModel:
        return _TorchModel(folder, inputs, settings)

    @staticmethod
    def profile_runs(folder: Path, inputs: list[NDArray[np.float32]], settings: Mapping[str, Any]) -> list[OperatorTime]:
        model = _TorchModel(folder, inputs, settings)
        for _ in range(N_WARMUP):
            model.run()
        return model.profile()


class _TorchModel(LoadedModel):
    """The module with the weights of the file, and its inputs on its device."""

    def __init__(self, folder: Path, inputs: list[NDArray[np.float32]], settings: Mapping[str, Any]) -> None:
        import onnx
        import torch

        from ..graphs.torch_weights import module_of

        torch.set_num_threads(settings["n_threads"])
        # Random weights make denormal activations now and then, which run many times slower.
        torch.set_flush_denormal(True)
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        self._device = torch.device(settings["device"])
        module, self._graph = module_of(onnx.load(folder / MODEL))
        self._module = module.to(self._device)
        self.feed(inputs)
        self._results: Any = None

    def run(self) -> None:
        import torch

        with torch.inference_mode():
            self._results = self._module(*self._inputs)
        if self._device.type != "cpu":
            getattr(torch, self._device.type).synchronize()

    def outputs(self) -> list[NDArray[np.float32]]:
        results = self._results if isinstance(self._results, tuple) else (self._results,)
        return [result.cpu().numpy() for result in results]

    def feed(self, inputs: Sequence[NDArray[Any]]) -> None:
        import torch

        self._inputs = [torch.from_numpy(value).to(self._device) for value in inputs]

    def profile(self) -> list[OperatorTime]:
        """Run under PyTorch's profiler, each layer a range of its own."""
        from torch.profiler import ProfilerActivity, profile

        names = dict(self._module.layers.items())
        handles = [handle for name, layer in names.items() for handle in _mark(name, layer)]
        is_cuda = self._device.type == "cuda"
        activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if is_cuda else [])]
        with profile(activities=activities) as session:
            for _ in range(N_PROFILED):
                self.run()
        for handle in handles:
            handle.remove()
        times_us: dict[str, list[float]] = {name: [] for name in names}
        for event in session.events() or ():
            if event.name in times_us:
                times_us[event.name].append(event.device_time_total if is_cuda else event.cpu_time_total)
        return [OperatorTime(name, self._op_type(name), middle_mean(times) / 1e3) for name, times in times_us.items()]

    def _op_type(self, name: str) -> str:
        return self._graph.operators[int(name.rpartition("_")[2])].op_type

    @property
    def facts(self) -> Mapping[str, Any]:
        import torch

        return {"engine": f"torch {torch.__version__}", "device": str(self._device)}


def _mark(name: str, layer: nn.Module) -> tuple[Any, Any]:
    """Open a range of the profiler before a layer and close it behind."""
    import torch

    mark: Any = torch.profiler.record_function(name)

    def open_range(*_: Any) -> None:
        mark.__enter__()

    def close_range(*_: Any) -> None:
        mark.__exit__(None, None, None)

    return layer.register_forward_pre_hook(open_range), layer.register_forward_hook(close_range)
