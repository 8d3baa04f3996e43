"""NNI's experiments of hyper-parameters under a latency budget: an example with ``nni.get_next_parameter()``.

``python -m benchmarks.nni_hpo`` starts an experiment of NNI's TPE over NAS-Bench-201; each trial is this
file again, with ``--trial``. NNI's manager listens on all interfaces while it runs; it is always stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nnlqp_nas
from nnlqp_nas.core import MeasurementFailure
from nnlqp_nas.quality import AccuracySurrogate
from nnlqp_nas.search.nni import as_hpo_search_space, constrained_metric, read_hpo_parameters


def run_trial(platform: str, budget_ms: float) -> None:
    """Price and rate the network that NNI proposes, and report it."""
    import nni

    space = nnlqp_nas.load_space("nasbench201")
    architecture = read_hpo_parameters(space, nni.get_next_parameter())
    answer = nnlqp_nas.load_oracle(platform, policy="predict").query([architecture])[0]
    if isinstance(answer, MeasurementFailure):
        raise SystemExit(answer.reason)
    latency_ms = answer.interval_ms[1] if answer.interval_ms else answer.latency_ms
    is_feasible = latency_ms <= budget_ms
    accuracy = float(AccuracySurrogate("cifar10").evaluate([architecture])[0]) if is_feasible else None
    nni.report_final_result({"default": constrained_metric(accuracy, latency_ms, budget_ms), "latency_ms": latency_ms})


def run_experiment(platform: str, budget_ms: float, n_trials: int, concurrency: int, folder: Path) -> dict[str, Any]:
    """Run the experiment and return its trials, the best first, and the seconds it took."""
    from nni.experiment import Experiment
    from nni.runtime.log import silence_stdout

    experiment = Experiment("local")
    silence_stdout()
    config = experiment.config
    config.trial_command = f"{sys.executable} -m benchmarks.nni_hpo --trial --platform {platform} --budget-ms {budget_ms}"
    config.trial_code_directory = Path(__file__).parents[1]
    config.search_space = as_hpo_search_space(nnlqp_nas.load_space("nasbench201"))
    config.tuner.name = "TPE"
    config.tuner.class_args = {"optimize_mode": "maximize", "seed": 0}
    config.max_trial_number, config.trial_concurrency = n_trials, concurrency
    config.experiment_working_directory = folder
    begin_s = time.perf_counter()
    try:
        experiment.start(port=_free_port())
        while experiment.get_status() not in ("DONE", "ERROR", "STOPPED"):
            time.sleep(0.5)
        jobs = experiment.list_trial_jobs()
    finally:
        experiment.stop()
    trials = [_read(job) for job in jobs if job.finalMetricData]
    return {
        "platform": platform,
        "budget_ms": budget_ms,
        "seconds": round(time.perf_counter() - begin_s, 1),
        "trials": sorted(trials, key=lambda trial: -trial["metric"]),
    }


def _read(job: Any) -> dict[str, Any]:
    told = job.finalMetricData[0].data
    return {"parameters": job.hyperParameters[0].parameters, "metric": told["default"], "latency_ms": told["latency_ms"]}


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    """Run a trial or the experiment."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trial", action="store_true", help="be one trial of an experiment")
    parser.add_argument("--platform", default="cpu-onnxruntime-fp32")
    parser.add_argument("--budget-ms", type=float, default=3.0)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--concurrency", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="the experiment's files; a temporary folder by default")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.trial:
        run_trial(arguments.platform, arguments.budget_ms)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or Path(scratch)
        figures = run_experiment(arguments.platform, arguments.budget_ms, arguments.trials, arguments.concurrency, folder)
    if arguments.json:
        print(json.dumps(figures, indent=2))
        return
    print(f"{len(figures['trials'])} trials in {figures['seconds']} s, budget {arguments.budget_ms:g} ms on {arguments.platform}")
    for trial in figures["trials"]:
        print(f"{trial['metric']:8.2f}  {trial['latency_ms']:8.3f} ms  {'-'.join(trial['parameters'].values())}")


if __name__ == "__main__":
    main()
