"""What every method of METHODS does with the least and the most that it can be given."""

import numpy as np
import pytest
import torch

from learner import checkpoint
from learner.data import ImageSet
from learner.errors import Cancelled, TooFewLabels
from learner.settings import resolve
from learner.training import METHODS, Task

SMALL = {
    "auto": {"features": "pca", "labels_per_class": 2},
    "propagate": {},
    "frozen": {"features": "pca", "steps": 20},
    "basic": {"steps": 3, "width": 1},
    "transfer": {"backbone": "test_resnet", "weights": "random", "size": 32, "steps": 3, "batch_size": 4},
    "fixmatch": {"steps": 3, "batch_size": 4, "mu": 1, "width": 1},
    "ssl": {"architecture": "conv", "steps": 3, "batch_size": 4, "mu": 1},
}
NEEDS = frozenset({"mc", "penultimate"})


def images(number: int) -> ImageSet:
    pixels = np.random.default_rng(0).integers(0, 256, (number, 8, 8, 3)).astype(np.uint8)
    return ImageSet(np.arange(number) * 3 + 5, pixels, np.arange(number))


def train(name: str, pool: ImageSet, labels: list[int], **more):
    chosen = dict(zip(pool.ids.tolist(), labels, strict=False))
    return METHODS[name].load()(Task(pool, chosen, 3, **more), resolve(METHODS[name].settings, SMALL[name]))


def predict(classifier, pool: ImageSet):
    return classifier.predict(pool, NEEDS, np.random.default_rng(0), lambda event: None)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(("number", "labels"), [(2, [0, 1]), (7, [0, 1, 2, 0, 1, 2, 0]), (12, [0, 2])])
def test_it_learns_from_two_images_from_all_of_them_and_with_a_class_unseen(name, number, labels):
    pool = images(number)
    found = predict(train(name, pool, labels), pool)
    assert found.probs.shape == found.mean_probs.shape == (number, 3)
    assert torch.allclose(found.probs.sum(dim=1), torch.ones(number), atol=1e-4)
    assert len(found.penultimate) == len(found.expected_entropy) == number


@pytest.mark.parametrize("name", METHODS)
def test_it_predicts_any_images_none_included(name):
    classifier = train(name, images(12), [0, 1, 2])
    assert predict(classifier, images(1)).probs.shape == (1, 3)
    nothing = images(5).only(np.empty(0, np.int64))
    assert predict(classifier, nothing).probs.shape == (0, 3)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("labels", [[], [1], [2, 2, 2]])
def test_fewer_than_two_classes_are_too_few(name, labels):
    with pytest.raises(TooFewLabels, match="labels of at least two classes; so far"):
        train(name, images(6), labels)


@pytest.mark.parametrize("name", METHODS)
def test_it_stops_when_it_is_asked_to(name):
    def report(event):
        raise Cancelled

    with pytest.raises(Cancelled):
        train(name, images(12), [0, 1, 2], report=report)


@pytest.mark.parametrize("name", METHODS)
def test_it_leaves_a_file_that_can_be_loaded_and_the_global_generator_alone(name, tmp_path):
    before = torch.get_rng_state()
    pool = images(12)
    classifier = train(name, pool, [0, 1, 2])
    classifier.save(tmp_path, ["a", "b", "c"])
    predict(classifier, pool)
    assert torch.equal(torch.get_rng_state(), before)
    assert checkpoint.load(tmp_path).classes == ["a", "b", "c"]


@pytest.mark.parametrize("name", METHODS)
def test_the_same_seed_says_the_same(name):
    first, again = (predict(train(name, images(12), [0, 1, 2]), images(12)) for _ in range(2))
    assert torch.equal(first.probs, again.probs)
    assert torch.equal(first.mean_probs, again.mean_probs)
