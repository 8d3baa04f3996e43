"""The Python surface: spaces, predictors and oracles by name."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable
from typing import Any, Literal, get_args

from .checkpoints import checkpoint_names, default_name, load_predictor
from .core import (
    InvalidSettingError,
    LatencyDatabase,
    LatencyOracle,
    LatencyPredictor,
    MissingExtraError,
    Platform,
    SearchSpace,
    TimingProtocol,
    UnknownPlatformError,
    UnsupportedError,
)
from .core.plugins import SPACES, load_plugin
from .database import open_database
from .measurable import available_backend
from .oracles import CachedOracle, CascadeOracle, DeferredOracle, LoweringOracle, MeasuredOracle, PredictedOracle
from .platform_status import known_platforms, platforms_of, resolve_platform

__all__ = ["Policy", "known_platforms", "load_oracle", "load_predictor", "load_space", "open_database", "resolve_platform"]

Policy = Literal["auto", "predict", "measure", "truth"]

_ORDER: dict[str, tuple[str, ...]] = {
    "auto": ("predict", "measure"),
    "predict": ("predict",),
    "measure": ("measure",),
    "truth": ("measure", "predict"),
}


def load_space(name: str, **settings: Any) -> SearchSpace:
    """Return a registered search space.

    >>> load_space("nasbench201", n_classes=100).size
    15625

    Raises:
        UnknownNameError: If nobody registered ``name``.
        InvalidSettingError: If the space has no such setting.
    """
    make: Callable[..., SearchSpace] = load_plugin(SPACES, name)
    signature = inspect.signature(make)
    try:
        signature.bind(**settings)
    except TypeError as error:
        raise InvalidSettingError(f"expected settings of space {name} among {signature}, got {settings}: {error}") from error
    return make(**settings)


def load_oracle(
    platform: str | Platform,
    policy: Policy = "auto",
    database: LatencyDatabase | str | os.PathLike[str] | None = None,
    predictor: LatencyPredictor | str | None = None,
    protocol: TimingProtocol | None = None,
    spaces: Iterable[SearchSpace] = (),
) -> LatencyOracle:
    """Return an oracle that answers for architectures, graphs, ONNX models, paths and PyTorch modules.

    Every policy looks the database up first. Where this machine can measure the platform, only its
    own rows count, since ``cpu`` means the machine at hand. What is measured is stored.

    Args:
        platform: A platform, its name, or a short name.
        policy: What answers behind the database: ``auto`` predicts, or measures what the predictor
            does not know; ``predict`` predicts; ``measure`` measures; ``truth`` measures, and
            predicts what could not be measured.
        database: An open database, a file or URL; None for the default one.
        predictor: A predictor, its name or its file; None for your adapted one, else the pretrained one.
        protocol: How to time; None for the defaults.
        spaces: Spaces that are not as their plug-ins make them by default.

    Raises:
        UnknownPlatformError: If nothing here knows ``platform``.
        UnsupportedError: If no source can answer for it.
        InvalidSettingError: If there is no such policy.
        CheckpointError: If the predictor cannot be read.
        DatabaseError: If the database cannot be opened.
    """
    if policy not in get_args(Policy):
        raise InvalidSettingError(f"expected a policy among {', '.join(get_args(Policy))}, got '{policy}'")
    store = database if isinstance(database, LatencyDatabase) else open_database(database)
    chosen = resolve_platform(platform, predictor, store)
    sources, reasons = _sources(chosen, policy, predictor, protocol)
    if not sources:
        if chosen not in store.count_rows():
            raise UnsupportedError("; ".join(reasons))
        sources = [DeferredOracle(chosen, _refusing("; ".join(reasons)))]
    host = next((source.backend.host for source in sources if isinstance(source, MeasuredOracle)), None)
    return LoweringOracle(_composed(sources, store, host or _host(chosen)), spaces)


def _sources(
    platform: Platform, policy: str, predictor: LatencyPredictor | str | None, protocol: TimingProtocol | None
) -> tuple[list[LatencyOracle], list[str]]:
    """Return the sources behind the database in their order, and why others are not among them."""
    sources: list[LatencyOracle] = []
    reasons: list[str] = []
    for name in _ORDER[policy]:
        try:
            if name == "measure":
                sources.append(MeasuredOracle(available_backend(platform), protocol))
            else:
                sources.append(_predicted(platform, predictor, is_needed=not sources))
        except (UnsupportedError, UnknownPlatformError, MissingExtraError) as error:
            reasons.append(str(error))
        if sources and policy == "auto":
            break
    return sources, reasons


def _predicted(platform: Platform, predictor: LatencyPredictor | str | None, is_needed: bool) -> LatencyOracle:
    # Loading a predictor takes seconds: not before it is needed.
    deferred = DeferredOracle(platform, lambda: _load_predicted(platform, predictor))
    return deferred.inner if is_needed else deferred


def _load_predicted(platform: Platform, predictor: LatencyPredictor | str | None) -> LatencyOracle:
    if predictor is None and default_name() not in checkpoint_names():
        raise UnsupportedError(f"no pretrained predictor is installed to predict {platform}; name one, or a checkpoint file")
    if platform not in platforms_of(predictor):
        raise UnsupportedError(f"the predictor does not know {platform}; adapt it from about twenty measurements: nnlqp-nas adapt")
    return PredictedOracle(predictor if isinstance(predictor, LatencyPredictor) else load_predictor(predictor or default_name()), platform)


def _composed(sources: list[LatencyOracle], database: LatencyDatabase, host: str | None) -> LatencyOracle:
    # The first source stands behind the database; what it measures, and its failures, are stored.
    first: LatencyOracle = CachedOracle(sources[0], database, host)
    return first if len(sources) == 1 else CascadeOracle([first, *sources[1:]])


def _host(platform: Platform) -> str | None:
    try:
        return available_backend(platform).host
    except (UnsupportedError, MissingExtraError):
        return None


def _refusing(reason: str) -> Callable[[], LatencyOracle]:
    def refuse() -> LatencyOracle:
        raise UnsupportedError(reason)

    return refuse
