"""The user's own search space: any function of an Optuna trial that builds a network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from ..core import Architecture, GraphView, InvalidSettingError, ModelGraph, NnlqpError, Parameter, SearchSpace
from .code_trial import Choice, CodeTrial
from .onnx_reader import read_graph

if TYPE_CHECKING:
    import torch

_FEW = 32
_REMEMBERED = 8


class FunctionSpace(SearchSpace):
    """The networks that a function builds, one for each way to answer its ``trial.suggest_...``.

    The function takes an ``optuna.Trial`` and returns a PyTorch module, an ONNX model (``onnx.ModelProto``, its bytes
    or a path), or a :class:`~nnlqp_nas.core.ModelGraph`. It may ask for a parameter only where an earlier answer makes it
    matter: such choices are 0 in the code of a network without it. It has to be a function of its answers alone.

    What it may ask is found out by running it, once or so for each choice: each choice of parameters with up to 32, the
    ends of those with more. A parameter that this does not find is refused when it is first asked for; an example that
    reaches it helps. The encoding is a dictionary of the parameters asked for, which is what
    ``optuna.Trial.params`` holds.

    >>> def build(trial):
    ...     layers, channels = [], 3
    ...     for i in range(trial.suggest_int("depth", 1, 4)):
    ...         width = trial.suggest_categorical(f"width_{i}", [16, 32, 64])
    ...         layers += [nn.Conv2d(channels, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU()]
    ...         channels = width
    ...     return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))
    >>> space = FunctionSpace(build, input_shape=(3, 32, 32))
    >>> oracle = nnlqp_nas.load_oracle("cpu-onnxruntime-fp32", spaces=[space])
    >>> oracle.query([space.sample(rng) for _ in range(100)])

    Args:
        function: Of a trial; returns a network.
        name: Name of the space; the function's own unless given.
        input_shape: For PyTorch modules without an attribute ``input_shape``: (C, H, W).
        examples: Further choices to start from when its parameters are found out, a dictionary each.

    Raises:
        InvalidSettingError: If it asks for no parameter, or for one without finitely many choices, or fails.
    """

    def __init__(
        self,
        function: Callable[[Any], Any],
        name: str | None = None,
        input_shape: Sequence[int] | None = None,
        examples: Iterable[Mapping[str, Choice]] = (),
    ) -> None:
        self.name = name or str(getattr(function, "__name__", type(function).__name__))
        self._function = function
        self._input_shape = None if input_shape is None else tuple(input_shape)
        self._known: dict[str, Parameter] = {}
        self._is_conditional = False
        self._explore(examples)
        if not self._known:
            raise InvalidSettingError(f"expected {self.name} to ask its trial for a parameter, got none; call trial.suggest_...")
        self._parameters = tuple(self._known.values())
        self._asked: dict[tuple[int, ...], frozenset[str]] = {}
        self._graphs: dict[Architecture, ModelGraph] = {}

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return self._parameters

    @property
    def size(self) -> int:
        """Number of ways to answer; where parameters depend on others, not all of them are distinct networks."""
        return prod(len(parameter.choices) for parameter in self._parameters)

    def canonical(self, code: tuple[int, ...]) -> tuple[int, ...]:
        """Return ``code`` with the choices that the function does not ask for set to 0; it is run where that may differ."""
        if not self._is_conditional:
            return code
        if code not in self._asked:
            _, trial = self._build(self._choices(code))
            self._asked[code] = frozenset(trial.asked)
        asked = self._asked[code]
        return tuple(digit if parameter.name in asked else 0 for parameter, digit in zip(self._parameters, code, strict=True))

    def encode(self, architecture: Architecture) -> dict[str, Any]:
        """Return the choice of each parameter that the function asks for, by name."""
        choices = self._choices(architecture.code)
        if not self._is_conditional:
            return choices
        self.canonical(architecture.code)
        return {name: choice for name, choice in choices.items() if name in self._asked[architecture.code]}

    def decode(self, encoding: Any) -> Architecture:
        """Read what :meth:`encode` wrote, or the ``params`` of a trial.

        Raises:
            InvalidSettingError: If a parameter that the function asks for is missing, or another one is there.
        """
        if not isinstance(encoding, dict) or not set(encoding) <= set(self._known):
            raise InvalidSettingError(f"expected choices for some of {', '.join(self._known)}, got {encoding!r}")
        choices = [encoding.get(parameter.name, parameter.choices[0]) for parameter in self._parameters]
        architecture = self.architecture(*choices)
        asked = self.encode(architecture)
        if set(asked) != set(encoding):
            raise InvalidSettingError(f"expected a choice for each of {', '.join(asked)}, got {encoding!r}")
        return architecture

    def graph(self, architecture: Architecture, view: GraphView = GraphView.OPTIMISED) -> ModelGraph:
        """Return the network as a graph; a PyTorch module is exported for it, which takes a tenth of a second or so."""
        if architecture not in self._graphs:
            network, _ = self._build(self._choices(architecture.code))
            while len(self._graphs) >= _REMEMBERED:
                self._graphs.pop(next(iter(self._graphs)))
            self._graphs[architecture] = read_graph(network, GraphView.AS_WRITTEN, self._shape_of(network))
        return read_graph(self._graphs[architecture], view)

    def module(self, architecture: Architecture) -> torch.nn.Module:
        """Return the module that the function builds, with ``input_shape``, or one that computes its graph."""
        import torch

        from .torch_module import to_module

        network: Any = self._build(self._choices(architecture.code))[0]
        if not isinstance(network, torch.nn.Module):
            return to_module(read_graph(network, GraphView.AS_WRITTEN))
        if self._input_shape is not None and not hasattr(network, "input_shape"):
            setattr(network, "input_shape", (1, *self._input_shape))  # noqa: B010 (a module's own attribute type is narrower)
        return network

    def _shape_of(self, network: Any) -> tuple[int, ...] | None:
        return None if hasattr(network, "input_shape") else self._input_shape

    def _choices(self, code: tuple[int, ...]) -> dict[str, Any]:
        return {parameter.name: parameter.choices[digit] for parameter, digit in zip(self._parameters, code, strict=True)}

    def _explore(self, examples: Iterable[Mapping[str, Choice]]) -> None:
        """Run the function until each choice to be covered was made once; a choice stands behind those that led to it."""
        waiting: list[Mapping[str, Choice]] = [{}, *examples]
        covered: set[tuple[str, Choice]] = set()
        while waiting:
            choices = waiting.pop(0)
            _, trial = self._build(choices, is_exploring=True)
            self._is_conditional |= bool(self._known) and set(trial.asked) != set(self._known)
            led: dict[str, Choice] = {}
            for name, parameter in trial.asked.items():
                self._known.setdefault(name, parameter)
                covered.add((name, trial.params[name]))
                for choice in _choices_to_cover(parameter):
                    if (name, choice) not in covered:
                        covered.add((name, choice))
                        waiting.append({**led, name: choice})
                led[name] = trial.params[name]

    def _build(self, choices: Mapping[str, Choice], is_exploring: bool = False) -> tuple[Any, CodeTrial]:
        trial = CodeTrial(choices)
        try:
            network = self._function(trial)
        except NnlqpError:
            raise
        except Exception as error:  # the user's own code may fail in any way
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise InvalidSettingError(f"expected {self.name} to build a network for {trial.params}, got {reason}") from error
        for name, parameter in trial.asked.items():
            known = self._known.get(name)
            if known is None and not is_exploring:
                raise InvalidSettingError(
                    f"expected {self.name} to ask for {', '.join(self._known)} only, got {name} for {trial.params}; "
                    f"give FunctionSpace examples=[{trial.params!r}]"
                )
            if known is not None and known != parameter:
                raise InvalidSettingError(f"expected {name} to offer {known.choices} each time, got {parameter.choices} for {trial.params}")
        return network, trial


def _choices_to_cover(parameter: Parameter) -> tuple[Choice, ...]:
    choices = parameter.choices
    return choices if len(choices) <= _FEW else (choices[0], choices[-1])
