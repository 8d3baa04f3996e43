"""``nnlqp-nas search -m``: many searches, from every combination of the settings given, in one table and picture."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core import InvalidSettingError, MissingExtraError, NnlqpError, UnknownNameError
from .output import milliseconds, print_json, print_table
from .run_settings import compose_settings, instantiate
from .search import check_settings, run_search

if TYPE_CHECKING:
    from ..report import SweepRow

_FLAGS = ("--json", "--multirun", "-m")
_RAY = "ray="
_JOB_FAILED = 1


@dataclass(frozen=True, slots=True)
class SweepJob:
    """One search of a sweep.

    Attributes:
        number: Its number, from 0.
        overrides: All its settings, as one search takes them.
        varied: Those that the sweep varies.
    """

    number: int
    overrides: tuple[str, ...]
    varied: dict[str, Any]


def run_sweep(arguments: list[str]) -> int:
    """Run the searches that ``nnlqp-nas search`` was asked for and return the exit code: 1 where one has no result."""
    sweep = [argument for argument in arguments if argument not in _FLAGS]
    of_hydra = [override for override in sweep if override.startswith(("hydra.", "hydra/"))]
    ray = next((override.removeprefix(_RAY) for override in sweep if override.startswith(_RAY)), None)
    output = next((override.partition("=")[2] for override in sweep if override.startswith("output=")), None)
    of_jobs = [override for override in sweep if override not in of_hydra and not override.startswith((_RAY, "output="))]
    jobs = expand_jobs(of_jobs)
    metrics = {_check_job(job) for job in jobs}
    folder = Path(output or f"runs/sweep/{datetime.now():%Y-%m-%d_%H-%M-%S}")
    rows = _run_with_hydra(jobs, of_jobs, of_hydra, folder) if ray is None else _run_with_ray(jobs, _read_workers(ray), folder)
    _report(rows, folder, metrics.pop() if len(metrics) == 1 else "quality", "--json" in arguments)
    return _JOB_FAILED if any(row.error is not None for row in rows) else 0


def expand_jobs(overrides: Sequence[str]) -> list[SweepJob]:
    """Return every combination of overrides such as ``budget_ms=10,20``, in the order in which Hydra numbers them.

    Raises:
        InvalidSettingError: If an override cannot be read, or no setting is given more than one value.
    """
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
        [combinations] = BasicSweeper.split_arguments(parsed, max_batch_size=None)
    except HydraException as error:
        raise InvalidSettingError(f"expected overrides like budget_ms=10,20, got: {str(error).splitlines()[0]}") from error
    names = [override.get_key_element() for override in parsed if override.is_sweep_override()]
    if not names:
        raise InvalidSettingError("expected a setting with several values, such as budget_ms=10,20, got none; leave -m out for one search")
    return [SweepJob(number, tuple(combination), _read_varied(combination, names)) for number, combination in enumerate(combinations)]


def run_job(settings: Any, number: int, varied: dict[str, Any], folder: str) -> SweepRow:
    """Run one search in its own folder; an error that the settings bring about is its result."""
    from ..report import SweepRow
    from ..search import SearchOutcome

    settings.output = folder
    try:
        outcome: SearchOutcome = run_search(settings)[0]
    except NnlqpError as error:
        reason = " ".join(str(error).split())
        return SweepRow(number, varied, Path(folder).name, _name_space(settings), str(settings.platform), settings.budget_ms, error=reason)
    return SweepRow.of(number, varied, Path(folder).name, outcome)


def _run_with_hydra(jobs: Sequence[SweepJob], overrides: Sequence[str], of_hydra: Sequence[str], folder: Path) -> list[SweepRow]:
    """Let Hydra launch the searches: one after the other, or by the launcher that ``hydra/launcher=`` names."""
    from hydra._internal.hydra import Hydra
    from hydra._internal.utils import create_config_search_path
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException

    GlobalHydra.instance().clear()
    try:
        hydra = Hydra.create_main_hydra2("search", create_config_search_path("pkg://nnlqp_nas.conf"))
        _check_launcher(of_hydra, hydra.config_loader.get_group_options("hydra/launcher"))
        settings = [f"hydra.sweep.dir={folder.absolute()}", "hydra.sweep.subdir=${hydra.job.num}"]
        settings += ["hydra/hydra_logging=none", "hydra/job_logging=none", *of_hydra]
        [returned] = hydra.multirun("search", _HydraJob(tuple(jobs)), [*overrides, *settings], with_log_configuration=False)
        return [one.return_value for one in returned]
    except HydraException as error:
        raise InvalidSettingError(f"expected settings of Hydra like hydra/launcher=joblib, got: {str(error).splitlines()[0]}") from error
    finally:
        GlobalHydra.instance().clear()


@dataclass(frozen=True)
class _HydraJob:
    """What Hydra calls for each search, in this process or another."""

    jobs: tuple[SweepJob, ...]

    def __call__(self, settings: Any) -> SweepRow:
        from hydra.core.hydra_config import HydraConfig

        job = self.jobs[int(HydraConfig.get().job.num)]
        return run_job(settings, job.number, job.varied, HydraConfig.get().runtime.output_dir)


def _run_with_ray(jobs: Sequence[SweepJob], n_workers: int, folder: Path) -> list[SweepRow]:
    """Run the searches on Ray through joblib: on the cluster at ``RAY_ADDRESS``, or on workers of this machine."""
    from joblib import Parallel, delayed, parallel_config

    ray = _start_ray(n_workers)
    try:
        with parallel_config(backend="ray", n_jobs=n_workers):
            calls = (
                delayed(_run_composed)(job.overrides, job.number, job.varied, str(folder.absolute() / str(job.number))) for job in jobs
            )
            rows: list[SweepRow] = Parallel()(calls)
    finally:
        ray.shutdown()
    return rows


def _run_composed(overrides: tuple[str, ...], number: int, varied: dict[str, Any], folder: str) -> SweepRow:
    return run_job(compose_settings("search", overrides), number, varied, folder)


def _start_ray(n_workers: int) -> Any:
    import os

    try:
        import ray
        from ray.util.joblib import register_ray
    except ImportError as error:
        raise MissingExtraError.for_extra("ray", "ray") from error
    # A cluster says itself what it has; on this machine Ray starts as many workers as it has processors.
    n_cpus = None if os.environ.get("RAY_ADDRESS") else n_workers
    # What its workers write would come on standard output, where the table or the document stands.
    ray.init(num_cpus=n_cpus, include_dashboard=False, logging_level="warning", log_to_driver=False)
    register_ray()
    return ray


def _read_workers(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise InvalidSettingError(f"expected ray to be a number of workers >= 1, got {text}")
    return int(text)


def _check_launcher(of_hydra: Sequence[str], known: Sequence[str]) -> None:
    name = next((override.partition("=")[2] for override in of_hydra if override.startswith("hydra/launcher=")), "basic")
    if name not in known:
        if name == "joblib":
            raise MissingExtraError.for_extra("hydra-joblib-launcher", "sweeps")
        raise UnknownNameError.among("launcher", name, known)


def _read_varied(combination: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parsed = OverridesParser.create().parse_overrides(list(combination))
    return {override.get_key_element(): override.value() for override in parsed if override.get_key_element() in names}


def _name_space(settings: Any) -> str:
    return str(settings.space.get("_target_", "")).rpartition(".")[2]


def _check_job(job: SweepJob) -> str:
    """Refuse a search that could not begin, before any of them does, and return what its quality is."""
    settings = compose_settings("search", job.overrides)
    check_settings(settings)
    return str(instantiate(settings.quality, "quality").metric)


def _report(rows: Sequence[SweepRow], folder: Path, metric: str, as_json: bool) -> None:
    from ..report import write_sweep

    ordered = sorted(rows, key=lambda row: row.job)
    folder.mkdir(parents=True, exist_ok=True)
    write_sweep(folder, ordered, metric)
    if as_json:
        print_json([row.to_json() for row in ordered])
        return
    names = list(dict.fromkeys(name for row in ordered for name in row.varied if name != "budget_ms"))
    print_table([*names, "budget ms", "accuracy", "predicted ms", "measured ms", "within budget"], [_cells(row, names) for row in ordered])
    sys.stdout.write(f"\n{folder / 'sweep.html'}\n{folder / 'sweep.png'}\n")
    for row in ordered:
        if row.error is not None:
            sys.stderr.write(f"nnlqp-nas: search {row.job} has no result: {row.error}\n")


def _cells(row: SweepRow, names: Sequence[str]) -> list[str]:
    def number(value: float | None) -> str:
        return "-" if value is None else milliseconds(value)

    accuracy = "-" if row.accuracy is None else f"{row.accuracy:.2f}"
    shares = f"{row.n_within} of {row.n_verified}" if row.n_verified else "-"
    own = [str(row.varied.get(name, "")) for name in names]
    return [*own, number(row.budget_ms), accuracy, number(row.predicted_ms), number(row.measured_ms), shares]
