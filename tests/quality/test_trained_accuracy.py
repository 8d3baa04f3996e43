from __future__ import annotations

import numpy as np
import pytest

from nnlqp_nas.core import Architecture, InvalidSettingError
from nnlqp_nas.quality import TrainedAccuracy
from nnlqp_nas.quality.digits import ArrayLoader, load_digits_batches
from nnlqp_nas.quality.trained_accuracy import as_inputs
from nnlqp_nas.search_spaces.nasbench201 import NasBench201
from nnlqp_nas.testing.quality_contract import QualityContract

torch = pytest.importorskip("torch")

SPACE = NasBench201(channels=4, n_cells=1, resolution=16)
GOOD, POOL, NOTHING = (Architecture("nasbench201", (digit,) * 6) for digit in (3, 4, 0))


def few_digits(n: int = 192) -> tuple[ArrayLoader, ArrayLoader]:
    training, test = load_digits_batches(64)
    return ArrayLoader(training.images[:n], training.labels[:n], 64, seed=0), ArrayLoader(test.images[:90], test.labels[:90], 90)


class TestTrainedAccuracy(QualityContract):
    @pytest.fixture
    def quality(self) -> TrainedAccuracy:
        return TrainedAccuracy(SPACE, n_epochs=2, loaders=few_digits)

    @pytest.fixture
    def members(self) -> list[Architecture]:
        return [GOOD, POOL, NOTHING]


def test_digits_are_split_by_class_and_every_image_is_there_once():
    training, test = load_digits_batches(100)
    assert (len(training.labels), len(test.labels)) == (1347, 450)
    assert np.bincount(test.labels).min() >= 43
    together = np.concatenate([training.images, test.images])
    assert together.shape == (1797, 1, 8, 8)
    assert abs(together.mean()) < 1e-6
    assert sum(len(labels) for _, labels in training) == 1347
    assert len(list(training)) == len(training) == 14


def test_the_order_differs_from_pass_to_pass_but_not_from_run_to_run():
    orders = [[labels.tolist() for loader in [few_digits()[0]] for _ in range(2) for _, labels in loader] for _ in range(2)]
    assert orders[0] == orders[1]
    assert orders[0][:3] != orders[0][3:]


def test_training_learns_what_an_untrained_network_does_not_know():
    accuracies = TrainedAccuracy(SPACE, n_epochs=4, learning_rate=0.02).evaluate([GOOD, NOTHING])
    assert accuracies[0] > 60
    assert accuracies[0] > accuracies[1] + 20


def test_a_loader_of_pytorch_will_do_and_images_are_made_to_fit():
    training, test = few_digits()
    sets = [torch.utils.data.TensorDataset(torch.from_numpy(part.images), torch.from_numpy(part.labels)) for part in (training, test)]

    def loaders():
        return torch.utils.data.DataLoader(sets[0], 32, shuffle=True), torch.utils.data.DataLoader(sets[1], 64)

    first, second = (TrainedAccuracy(SPACE, 1, loaders).evaluate([POOL])[0] for _ in range(2))
    assert first == second
    assert TrainedAccuracy(SPACE, 1, loaders).name == "trained:loaders_1"
    assert as_inputs(torch.zeros(5, 1, 8, 8), (1, 3, 16, 16)).shape == (5, 3, 16, 16)
    with pytest.raises(InvalidSettingError, match=r"expected images of shape \(n, 3, H, W\)"):
        as_inputs(torch.zeros(5, 2, 8, 8), (1, 3, 16, 16))


def test_pytorch_is_left_as_it_was():
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    TrainedAccuracy(SPACE, 1, few_digits).evaluate([POOL])
    assert torch.equal(state, torch.random.get_rng_state())
    assert torch.get_num_threads() == threads
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("loaders", "message"),
    [
        (lambda: ([], few_digits()[1]), "expected training batches, got none"),
        (lambda: (few_digits()[0], []), "expected test batches, got none"),
        (lambda: (iter(few_digits()[0]), few_digits()[1]), "with a length, such as a DataLoader or a list"),
    ],
)
def test_loaders_without_batches_are_refused(loaders, message):
    with pytest.raises(InvalidSettingError, match=message):
        TrainedAccuracy(SPACE, 1, loaders).evaluate([NOTHING])


def test_networks_need_an_output_for_each_class():
    with pytest.raises(
        InvalidSettingError, match=r"an output for each of 10 classes, got outputs of shape \(64, 4\); give its space n_classes"
    ):
        TrainedAccuracy(NasBench201(4, 4, 1, 16), 1, few_digits).evaluate([NOTHING])


@pytest.mark.parametrize("settings", [{"n_epochs": 0}, {"batch_size": 1}, {"learning_rate": 0.0}, {"learning_rate": float("nan")}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(InvalidSettingError, match="expected n_epochs >= 1"):
        TrainedAccuracy(SPACE, **settings)
