"""Fit the accuracy surrogates that are shipped, and write their cards.

    python -m benchmarks.fit_accuracy_surrogate DATA_FOLDER [SPACE ...] [--output FOLDER]

DATA_FOLDER holds the published tables that ``benchmarks/accuracy_tables.py`` names. They are read, never
copied: only what was learned is written.
"""

from __future__ import annotations

import argparse
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file
from scipy.stats import kendalltau, spearmanr

from benchmarks.accuracy_tables import TABLES, read_accuracies
from nnlqp_nas.quality import AccuracySurrogate
from nnlqp_nas.quality.surrogate import SCOPES, shipped_name

SEED = 0
MEMBERS, HIDDEN, EPOCHS, BATCH, DECAY, RATE = 5, 64, 60, 128, 0.1, 5e-3


def fit_member(x: torch.Tensor, z: torch.Tensor, seed: int) -> list[torch.Tensor]:
    """Train one perceptron and return its weights and biases, layer by layer."""
    torch.manual_seed(seed)
    sizes = (x.shape[1], HIDDEN, HIDDEN, z.shape[1])
    layers = [torch.nn.Linear(a, b) for a, b in pairwise(sizes)]
    net = torch.nn.Sequential(layers[0], torch.nn.SiLU(), layers[1], torch.nn.SiLU(), layers[2])
    n_steps = len(x) // BATCH
    optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=n_steps * EPOCHS)
    for _ in range(EPOCHS):
        order = torch.randperm(len(x))
        for step in range(n_steps):
            batch = order[step * BATCH : (step + 1) * BATCH]
            optimiser.zero_grad()
            torch.autograd.backward(torch.nn.functional.smooth_l1_loss(net(x[batch]), z[batch]))
            optimiser.step()
            schedule.step()
    return [tensor.detach() for layer in layers for tensor in (layer.weight.T, layer.bias)]


def fit(x: NDArray[np.float32], accuracy: NDArray[np.float64], headroom: tuple[float, ...]) -> dict[str, NDArray[np.float32]]:
    """Fit the ensemble on features of shape (n, features) and accuracies of shape (n, outputs)."""
    ceiling = np.minimum(accuracy.max(axis=0) + np.array(headroom), 100.0)
    score = -np.log(ceiling - accuracy)
    mean, std = score.mean(axis=0), score.std(axis=0)
    z = torch.tensor((score - mean) / std, dtype=torch.float32)
    members = [fit_member(torch.tensor(x), z, SEED + member) for member in range(MEMBERS)]
    names = ("weight_1", "bias_1", "weight_2", "bias_2", "weight_3", "bias_3")
    tensors = {name: np.stack([member[i].numpy() for member in members]) for i, name in enumerate(names)}
    tensors |= {"ceiling": ceiling, "mean": mean, "std": std}
    return {name: np.ascontiguousarray(tensor, dtype=np.float32) for name, tensor in tensors.items()}


def describe_errors(truth: NDArray[np.float64], predicted: NDArray[np.float64]) -> dict[str, float | int]:
    """Return rank correlations and mean absolute error, also among the best fifth by true accuracy."""
    best = truth >= np.quantile(truth, 0.8)
    return {
        "n": len(truth),
        "spearman": round(float(spearmanr(truth, predicted).statistic), 4),
        "kendall_tau": round(float(kendalltau(truth, predicted).statistic), 4),
        "mae_percent": round(float(np.abs(truth - predicted).mean()), 4),
        "spearman_best_fifth": round(float(spearmanr(truth[best], predicted[best]).statistic), 4),
        "mae_percent_best_fifth": round(float(np.abs(truth - predicted)[best].mean()), 4),
    }


def fit_space(space: str, data: Path, output: Path) -> dict[str, Any]:
    """Fit the surrogate of a space, write its weights and its card, and return the errors."""
    table, scope = TABLES[space], SCOPES[space]
    members, accuracy = read_accuracies(space, data)
    order = np.random.default_rng(SEED).permutation(len(members))
    fitted_on, rest = order[: table.n_fit], order[table.n_fit :]
    parts = {"validation": rest[: table.n_validation], "rest": rest[table.n_validation :]}
    x = scope.describe([members[i].code for i in fitted_on])
    path = output / f"{shipped_name(space)}.safetensors"
    save_file(fit(x, accuracy[fitted_on], table.headroom), path)
    errors: dict[str, Any] = {}
    for column, dataset in enumerate(scope.metrics):
        predicted = AccuracySurrogate(dataset, path, space).evaluate(members)
        errors[dataset] = {part: describe_errors(accuracy[at, column], predicted[at]) for part, at in parts.items()}
    card = {
        "what": table.what,
        "data": table.data,
        "split": f"numpy default_rng({SEED}).permutation of {len(members)} networks: {table.n_fit} to fit, {table.n_validation} to choose "
        "settings, the rest for the errors",
        "seed": SEED,
        "model": f"{MEMBERS} perceptrons {x.shape[1]}-{HIDDEN}-{HIDDEN}-{len(scope.metrics)} (SiLU), {EPOCHS} epochs of AdamW, "
        f"weight decay {DECAY}, peak rate {RATE}",
        "command": f"python -m benchmarks.fit_accuracy_surrogate DATA_FOLDER {space}",
        "errors": errors,
    }
    path.with_suffix(".json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    return errors


def main() -> None:
    """Fit what the command line names and print the errors."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="folder of the published tables")
    parser.add_argument("spaces", nargs="*", metavar="SPACE", help=f"among {', '.join(TABLES)}; all of them unless given")
    parser.add_argument("--output", type=Path, default=Path("nnlqp_nas/quality/surrogates"))
    settings = parser.parse_args()
    torch.set_num_threads(1)
    for space in settings.spaces or TABLES:
        print(json.dumps({space: fit_space(space, settings.data, settings.output)}, indent=2))


if __name__ == "__main__":
    main()
