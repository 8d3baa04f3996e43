"""Every platform that anything here knows, by whom, and the way from a text to one of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .checkpoints import checkpoint_names, default_name, predicted_platforms
from .core import InvalidSettingError, LatencyDatabase, LatencyPredictor, NnlqpError, Platform, UnknownPlatformError, UnsupportedError
from .measurable import backend_platforms, find_backend
from .platforms import PlatformFacts, aliases, registered_platforms


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformStatus:
    """What can be told of a platform here and now.

    Attributes:
        platform: The platform.
        is_measurable: Whether this machine can measure it.
        is_predictable: Whether the predictor knows it.
        n_rows: Measurements of it in the database.
        reason: Why it cannot be measured here; None where it can.
    """

    platform: Platform
    is_measurable: bool
    is_predictable: bool
    n_rows: int
    reason: str | None

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary of JSON types, as the command line prints it."""
        return {
            "name": str(self.platform),
            "measurable": self.is_measurable,
            "predictable": self.is_predictable,
            "rows": self.n_rows,
            "reason": self.reason,
        }


def known_platforms(predictor: str | LatencyPredictor | None = None, database: LatencyDatabase | None = None) -> tuple[Platform, ...]:
    """Return the platforms of the registry, the backends, the predictor and the database, sorted.

    Args:
        predictor: A name, a path or a predictor; None takes the default one, if there is one.
        database: Where rows are looked for; None looks nowhere.
    """
    rows = database.count_rows() if database is not None else {}
    return tuple(sorted({*registered_platforms(), *backend_platforms(), *platforms_of(predictor), *rows}))


def describe_platforms(predictor: str | LatencyPredictor | None = None, database: LatencyDatabase | None = None) -> list[PlatformStatus]:
    """Return the state of every known platform, sorted by name."""
    rows = database.count_rows() if database is not None else {}
    predictable = set(platforms_of(predictor))
    states = []
    for platform in sorted({*registered_platforms(), *backend_platforms(), *predictable, *rows}, key=str):
        reason = _why_not(platform)
        states.append(
            PlatformStatus(
                platform=platform,
                is_measurable=reason is None,
                is_predictable=platform in predictable,
                n_rows=rows.get(platform, 0),
                reason=reason,
            )
        )
    return states


def resolve_platform(
    text: str | Platform, predictor: str | LatencyPredictor | None = None, database: LatencyDatabase | None = None
) -> Platform:
    """Return the platform that a text means: a full name, in any case, or a short one such as ``t4``.

    The hardware alone will do where one platform only is known of it.

    Args:
        text: What the user wrote; a :class:`Platform` is returned as it is.
        predictor: Its platforms count too; see :func:`known_platforms`.
        database: Its platforms count too.

    Raises:
        UnknownPlatformError: If nothing here knows it; the nearest names are offered.
    """
    if isinstance(text, Platform):
        return text
    # The cheap sources first: a predictor may have to be loaded to say what it knows.
    for known in (aliases(), _by_name(registered_platforms()), _by_name(backend_platforms())):
        if text.lower() in known:
            return known[text.lower()]
    variant = _offered_variant(text)
    if variant is not None:
        return variant
    everything = _by_name(known_platforms(predictor, database))
    of_hardware = [platform for platform in everything.values() if platform.hardware.lower() == text.lower()]
    if len(of_hardware) == 1:
        return of_hardware[0]
    if text.lower() not in everything:
        raise UnknownPlatformError.among("platform", text, [*map(str, everything.values()), *aliases()])
    return everything[text.lower()]


def platforms_of(predictor: str | LatencyPredictor | None) -> tuple[Platform, ...]:
    """Return what a predictor predicts; nothing where None is given and no default one is installed.

    Raises:
        UnknownNameError: If it is a name that no predictor has.
        CheckpointError: If it is a file that cannot be read.
    """
    if isinstance(predictor, LatencyPredictor):
        return predictor.platforms
    if predictor is None and default_name() not in checkpoint_names():
        return ()
    return predicted_platforms(predictor or default_name())


def _by_name(platforms: Iterable[Platform]) -> dict[str, Platform]:
    return {str(platform).lower(): platform for platform in platforms}


def _offered_variant(text: str) -> Platform | None:
    """Return the platform where a backend offers it without listing it, such as a number of threads."""
    try:
        platform = Platform.parse(text)
        find_backend(platform)
    except (InvalidSettingError, NnlqpError):
        return None
    return platform


def _why_not(platform: Platform) -> str | None:
    try:
        return find_backend(platform).unavailable_reason()
    except UnsupportedError as error:
        facts = registered_platforms().get(platform)
        return str(error) if facts is None else _what_it_needs(facts)
    except NnlqpError as error:
        return str(error)


def _what_it_needs(facts: PlatformFacts) -> str:
    """Say what stands in the way of a platform that is known by its vendor's software and device."""
    article = "an" if facts.device[0] in "AEIOU" else "a"
    needs = f"needs {facts.software} and {article} {facts.device}, which are not here"
    return f"{needs}; a checkpoint that knows it predicts it, a device of a farm measures it"
