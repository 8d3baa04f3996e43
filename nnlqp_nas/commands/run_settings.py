"""Hydra settings of a run: composed from the packaged configuration and overrides, refused in one line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

from ..core import InvalidSettingError, UnknownNameError

_MODULE = "nnlqp_nas.conf"
_TYPES: tuple[tuple[Any, str], ...] = (
    (bool, "true or false"),
    ((int, float), "a number"),
    (str, "a word"),
    (list, "a list"),
    (dict, "settings"),
)


def compose_settings(name: str, overrides: Sequence[str]) -> Any:
    """Return the settings ``name`` with overrides such as ``seed=3`` or ``search=nsga2``.

    Raises:
        UnknownNameError: If an override names no setting, or a group has no such choice; the nearest are offered.
        InvalidSettingError: If an override cannot be read.
    """
    from hydra import compose, initialize_config_module
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    GlobalHydra.instance().clear()
    try:
        with initialize_config_module(_MODULE, version_base="1.3"):
            groups = _groups(name)
            chosen = [_full_name(override, groups) for override in overrides if _chooses(override, groups)]
            defaults = OmegaConf.to_container(compose(name, overrides=chosen))
            known = dict(_walk(defaults))
            for override in overrides:
                _check(override, known, groups)
            settings = compose(name, overrides=[_full_name(override, groups) for override in overrides])
            _check_types(known, dict(_walk(OmegaConf.to_container(settings))))
            if chosen:
                OmegaConf.resolve(settings)
            return settings
    except (HydraException, OmegaConfBaseException) as error:
        raise InvalidSettingError(f"expected overrides like seed=3 search=nsga2, got: {str(error).splitlines()[0]}") from error


def instantiate(settings: Any, kind: str) -> Any:
    """Make the object that a group's file names.

    Raises:
        InvalidSettingError: If its arguments do not suit.
    """
    import hydra
    from hydra.errors import InstantiationException
    from omegaconf.errors import OmegaConfBaseException

    from ..core import NnlqpError

    try:
        return hydra.utils.instantiate(settings)
    except (InstantiationException, OmegaConfBaseException) as error:
        if isinstance(error.__cause__, NnlqpError):
            raise error.__cause__ from None
        raise InvalidSettingError(f"expected settings of a {kind}, got: {str(error).splitlines()[0]}") from error


def group_choices(name: str) -> dict[str, list[str]]:
    """Return the groups of the settings ``name`` and what each offers."""
    return {group: _choices(folder.partition("@")[0]) for group, folder in _groups(name).items()}


def _groups(name: str) -> dict[str, str]:
    """Return the groups of the settings ``name`` and each one's entry in their list of defaults.

    An entry ``train/data@data`` is a folder of one command's own, which another's plain setting ``data``
    is not confused with.
    """
    from omegaconf import OmegaConf

    stated: Any = OmegaConf.create(files(_MODULE).joinpath(f"{name}.yaml").read_text(encoding="utf-8"))
    entries = [str(entry) for default in stated.defaults if default != "_self_" for entry in default]
    return {entry.rpartition("@")[2]: entry for entry in entries}


def _full_name(override: str, groups: Mapping[str, str]) -> str:
    name, equals, value = override.partition("=")
    return f"{groups.get(name, name)}{equals}{value}"


def _chooses(override: str, groups: Mapping[str, str]) -> bool:
    """Tell whether an override chooses a group's file.

    Raises:
        UnknownNameError: If the group has no such file.
    """
    name, equals, value = override.partition("=")
    if not equals or name not in groups:
        return False
    choices = _choices(groups[name].partition("@")[0])
    if value not in choices:
        raise UnknownNameError.among(f"{name} setting", value, choices)
    return True


def _check(override: str, known: Mapping[str, Any], groups: Mapping[str, str]) -> None:
    """Refuse an override of nothing."""
    name, equals, _ = override.partition("=")
    if not equals:
        raise InvalidSettingError(f"expected overrides like seed=3, got '{override}'")
    if name.startswith(("+", "~", "hydra.")) or name in groups:
        return
    # A setting whose default is null, or a dictionary without entries, may be given entries of any name.
    above = known.get(name.rpartition(".")[0], known) if "." in name else known
    if name not in known and above not in (None, {}):
        raise UnknownNameError.among("setting", name, known)


def _check_types(known: Mapping[str, Any], chosen: Mapping[str, Any]) -> None:
    """Refuse a value of another type than the one that stands there; null stands for anything."""
    for name, value in chosen.items():
        default = known.get(name)
        if value is None or default is None or "???" in (value, default):
            continue
        types, words = next(kind for kind in _TYPES if isinstance(default, kind[0]))
        if not isinstance(value, types) or isinstance(value, bool) is not isinstance(default, bool):
            raise InvalidSettingError(f"expected {name} to be {words}, got {value}; it stands at {default}")


def _choices(folder: str) -> list[str]:
    return sorted(entry.name.removesuffix(".yaml") for entry in files(_MODULE).joinpath(folder).iterdir() if entry.name.endswith(".yaml"))


def _walk(settings: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        yield prefix + str(name), value
        if isinstance(value, dict):
            yield from _walk(value, f"{prefix}{name}.")
