"""What it costs to learn this machine, and how right one is then: measured live, wall-clock against error.

    python -m benchmarks.live_adaptation                                   # PyTorch, which the shipped predictor does not know
    python -m benchmarks.live_adaptation --platform cpu-onnxruntime-int8 --core 1

Chooses networks of NAS-Bench-201 as ``adapt`` does, measures them one after the other as it does, and adapts the pretrained
predictor to the first 5, 10, 20 and 50 of them; judged on fresh random networks, measured under the default protocol, which takes
longer, and never sampled. Measurements that were disturbed throughout teach only where too few others are left, and judge nothing.
Seconds are the wall-clock of measuring the samples and of learning from them, without the start of the command. A platform that the
pretraining knew is refused: that would be no adaptation.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from tqdm import tqdm

from benchmarks.record import record
from nnlqp_nas import load_predictor, load_space
from nnlqp_nas.backends import undisturbed
from nnlqp_nas.commands.adapt import LEAST_SAMPLES
from nnlqp_nas.commands.run_settings import compose_settings
from nnlqp_nas.core import Measurement, MeasurementError, ModelGraph, TimingProtocol
from nnlqp_nas.measurable import available_backend
from nnlqp_nas.platform_status import resolve_platform
from nnlqp_nas.transfer import choose_rows

Times = NDArray[np.float64]
PICTURE = Path(__file__).parents[1] / "docs" / "live_adaptation.png"
N_CANDIDATES = 1000


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--platform", default="cpu-torch-fp32", help="platform of this machine that the predictor does not know")
    parser.add_argument("--predictor", default="universal", help="name or file of the pretrained predictor")
    parser.add_argument("--samples", type=int, nargs="+", default=[5, 10, 20, 50])
    parser.add_argument("--n-fresh", type=int, default=60)
    parser.add_argument("--core", type=int, help="core to measure on (default: any)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="5 and 10 samples, 10 fresh networks; figures are not kept")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.samples, arguments.n_fresh = [5, 10], 10
    result = judge(arguments)
    record("live_adaptation", result, arguments.quick, arguments.json)
    for n, row in result["samples"].items():
        cost = f"{row['measure_s']:6.1f} s + {row['learn_s']:4.1f} s"
        error = (
            f"MAPE {row['mape']:5.2f} %  Acc(10 %) {row['acc10']:5.1f} %  Spearman {row['spearman']:.4f}  coverage {row['coverage']:.2f}"
        )
        print(f"{n:>3} samples  {cost}  {error}", file=sys.stderr)
    if not arguments.quick:
        draw(result, PICTURE)


def judge(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure, adapt to ever more samples, and return the errors on fresh networks with the seconds it took."""
    base = load_predictor(arguments.predictor)
    platform = resolve_platform(arguments.platform)
    if platform in base.platforms:
        raise SystemExit(f"expected a platform that {arguments.predictor} does not know, got {platform}; name another with --platform")
    backend: Any = available_backend(platform)
    backend.cores = None if arguments.core is None else [arguments.core]
    pool = _draw(arguments.n_fresh + N_CANDIDATES, platform.view, arguments.seed)
    fresh, candidates = pool[: arguments.n_fresh], pool[arguments.n_fresh :]
    plain: Any = base.adapt(platform, [], [])
    order = choose_rows(plain.transfer_features(candidates, platform), max(arguments.samples))
    support = [candidates[i] for i in order]
    protocol = TimingProtocol(**dict(compose_settings("adapt", []).protocol.items()))
    support_ms, seconds, is_calm = _measure(backend, support, protocol)
    truth, _, is_fresh_calm = _measure(backend, fresh, TimingProtocol())
    fresh, truth = [graph for graph, is_one in zip(fresh, is_fresh_calm, strict=True) if is_one], truth[is_fresh_calm]
    found: dict[str, Any] = {}
    for n in arguments.samples:
        begin_s = time.perf_counter()
        learned = np.flatnonzero(is_calm[:n]) if is_calm[:n].sum() >= max(LEAST_SAMPLES, n // 2) else np.arange(n)
        adapted = base.adapt(platform, [support[i] for i in learned], support_ms[learned])
        learn_s = time.perf_counter() - begin_s
        answer = adapted.predict(fresh, platform)
        relative = np.abs(answer.latency_ms / truth - 1.0)
        found[str(n)] = {
            "n_learned": len(learned),
            "measure_s": round(float(seconds[:n].sum()), 2),
            "learn_s": round(learn_s, 2),
            "mape": round(100.0 * float(relative.mean()), 3),
            "acc10": 100.0 * float((relative <= 0.1).mean()),
            "spearman": round(float(spearmanr(answer.latency_ms, truth)[0]), 4),
            "coverage": float(((answer.low_ms <= truth) & (truth <= answer.high_ms)).mean()),
        }
    setting: dict[str, Any] = {"platform": str(platform), "predictor": arguments.predictor, "seed": arguments.seed, "n_fresh": len(fresh)}
    setting |= {"n_disturbed": int((~is_calm).sum()), "n_fresh_disturbed": int((~is_fresh_calm).sum())}
    return {**setting, "host": backend.host, "median_ms": float(np.median(truth)), "samples": found}


def _draw(n: int, view: Any, seed: int) -> list[ModelGraph]:
    """Return n distinct networks that do not reduce to nothing."""
    space, rng = load_space("nasbench201"), np.random.default_rng([seed, 2026])
    drawn: dict[str, ModelGraph] = {}
    while len(drawn) < n:
        graph = space.graph(space.sample(rng), view)
        if len(graph) > 10:
            drawn[graph.key] = graph
    return list(drawn.values())


def _measure(backend: Any, graphs: Sequence[ModelGraph], protocol: TimingProtocol) -> tuple[Times, Times, NDArray[np.bool_]]:
    """Return milliseconds, the seconds that each measurement took, and which nothing disturbed throughout."""
    ends = [time.perf_counter()]
    with tqdm(total=len(graphs), desc=str(backend.platform), file=sys.stderr, disable=None) as bar:

        def note(_: object) -> None:
            ends.append(time.perf_counter())
            bar.update()

        answers = backend.measure(graphs, protocol, on_result=note)
    good = [answer for answer in answers if isinstance(answer, Measurement)]
    if len(good) < len(answers):
        raise MeasurementError(f"expected every network to be measured, got {len(answers) - len(good)} failures on {backend.platform}")
    return np.array([answer.latency_ms for answer in good]), np.diff(ends), np.array(undisturbed(good))


def draw(result: dict[str, Any], path: Path) -> None:
    """Draw error over wall-clock, a point for each number of samples, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.8), dpi=150, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    rows = result["samples"]
    seconds = [row["measure_s"] + row["learn_s"] for row in rows.values()]
    axes.plot(seconds, [row["mape"] for row in rows.values()], "o-", color="#1f4e9c")
    for n, at, row in zip(rows, seconds, rows.values(), strict=True):
        axes.annotate(f"{n} samples", (at, row["mape"]), textcoords="offset points", xytext=(6, 5), fontsize=8)
    axes.axvline(60.0, color="#c0392b", linewidth=1, linestyle="--", label="a minute")
    axes.set_xlabel("wall-clock of measuring and learning, s")
    axes.set_ylabel(f"MAPE on {result['n_fresh']} fresh networks, %")
    axes.set_title(f"NAS-Bench-201 on {result['platform']}, measured live", fontsize=10)
    axes.set_ylim(0, 1.15 * max(row["mape"] for row in rows.values()))
    axes.set_xlim(0, 1.15 * max(*seconds, 60.0))
    axes.grid(color="#e5e8ec", linewidth=0.8)
    axes.legend(frameon=False, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


if __name__ == "__main__":
    main()
