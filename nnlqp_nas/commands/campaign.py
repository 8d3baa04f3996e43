"""``nnlqp-nas campaign``: measure families of networks on platforms, into parquet and the database."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core import InvalidSettingError, MeasurementBackend
from .output import print_json, print_table
from .run_settings import compose_settings

if TYPE_CHECKING:
    from ..backends.artefacts import Artefacts
    from ..datasets.campaign import Campaign
    from ..datasets.latency_row import LatencyRow
    from ..datasets.members import Member

HELP = """usage: nnlqp-nas campaign [--json] [SETTING=VALUE ...]

Measure many networks on platforms of this machine; kill it at any time, the same command with output= goes on.

  nnlqp-nas campaign campaign=small                            a first look: some minutes
  nnlqp-nas campaign platforms=[cpu-onnxruntime-fp32,cpu-onnxruntime-int8] output=runs/campaign/mine cores=[1]
  nnlqp-nas campaign campaign.resnet=200 campaign.vit=0        other numbers of networks
  nnlqp-nas dataset info runs/campaign/mine                    what it holds so far

settings, as they stand:
"""
_TWO_WIDTHS = ({"width": 1.0}, {"width": 1.2})
_SETTINGS: dict[str, tuple[dict[str, float], ...]] = {"mobilenetv3": _TWO_WIDTHS}
_REFERENCE_FAMILIES = ("mobilenetv2", "nasbench201", "resnet", "vit", "squeezenet", "alexnet")
_REFERENCE_SEED = 2022


def run(overrides: list[str]) -> int:
    """Run the campaign that the overrides describe and return the exit code."""
    if {"--help", "-h"} & set(overrides):
        from omegaconf import OmegaConf

        sys.stdout.write(HELP + "".join(f"  {line}\n" for line in OmegaConf.to_yaml(compose_settings("campaign", [])).splitlines()))
        return 0
    settings = compose_settings("campaign", [override for override in overrides if override != "--json"])
    _check(settings)
    folder = Path(settings.output or f"runs/campaign/{datetime.now():%Y-%m-%d_%H-%M-%S}")
    with _campaign(settings, folder) as campaign:
        try:
            rows = campaign.run()
        finally:
            _write(folder, campaign.rows())
    _remember(settings.database, rows)
    _report(rows, folder, "--json" in overrides)
    return 0


@contextmanager
def _campaign(settings: Any, folder: Path) -> Iterator[Campaign]:
    from ..backends.artefacts import Artefacts
    from ..datasets.campaign import PROTOCOL, Campaign

    protocol = replace(PROTOCOL, **dict(settings.protocol.items()))
    # Two views of a network, one for each platform in turn.
    with ExitStack() as held:
        artefacts = held.enter_context(Artefacts(n_kept=2))
        yield Campaign(
            _members(settings),
            [campaign_backend(name, settings.cores, artefacts, held) for name in settings.platforms],
            folder / "journal.jsonl",
            protocol,
            settings.batch_size,
            settings.seed,
            settings.n_rounds,
            reference_set(settings.n_references),
            settings.reference_every_s,
        )


def _members(settings: Any) -> list[Member]:
    from ..datasets.members import draw_members

    return [member for name, n in settings.campaign.items() for member in draw_members(name, n, settings.seed, _SETTINGS.get(name, ({},)))]


def reference_set(n: int) -> list[Member]:
    """Return the networks that tell a machine's drift, the same on every machine."""
    from ..datasets.members import draw_members

    return [draw_members(name, 1, _REFERENCE_SEED)[0] for name in _REFERENCE_FAMILIES[:n]]


def campaign_backend(name: str, cores: Any, artefacts: Artefacts, held: ExitStack) -> MeasurementBackend:
    """Return the backend of a platform, which shares files with others and forks from one interpreter while ``held`` is open."""
    from ..backends import IsolatedBackend
    from ..measurable import available_backend
    from ..platform_status import resolve_platform

    backend = available_backend(resolve_platform(name))
    if isinstance(backend, IsolatedBackend):
        backend.artefacts = artefacts
        backend.cores = list(cores) if cores is not None else None
        held.enter_context(backend.nursed())
    return backend


def _write(folder: Path, rows: list[LatencyRow]) -> None:
    from ..datasets.latency_row import write_rows

    for platform in {row.platform for row in rows}:
        write_rows(folder / f"{platform}.parquet", [row for row in rows if row.platform == platform])


def _remember(place: Any, rows: list[LatencyRow]) -> None:
    """Store the rows in the latency database, where they answer queries."""
    if place is False:
        return
    from itertools import chain

    from ..database import open_database
    from ..datasets.importing import add_missing
    from ..datasets.reading import result_of_row

    with closing(open_database(place)) as database:
        add_missing(map(result_of_row, rows), lambda one: chain(database.select(one), database.select_failures(one)), database.add)


def _report(rows: list[LatencyRow], folder: Path, as_json: bool) -> None:
    measured = Counter((row.platform, row.space) for row in rows if row.latency_ms is not None)
    failed = Counter((row.platform, row.space) for row in rows if row.latency_ms is None)
    if as_json:
        print_json({"output": str(folder), "rows": measured.total(), "failures": failed.total()})
        return
    lines = [
        [platform, space, str(measured[platform, space]), str(failed[platform, space])] for platform, space in sorted(measured | failed)
    ]
    print_table(["platform", "family", "rows", "failures"], lines)
    sys.stdout.write(f"\n{measured.total()} rows, and {failed.total()} failures with their reasons, in {folder}\n")


def _check(settings: Any) -> None:
    if not settings.platforms:
        raise InvalidSettingError("expected at least one platform, got none; name some: platforms=[cpu-onnxruntime-fp32]")
    least = {"batch_size": 1, "n_rounds": 1, "n_references": 0, "reference_every_s": 1, "seed": 0}
    for name, lowest in least.items():
        value = settings[name]
        if not isinstance(value, int) or isinstance(value, bool) or value < lowest:
            raise InvalidSettingError(f"expected {name} to be a whole number >= {lowest}, got {value}")
    for name, n in settings.campaign.items():
        if not isinstance(n, int) or isinstance(n, bool) or n < 0:
            raise InvalidSettingError(f"expected campaign.{name} to be a number of networks >= 0, got {n}")
    if settings.n_references > len(_REFERENCE_FAMILIES):
        raise InvalidSettingError(f"expected n_references <= {len(_REFERENCE_FAMILIES)}, got {settings.n_references}")
