"""``nnlqp-nas train``: train or fine-tune a predictor, judge it on networks it never saw, keep it with its card."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..core import InvalidSettingError, LatencyPredictor, UnsupportedError
from .complaints import Complaints
from .output import print_json, print_table
from .run_settings import compose_settings, group_choices, instantiate
from .training_bar import TrainingBar

if TYPE_CHECKING:
    from ..training import TrainingData
    from ..training.job import TrainingJob

HELP = """usage: nnlqp-nas train [--json] [SETTING=VALUE ...]

Train a predictor from scratch, or fine-tune one, and judge it on networks that it never saw.

  nnlqp-nas train                                                  the project's own predictor on the shipped rows
  nnlqp-nas train predictor=boosted_trees data=parquet data.path=rows.parquet
  nnlqp-nas train predictor=nnlp predictor.settings.n_epochs=500 data=folder data.path=dataset/multi_platform
  nnlqp-nas train data=database data.networks=my_models seeds=3 n_jobs=2
  nnlqp-nas train predictor=nnlp from_checkpoint=ckpt_best.pth predictor.settings.learning_rate=1e-4
  nnlqp-nas train output=runs/train/mine                           goes on where a run in that folder stopped

predictor=: {predictor}
data=: {data}

The folder of a run gets checkpoint.safetensors, which --predictor and load_predictor read, and card.json. A network is for
training, for choosing the epoch, for calibrating the intervals or for testing, whatever platforms it was measured on.

