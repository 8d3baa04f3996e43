"""How fast networks are priced.

    python -m benchmarks.throughput [--quick] [--json] [--platform P] [--n N] [--n-files M] [--repeats K]

In one run, in turns, so that a drift of the machine falls on all alike:

* architectures priced a second through the public oracle, fresh ones in batches of N, end to end: lowering, key, database, prediction;
* NNLP's own pipeline on the same networks, as its demo runs it: one ONNX file after the other read, described, and priced by a
  network of the published size; and the same with all files of a repeat in one batch;
* an ONNX file answered by the oracle, warm, with weights in it and without;
* what it costs to measure a network in place of pricing it.

Figures are medians over the repeats.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from nnlqp_nas import load_oracle, load_space
from nnlqp_nas.core import Architecture, GraphView, LatencyOracle, LatencyPredictor, LatencyTable, Measurement, Platform, SearchSpace
from nnlqp_nas.core.plugins import BACKENDS, PREDICTORS, load_plugin
from nnlqp_nas.graphs import read_graph, to_onnx

from .record import record

TARGETS = {"nasbench201": 1000.0, "mobilenetv3": 500.0}
"""Architectures a second that are asked for, by space."""

LEAST_OVER_NNLP, MOST_FILE_MS, LEAST_OVER_MEASURING = 50.0, 50.0, 1000.0
N_WARM = 200


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that something takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def published_nnlp(space: SearchSpace, platform: Platform) -> LatencyPredictor:
    """Return NNLP in its published size; its weights are random, which takes as long, and like its checkpoints it knows no domain."""
    graph = space.graph(space.sample(np.random.default_rng(0)), platform.view)
    untrained: Any = load_plugin(PREDICTORS, "nnlp")().start_training([LatencyTable(platform, 1, [graph], np.ones(1))]).predictor()
    return replace(untrained, parts=tuple(replace(part, domains=()) for part in untrained.parts))


class SpaceRun:
    """The timings of one space, repeat by repeat.

    Args:
        space: Whose members are priced.
        oracle: Prices them.
        folder: For ONNX files.
    """

    def __init__(self, space: SearchSpace, oracle: LatencyOracle, folder: Path) -> None:
        self._space = space
        self._oracle = oracle
        self._folder = folder
        self._nnlp = published_nnlp(space, oracle.platform)
        self._rng = np.random.default_rng(123)
        self.priced_a_second: list[float] = []
        self.nnlp_a_second: list[float] = []
        self.nnlp_batched_a_second: list[float] = []
        self.file_ms: dict[bool, list[float]] = {False: [], True: []}
        self._oracle.query(self._draw(N_WARM))

    def repeat(self, n: int, n_files: int) -> None:
        """Price n fresh members, and some of them by the other ways."""
        members = self._draw(n)
        self.priced_a_second.append(n / timed(lambda: self._oracle.query(members)))
        files = self._write(members[:n_files], has_weights=False)
        self._price_by_nnlp(files[0])  # warm
        self.nnlp_a_second.append(n_files / timed(lambda: self._price_one_by_one_by_nnlp(files)))
        self.nnlp_batched_a_second.append(n_files / timed(lambda: self._price_together_by_nnlp(files)))
        for has_weights in (False, True):
            for file in self._write(self._draw(4), has_weights):
                self.file_ms[has_weights].append(1e3 * timed(lambda file=file: self._oracle.query([file])))  # type: ignore[misc]

    def summary(self) -> dict[str, Any]:
        """Return the medians and the spread of the first."""
        rate, nnlp = float(np.median(self.priced_a_second)), float(np.median(self.nnlp_a_second))
        return {
            "priced_a_second": round(rate, 1),
            "priced_a_second_least_and_most": [round(min(self.priced_a_second), 1), round(max(self.priced_a_second), 1)],
            "nnlp_a_second": round(nnlp, 2),
            "nnlp_batched_a_second": round(float(np.median(self.nnlp_batched_a_second)), 2),
            "times_nnlp": round(rate / nnlp, 1),
            "onnx_file_ms": round(float(np.median(self.file_ms[False])), 2),
            "onnx_file_with_weights_ms": round(float(np.median(self.file_ms[True])), 2),
        }

    def _draw(self, n: int) -> list[Architecture]:
        return [self._space.sample(self._rng) for _ in range(n)]

    def _write(self, members: Sequence[Architecture], has_weights: bool) -> list[Path]:
        files = []
        for i, member in enumerate(members):
            files.append(self._folder / f"{self._space.name}-{i}{'-weights' if has_weights else ''}.onnx")
            model = to_onnx(self._space.graph(member, GraphView.AS_WRITTEN), has_weights=has_weights)
            files[-1].write_bytes(model.SerializeToString())
        return files

    def _price_one_by_one_by_nnlp(self, files: Sequence[Path]) -> None:
        for file in files:
            self._price_by_nnlp(file)

    def _price_by_nnlp(self, file: Path) -> None:
        platform = self._oracle.platform
        self._nnlp.predict([read_graph(file, platform.view)], platform)

    def _price_together_by_nnlp(self, files: Sequence[Path]) -> None:
        platform = self._oracle.platform
        self._nnlp.predict([read_graph(file, platform.view) for file in files], platform)


def measuring_s(platform: Platform, n: int) -> float:
    """Return the median seconds that measuring a NAS-Bench-201 network takes here, with all that belongs to it."""
    space, rng = load_space("nasbench201"), np.random.default_rng(7)
    graphs = [space.graph(space.sample(rng), platform.view) for _ in range(n)]
    backend = load_plugin(BACKENDS, platform.software)(platform)
    seconds = []
    for graph in tqdm(graphs, desc="measure", file=sys.stderr, disable=None):
        answers: list[Any] = []
        seconds.append(timed(lambda graph=graph, answers=answers: answers.extend(backend.measure([graph]))))  # type: ignore[misc]
        if not isinstance(answers[0], Measurement):
            raise SystemExit(f"expected a network to run on {platform}, got ({answers[0].stage}) {answers[0].reason}")
    return float(np.median(seconds))


def run(platform: Platform, n: int, n_files: int, n_repeats: int, n_measured: int) -> dict[str, Any]:
    """Return all figures, and whether each reaches what is asked for."""
    with tempfile.TemporaryDirectory() as name:
        oracle = load_oracle(platform, policy="predict", database=Path(name) / "latency.sqlite", predictor="universal")
        runs = {space: SpaceRun(load_space(space), oracle, Path(name)) for space in TARGETS}
        for _ in tqdm(range(n_repeats), desc="repeats", file=sys.stderr, disable=None):
            for one in runs.values():
                one.repeat(n, n_files)
    spaces = {space: one.summary() for space, one in runs.items()}
    result: dict[str, Any] = {"spaces": spaces}
    reached = {f"{space}: >= {asked:g}/s": spaces[space]["priced_a_second"] >= asked for space, asked in TARGETS.items()}
    reached |= {f"{space}: >= {LEAST_OVER_NNLP:g} times NNLP": one["times_nnlp"] >= LEAST_OVER_NNLP for space, one in spaces.items()}
    reached |= {
        f"{space}: ONNX file < {MOST_FILE_MS:g} ms": one["onnx_file_with_weights_ms"] < MOST_FILE_MS for space, one in spaces.items()
    }
    if n_measured:
        seconds = measuring_s(platform, n_measured)
        times = seconds * spaces["nasbench201"]["priced_a_second"]
        result["measuring"] = {"seconds": round(seconds, 3), "times_pricing": round(times, 1)}
        reached[f"measuring >= {LEAST_OVER_MEASURING:g} times pricing"] = times >= LEAST_OVER_MEASURING
    return {**result, "reached": reached}


def print_figures(result: dict[str, Any]) -> None:
    """Print a line a figure."""
    for space, figures in result["spaces"].items():
        for name, value in figures.items():
            print(f"{space:14s} {name:32s} {value}")
    for name, value in result.get("measuring", {}).items():
        print(f"{'measuring':14s} {name:32s} {value}")
    for target, is_reached in result["reached"].items():
        print(f"{'reached' if is_reached else 'MISSED':14s} {target}")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="100 networks, 3 files, 1 repeat, 1 measurement; figures are not kept")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--platform", default="cpu-onnxruntime-fp32")
    parser.add_argument("--n", type=int, default=1000, help="networks a batch")
    parser.add_argument("--n-files", type=int, default=30, help="ONNX files a repeat")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--n-measured", type=int, default=5, help="networks to measure; 0 leaves measuring out")
    arguments = parser.parse_args()
    sizes = (100, 3, 1, min(1, arguments.n_measured)) if arguments.quick else ()
    n, n_files, n_repeats, n_measured = sizes or (arguments.n, arguments.n_files, arguments.repeats, arguments.n_measured)
    if min(n, n_files, n_repeats) < 1 or n_files > n or n_measured < 0:
        parser.error(f"expected counts above 0 and no more files than networks, got {n}, {n_files}, {n_repeats}")
    load_before = os.getloadavg()[0]
    result = run(Platform.parse(arguments.platform), n, n_files, n_repeats, n_measured)
    sizes_said = {"n": n, "n_files": n_files, "n_repeats": n_repeats, "n_measured": n_measured}
    result = {"platform": arguments.platform, **sizes_said, "load_average_before": load_before, **result}
    record("throughput", result, arguments.quick, arguments.json)
    if not arguments.json:
        print_figures(result)


if __name__ == "__main__":
    main()
