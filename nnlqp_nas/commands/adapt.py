"""``nnlqp-nas adapt``: choose a few networks, have them measured, learn the platform, keep it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core import (
    Architecture,
    InvalidSettingError,
    LatencyPredictor,
    Measurement,
    MeasurementError,
    ModelGraph,
    NnlqpError,
    Platform,
    SearchSpace,
    TimingProtocol,
    UnknownPlatformError,
)
from .output import milliseconds, print_json
from .run_settings import compose_settings, instantiate

if TYPE_CHECKING:
    from ..transfer import Refit

HELP = """usage: nnlqp-nas adapt [--json] [SETTING=VALUE ...]

Learn a platform from about twenty measurements. Every command knows it from then on.

  nnlqp-nas adapt                                        measures 20 NAS-Bench-201 networks on this machine's CPU
  nnlqp-nas adapt platform=my-board space=mobilenetv3    writes 20 networks and a table to fill in, to measure elsewhere
  nnlqp-nas adapt platform=my-board space=mobilenetv3 table=runs/adapt/my-board-own-fp32/latencies.csv

settings, as they stand:
"""
LEAST_SAMPLES = 3
_OWN_SOFTWARE, _OWN_PRECISION = "own", "fp32"
_FAR = 30.0
"""A latency so many times beyond what is plausible is in another unit, most likely."""


def run(overrides: list[str]) -> int:
    """Adapt as the overrides describe and return the exit code."""
    if {"--help", "-h"} & set(overrides):
        from omegaconf import OmegaConf

        sys.stdout.write(HELP + "".join(f"  {line}\n" for line in OmegaConf.to_yaml(compose_settings("adapt", [])).splitlines()))
        return 0
    settings = compose_settings("adapt", [override for override in overrides if override != "--json"])
    _check(settings)
    document = _Adaptation(settings).run()
    if "--json" in overrides:
        print_json(document)
    else:
        _print(document)
    return 0


class _Adaptation:
    """One run of the command: its parts, and where things are kept."""

    def __init__(self, settings: Any) -> None:
        from ..checkpoints import load_adaptable

        self.settings = settings
        self.space: SearchSpace = instantiate(settings.space, "space")
        self.base = load_adaptable(settings.predictor)
        self.platform = _find_platform(settings.platform, self.base)
        self.batch_size: int = settings.batch_size

    def run(self) -> dict[str, Any]:
        """Measure, or read, and learn; or write what is to be measured."""
        n_left_out = 0
        if self.settings.table is not None:
            graphs, latency_ms = self._read(Path(self.settings.table))
        elif self._is_measurable():
            graphs, latency_ms, n_left_out = self._measure(self._choose())
        else:
            return self._write(self._choose())
        return {**self._learn(graphs, np.array(latency_ms)), "n_left_out": n_left_out}

    def _choose(self) -> list[Architecture]:
        from ..transfer import DescribingPredictor, describe_graphs, select_support_set

        plain = self.base.adapt(self.platform, [], [], self.batch_size)

        def describe(graphs: Sequence[ModelGraph]) -> Any:
            if isinstance(plain, DescribingPredictor):
                return plain.transfer_features(graphs, self.platform, self.batch_size)
            return describe_graphs(graphs, self.batch_size)

        return select_support_set(self.space, self.settings.n_samples, self.settings.seed, describe=describe, view=self.platform.view)

    def _is_measurable(self) -> bool:
        from ..measurable import available_backend

        try:
            available_backend(self.platform)
        except NnlqpError:
            return False
        return True

    def _measure(self, chosen: Sequence[Architecture]) -> tuple[list[ModelGraph], list[float], int]:
        """Return networks, milliseconds, and how many further ones were measured that something disturbed throughout.

        Those teach only where too few others are left: their times may be half as long again.
        """
        from tqdm import tqdm

        from ..backends import undisturbed
        from ..database import open_database
        from ..measurable import available_backend
        from ..oracles import CachedOracle, MeasuredOracle

        protocol = TimingProtocol(**dict(self.settings.protocol.items()))
        backend = available_backend(self.platform)
        graphs = [self.space.graph(member, self.platform.view) for member in chosen]
        with closing(open_database(self.settings.database)) as database, tqdm(total=len(graphs), desc="measure", file=sys.stderr) as bar:
            oracle = CachedOracle(MeasuredOracle(backend, protocol), database, backend.host)
            answers = oracle.query(graphs, self.batch_size, lambda _: bar.update())
        good = [(graph, answer) for graph, answer in zip(graphs, answers, strict=True) if isinstance(answer, Measurement)]
        if len(good) < max(LEAST_SAMPLES, len(graphs) // 2):
            reason = next(answer.reason for answer in answers if not isinstance(answer, Measurement))
            raise MeasurementError(f"expected {len(graphs)} networks to be measured on {self.platform}, got {len(good)}: {reason}")
        calm = [pair for pair, is_calm in zip(good, undisturbed([answer for _, answer in good]), strict=True) if is_calm]
        if len(calm) < max(LEAST_SAMPLES, len(graphs) // 2):
            sys.stderr.write(
                f"nnlqp-nas: warning: {len(good) - len(calm)} of {len(good)} measurements were disturbed throughout, by a neighbour on the "
                "core or another process; where the error is too large, measure again when it is quiet: database=another.sqlite\n"
            )
            calm = good
        return [graph for graph, _ in calm], [answer.latency_ms for _, answer in calm], len(good) - len(calm)

    def _read(self, path: Path) -> tuple[Sequence[ModelGraph], Sequence[float]]:
        from ..datasets.sample_table import SampleTable

        table = SampleTable.read(path, self.space, self.platform.view)
        for warning in _suspicions(self.base, table.graphs, np.array(table.latency_ms), table.lines, self.batch_size):
            sys.stderr.write(f"nnlqp-nas: warning: {warning}\n")
        return table.graphs, table.latency_ms

    def _write(self, chosen: Sequence[Architecture]) -> dict[str, Any]:
        from ..datasets.sample_table import write_samples

        folder = Path(self.settings.output or f"runs/adapt/{self.platform}")
        table = write_samples(folder, self.space, chosen, self.platform.view, self.batch_size)
        return {"platform": str(self.platform), "n_samples": len(chosen), "table": str(table), "checkpoint": None}

    def _learn(self, graphs: Sequence[ModelGraph], latency_ms: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, Any]:
        from ..checkpoints import ADAPTED, keep_predictor
        from ..transfer import SampleReport

        predictor = self.base.adapt(self.platform, graphs, latency_ms, self.batch_size)
        report = SampleReport.of(_refit(self.base, predictor, self.platform, graphs, latency_ms, self.batch_size), latency_ms)
        named = self.settings.predictor
        name = self.settings.name or (ADAPTED if named is None else f"{Path(named).stem}-adapted")
        path = keep_predictor(predictor, name)
        return {"platform": str(self.platform), **report.to_json(), "name": name, "is_default": name == ADAPTED, "checkpoint": str(path)}


def _refit(
    base: LatencyPredictor,
    adapted: LatencyPredictor,
    platform: Platform,
    graphs: Sequence[ModelGraph],
    latency_ms: np.ndarray[Any, np.dtype[np.float64]],
    batch_size: int,
) -> Refit:
    """Return what learns from some of the networks and predicts others."""
    from ..transfer import DescribingPredictor, FewShotModel, take

    if isinstance(adapted, DescribingPredictor):
        # The features stay as they are: only the fit is made again, without the intervals that take most of the time.
        features = adapted.transfer_features(graphs, platform, batch_size)
        return lambda kept, held: np.exp(FewShotModel.fit(take(features, kept), latency_ms[kept], False).predict(take(features, held))[0])

    def learn(kept: Any, held: Any) -> Any:
        again = base.adapt(platform, [graphs[i] for i in kept], latency_ms[kept], batch_size)
        return again.predict([graphs[i] for i in held], platform, batch_size).latency_ms

    return learn


def _find_platform(text: str, base: LatencyPredictor) -> Platform:
    """Return the platform that is known by this name, or a new one of it."""
    from ..platform_status import known_platforms, resolve_platform

    try:
        return resolve_platform(text, base)
    except UnknownPlatformError:
        pass
    try:
        return Platform.parse(text)
    except InvalidSettingError as error:
        same = [str(platform) for platform in known_platforms(base) if platform.hardware.lower() == text.lower()]
        if same:
            raise InvalidSettingError(f"expected one platform, got '{text}', which may be {', '.join(same)}") from error
        return Platform(text, _OWN_SOFTWARE, _OWN_PRECISION)


def _suspicions(
    base: LatencyPredictor,
    graphs: Sequence[ModelGraph],
    latency_ms: np.ndarray[Any, np.dtype[np.float64]],
    lines: Sequence[int],
    batch_size: int,
) -> list[str]:
    """Return what makes the unit of the latencies doubtful, compared with all platforms that the predictor knows."""
    if not base.platforms:
        return []
    known = np.stack([base.predict(graphs, platform, batch_size).latency_ms for platform in base.platforms])
    ratio = latency_ms / np.exp(np.log(known).mean(0))
    typical = float(np.median(ratio))
    said = []
    if np.median(latency_ms / known.min(0)) < 1.0 / _FAR:
        said.append(f"latencies are {_FAR:g} times below those of any known platform; are they in seconds? expected milliseconds")
    if np.median(latency_ms / known.max(0)) > _FAR:
        said.append(f"latencies are {_FAR:g} times above those of any known platform; are they in microseconds? expected milliseconds")
    for line, milli, one in zip(lines, latency_ms, ratio, strict=True):
        if not 1.0 / _FAR < one / typical < _FAR:
            said.append(
                f"line {line}: {milli:g} ms is {max(one / typical, typical / one):.0f} times off the other rows; is it in another unit?"
            )
    return said


def _check(settings: Any) -> None:
    for name, least in (("n_samples", LEAST_SAMPLES), ("batch_size", 1), ("seed", 0)):
        value = settings[name]
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise InvalidSettingError(f"expected {name} to be a whole number >= {least}, got {value}")
    for name in ("platform", "table", "predictor", "name", "database", "output"):
        value = settings[name]
        if (value is not None and not isinstance(value, str)) or value == "" or (name == "platform" and value is None):
            raise InvalidSettingError(f"expected {name} to be a text, got {value!r}")


def _print(document: dict[str, Any]) -> None:
    platform = document["platform"]
    if document["checkpoint"] is None:
        table = document["table"]
        sys.stdout.write(
            f"{document['n_samples']} networks to measure on {platform}: {Path(table).parent}\n"
            f"fill in the column latency_ms (milliseconds for the whole batch) of {table}, then:\n"
            f"  nnlqp-nas adapt platform={platform} table={table}   with the same space\n"
        )
        return
    error = " .. ".join(milliseconds(end) for end in document["mape_interval"])
    rank = " .. ".join(f"{end:.2f}" for end in document["spearman_interval"])
    more = next(key for key in document if key.startswith("mape_with_"))
    left_out = f" ({document['n_left_out']} more were disturbed while they were measured)" if document["n_left_out"] else ""
    how = "every command uses it from now on" if document["is_default"] else f"use it with --predictor {document['name']}"
    sys.stdout.write(
        f"{platform} learned from {document['n_samples']} networks{left_out}; on those held out of five folds:\n"
        f"  mean error        {milliseconds(document['mape'])} % (90 % interval {error})\n"
        f"  rank correlation  {document['spearman']:.2f} ({rank})\n"
        f"  ten more samples would probably bring the error to {milliseconds(document[more])} %\n"
        f"{document['checkpoint']}: {how}\n"
    )