settings, as they stand:
"""
_FREE = ("output", "n_jobs", "device")
"""Settings that may differ where a run goes on."""

_PARTS = {"train": "to train on", "validation": "to choose the epoch", "calibration": "to calibrate", "test": "to test"}


def run(overrides: list[str]) -> int:
    """Run the training that the overrides describe and return the exit code."""
    if {"--help", "-h"} & set(overrides):
        _print_help()
        return 0
    as_json = "--json" in overrides
    overrides = [override for override in overrides if override != "--json"]
    settings = compose_settings("train", overrides)
    _check(settings)
    card, folder = _Training(settings, overrides).run()
    if as_json:
        print_json(card)
    else:
        _print(card, folder)
    return 0


class _Training:
    """One run of the command: its settings, its folder, and the trainings that it is made of."""

    def __init__(self, settings: Any, overrides: Sequence[str]) -> None:
        from ..training import SplitRule

        self.settings = settings
        self.rule = SplitRule(
            settings.test_share, settings.validation_share, settings.calibration_share, settings.split_seed, settings.folds
        )
        self.device = _device(settings.device)
        self.start = _start(settings, overrides)
        self.source = instantiate(settings.data, "data source")
        self.folder = Path(settings.output or f"runs/train/{datetime.now():%Y-%m-%d_%H-%M-%S}")

    def run(self) -> tuple[dict[str, Any], Path]:
        """Train everything, keep the best on validation, and write the card."""
        stated = self._stated()
        _check_same(self.folder / "settings.json", stated)
        complaints = Complaints()
        data = self.source.read(complaints)
        complaints.tell_rest()
        if data.test and self.rule.n_folds > 1:
            raise InvalidSettingError(f"expected folds=1 where the data says what is for testing, got folds={self.rule.n_folds}")
        for fold in range(self.rule.n_folds):
            self.rule.split(data, fold)
        _check_same(self.folder / "data.json", {"digest": data.digest})
        self._keep("settings.json", stated)
        self._keep("data.json", {"digest": data.digest})
        jobs = self._jobs()
        results = self._run_all(jobs, data)
        best = min(range(len(jobs)), key=lambda i: (results[i]["validation_mape"] or 0.0, i))
        _copy_whole(jobs[best].checkpoint, self.folder / "checkpoint.safetensors")
        card = self._card(data, results, best)
        self._keep("card.json", card)
        return card, self.folder

    def _jobs(self) -> list[TrainingJob]:
        from ..training.job import TrainingJob

        settings = self.settings
        return [
            TrainingJob(
                self.folder / "runs" / f"seed-{seed}-fold-{fold}",
                self.start,
                settings.from_checkpoint is None,
                self.rule,
                seed,
                fold,
                settings.patience,
                self.device,
            )
            for seed in range(settings.seed, settings.seed + settings.seeds)
            for fold in range(settings.folds)
        ]

    def _run_all(self, jobs: list[TrainingJob], data: TrainingData) -> list[dict[str, Any]]:
        from joblib import Parallel, delayed

        n_jobs = min(self.settings.n_jobs, len(jobs)) if self.settings.n_jobs > 0 else self.settings.n_jobs
        with TrainingBar(jobs):
            results: list[dict[str, Any]] = Parallel(n_jobs=n_jobs)(delayed(job.run)(data) for job in jobs)
        return results

    def _stated(self) -> dict[str, Any]:
        from omegaconf import OmegaConf

        stated: Any = OmegaConf.to_container(self.settings, resolve=True)
        return {name: value for name, value in stated.items() if name not in _FREE}

    def _keep(self, name: str, document: dict[str, Any]) -> None:
        draft = self.folder / f".{name}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            draft.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
            draft.replace(self.folder / name)
        except OSError as error:
            raise InvalidSettingError(
                f"expected to write into the folder {self.folder}, got: {error.strerror or error}; name another output"
            ) from error

    def _card(self, data: TrainingData, results: list[dict[str, Any]], best: int) -> dict[str, Any]:
        from importlib.metadata import version

        from ..backends import host_facts
        from ..training.judgement import over_runs

        rows = [
            {"platform": str(table.platform), "batch_size": table.batch_size, "domain": table.domain, "n": len(table)}
            for table in data.tables
        ]
        by = "the data itself" if data.test else f"network, seed {self.rule.seed}, fold {results[best]['fold']} of {self.rule.n_folds}"
        return {
            "predictor": self.start.name,
            "from_checkpoint": self.settings.from_checkpoint,
            "data": {"source": data.source, "digest": data.digest, "n_left_out": data.n_left_out, "rows": rows},
            "split": {"by": by, "networks": results[best]["networks"]},
            "seeds": sorted({result["seed"] for result in results}),
            "kept": {name: results[best][name] for name in ("seed", "fold", "epochs", "kept_epoch", "validation_mape")},
            "test": over_runs([result["errors"] for result in results]),
            "runs": results,
            "settings": self._stated(),
            "version": version("nnlqp-nas"),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "device": self.device,
            "machine": host_facts(),
        }


def _start(settings: Any, overrides: Sequence[str]) -> LatencyPredictor:
    """Return the predictor to train: untrained, or as a checkpoint has it with the settings that were given."""
    from dataclasses import replace

    from omegaconf import OmegaConf

    from ..api import load_predictor

    untrained = instantiate(settings.predictor, "predictor")
    if settings.from_checkpoint is None:
        return cast(LatencyPredictor, untrained)
    start: Any = load_predictor(settings.from_checkpoint)
    if type(start) is not type(untrained):
        raise UnsupportedError(
            f"expected a checkpoint of {untrained.name}, got one of {start.name}; choose its kind: predictor={start.name}"
        )
    choice = [override for override in overrides if override.startswith("predictor=")]
    plain: Any = OmegaConf.to_container(compose_settings("train", choice).predictor)
    given: Any = OmegaConf.to_container(settings.predictor)
    names = [name for name, value in given.get("settings", {}).items() if plain["settings"].get(name) != value]
    changed = {name: getattr(untrained.settings, name) for name in names}
    return cast(LatencyPredictor, replace(start, settings=replace(start.settings, **changed)) if changed else start)


def _device(name: Any) -> str:
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise InvalidSettingError(f"expected device to be auto, cpu, cuda or cuda:N, got {name}") from error
    if device.type not in ("cpu", "cuda"):
        raise InvalidSettingError(f"expected device to be auto, cpu, cuda or cuda:N, got {name}")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UnsupportedError(f"expected a GPU for device={name}, found {torch.cuda.device_count()} that PyTorch can use; set device=cpu")
    return str(device)


def _check(settings: Any) -> None:
    least = {"seed": 0, "split_seed": 0, "seeds": 1, "folds": 1, "patience": 1}
    for name, smallest in least.items():
        value = settings[name]
        if value is None and name == "patience":
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < smallest:
            raise InvalidSettingError(f"expected {name} to be a whole number >= {smallest}, got {value}")
    if not isinstance(settings.n_jobs, int) or (settings.n_jobs < 1 and settings.n_jobs != -1):
        raise InvalidSettingError(f"expected n_jobs to be a whole number >= 1, or -1, got {settings.n_jobs}")
    for name in ("test_share", "validation_share", "calibration_share"):
        value = settings[name]
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise InvalidSettingError(f"expected {name} to be a number, got {value}")


def _check_same(path: Path, stated: dict[str, Any]) -> None:
    """Accept a folder that is new, or whose run was told the same.

    Raises:
        InvalidSettingError: If it was told something else, or the file is damaged.
    """
    if not path.is_file():
        return
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
        other = next((name for name in {**before, **stated} if before.get(name) != json.loads(json.dumps(stated.get(name)))), None)
    except (OSError, ValueError, TypeError) as error:
        raise InvalidSettingError(f"expected what an earlier run wrote in {path}, got {error}; name another output") from error
    if other is not None:
        raise InvalidSettingError(
            f"expected {other} as the run in {path.parent} has it, {before.get(other)}, got {stated.get(other)}; name another output"
        )


def _copy_whole(source: Path, target: Path) -> None:
    draft = target.with_name(f".{target.name}")
    shutil.copyfile(source, draft)
    draft.replace(target)


def _print_help() -> None:
    from omegaconf import OmegaConf

    groups = {name: " ".join(choices) for name, choices in group_choices("train").items()}
    settings = OmegaConf.to_yaml(compose_settings("train", [])).splitlines()
    sys.stdout.write(HELP.format(**groups) + "".join(f"  {line}\n" for line in settings))


def _print(card: dict[str, Any], folder: Path) -> None:
    networks, kept = card["split"]["networks"], card["kept"]
    seeds = f"{len(card['seeds'])} seeds" if len(card["seeds"]) > 1 else f"seed {card['seeds'][0]}"
    validated = f", validation MAPE {kept['validation_mape']:.2f} %" if kept["validation_mape"] is not None else ""
    parts = ", ".join(f"{networks[part]} {does}" for part, does in _PARTS.items())
    sys.stdout.write(
        f"{card['predictor']} on {card['data']['source']}, {seeds}; networks: {parts}\n"
        f"kept: seed {kept['seed']}, epoch {kept['kept_epoch']} of {kept['epochs']}{validated}\n\n"
    )
    header = ["platform, test networks only", "n", "MAPE %", "Acc(10 %)", "Spearman", "coverage %", "extrapolating %"]
    columns = (("mape", 2), ("acc10", 1), ("spearman", 4), ("coverage", 1), ("extrapolating", 1))
    rows = [[platform, str(errors["n"]), *(_shown(errors, *column) for column in columns)] for platform, errors in card["test"].items()]
    print_table(header, rows)
    sys.stdout.write(f"\n{folder / 'checkpoint.safetensors'}\n{folder / 'card.json'}\n")


def _shown(errors: dict[str, Any], metric: str, n_digits: int) -> str:
    if errors[metric] is None:
        return "-"
    spread = errors.get(f"{metric}_std")
    return f"{errors[metric]:.{n_digits}f}" + ("" if spread is None else f" ± {spread:.{n_digits}f}")
