"""Fit the surrogate of NAS-Bench-201 accuracy that is shipped, and write its card.

    python -m benchmarks.fit_accuracy_surrogate DATA_FOLDER [--output FOLDER]

DATA_FOLDER holds nasbench201_accuracy_200ep.parquet: cell strings and test accuracies after 200
epochs (mean over seeds). The tables are read, never copied: only what was learned is written.
"""

from __future__ import annotations

import argparse
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pyarrow import parquet
from safetensors.numpy import save_file
from scipy.stats import kendalltau, spearmanr

from nnlqp_nas import load_space
from nnlqp_nas.core import Architecture
from nnlqp_nas.quality import AccuracySurrogate
from nnlqp_nas.quality.cell_features import describe_cells
from nnlqp_nas.quality.surrogate import DATASETS, SHIPPED

SEED, N_FIT, N_VALIDATION = 0, 4500, 500
MEMBERS, HIDDEN, EPOCHS, BATCH, DECAY, RATE = 5, 64, 60, 128, 0.1, 5e-3
HEADROOM = np.array([1.0, 4.0, 5.0])


def read_table(folder: Path) -> tuple[list[Architecture], NDArray[np.float64]]:
    """Return the cells and their accuracies, float64, shape (15625, 3), percent."""
    columns = [f"{dataset}_test_200ep" for dataset in DATASETS]
    table = parquet.read_table(folder / "nasbench201_accuracy_200ep.parquet", columns=["arch_str", *columns]).to_pydict()
    space = load_space("nasbench201")
    return [space.decode(cell) for cell in table["arch_str"]], np.array([table[column] for column in columns]).T


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


def fit(x: NDArray[np.float32], accuracy: NDArray[np.float64]) -> dict[str, NDArray[np.float32]]:
    """Fit the ensemble on features of shape (n, 445) and accuracies of shape (n, 3)."""
    ceiling = np.minimum(accuracy.max(axis=0) + HEADROOM, 100.0)
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


def main() -> None:
    """Fit, write the weights and the card, print the errors."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="folder of the published tables")
    parser.add_argument("--output", type=Path, default=Path("nnlqp_nas/quality/surrogates"))
    settings = parser.parse_args()
    torch.set_num_threads(1)
    cells, accuracy = read_table(settings.data)
    order = np.random.default_rng(SEED).permutation(len(cells))
    parts = {"validation": order[N_FIT : N_FIT + N_VALIDATION], "rest": order[N_FIT + N_VALIDATION :]}
    fitted_on = order[:N_FIT]
    path = settings.output / f"{SHIPPED}.safetensors"
    save_file(fit(describe_cells([cells[i].code for i in fitted_on]), accuracy[fitted_on]), path)
    errors: dict[str, dict[str, dict[str, float | int]]] = {}
    for column, dataset in enumerate(DATASETS):
        predicted = AccuracySurrogate(dataset, path).evaluate(cells)
        errors[dataset] = {part: describe_errors(accuracy[at, column], predicted[at]) for part, at in parts.items()}
    card = {
        "what": "NAS-Bench-201 test accuracy after 200 epochs (mean over seeds), predicted from the cell",
        "data": "NATS-Bench topology space (Dong et al., arXiv 2009.00437); the table itself is not shipped",
        "split": f"numpy default_rng({SEED}).permutation: {N_FIT} cells to fit, {N_VALIDATION} to choose settings, the rest for the errors",
        "seed": SEED,
        "model": f"{MEMBERS} perceptrons 445-{HIDDEN}-{HIDDEN}-3 (SiLU), {EPOCHS} epochs of AdamW, weight decay {DECAY}, peak rate {RATE}",
        "command": "python -m benchmarks.fit_accuracy_surrogate DATA_FOLDER",
        "errors": errors,
    }
    path.with_suffix(".json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(errors, indent=2))


if __name__ == "__main__":
    main()
