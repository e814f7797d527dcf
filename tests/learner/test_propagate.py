"""Label spreading against scikit-learn's, and what a graph cannot do by itself: new images, dropout, files."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from sklearn.semi_supervised import LabelSpreading

from learner import checkpoint
from learner.config import PropagateSettings
from learner.data import ImageSet
from learner.datasets import Dataset, load
from learner.errors import NoDropout, TooFewLabels
from learner.features import embed, extract, parse
from learner.training import Task
from learner.training.graph import Graph, evened
from learner.training.propagate import GraphClassifier, train

MC = frozenset({"mc", "penultimate"})


@cache
def some_digits() -> Dataset:
    return load("digits")


def digit_task(number: int = 60, **more) -> Task:
    """Every fifteenth digit is labeled."""
    data = some_digits()
    chosen = slice(None, None, len(data.train) // number)
    labels = dict(zip(data.train.ids[chosen].tolist(), data.train_classes[chosen].tolist(), strict=True))
    return Task(data.train, labels, 10, **more)


def predict(classifier: GraphClassifier, images: ImageSet, needs: frozenset[str] = frozenset(), seed: int = 0):
    return classifier.predict(images, needs, np.random.default_rng(seed), lambda event: None)


def reference(task: Task, settings: PropagateSettings) -> LabelSpreading:
    spreading = LabelSpreading(
        kernel="knn", n_neighbors=settings.neighbors or 7, alpha=settings.alpha or 0.2, max_iter=1000, tol=1e-9
    )
    targets = [task.labels.get(image, -1) for image in task.images.ids.tolist()]
    return spreading.fit(embed(task.images, parse("pca", components=settings.components)), targets)


@pytest.mark.parametrize("alpha", [0.2, 0.8])
def test_labels_spread_as_in_scikit_learn(alpha):
    task, settings = digit_task(), PropagateSettings(alpha=alpha, class_balance=0)
    ours = predict(train(task, settings), task.images).probs.numpy()
    assert ours == pytest.approx(reference(task, settings).label_distributions_, abs=2e-3)


@pytest.mark.parametrize("power", [0.5, 1])
def test_classes_are_evened_by_their_mass_in_scikit_learns_answer(power):
    task, settings = digit_task(), PropagateSettings(alpha=0.8, class_balance=power)
    ours = predict(train(task, settings), task.images).probs.numpy()
    known = reference(task, settings).label_distributions_
    expected = known / known.sum(axis=0) ** power
    assert ours == pytest.approx(expected / expected.sum(axis=1, keepdims=True), abs=4e-3)


def test_evening_finds_a_rare_class_among_the_neighbours_of_a_common_one():
    """One in twenty is rare, and half of its neighbours are not; labels are random."""
    found = {0.0: [], 0.5: []}
    for seed in range(10):
        rng = np.random.default_rng(seed)
        rare = np.arange(1000) < 50
        rows = rng.normal(np.where(rare, 1.6, 0)[:, None], 1, (1000, 4)).astype(np.float32)
        labeled = np.concatenate(
            [rng.permutation(np.flatnonzero(rare))[:5], rng.permutation(np.flatnonzero(~rare))[:95]]
        )
        start = np.zeros((1000, 2))
        start[labeled, rare[labeled].astype(int)] = 1
        known = Graph.of(rows, 15, lambda event: None).propagate(start, 0.8)
        for power, recalls in found.items():
            said = evened(known, power).argmax(axis=1) == 1
            recalls.append((said[rare].mean() + (~said)[~rare].mean()) / 2)
    assert np.mean(found[0.5]) > np.mean(found[0.0]) + 0.05


def test_new_images_are_told_by_their_neighbours_as_in_scikit_learn():
    task, settings, new = digit_task(), PropagateSettings(class_balance=0), some_digits().test
    classifier = train(task, settings)
    expected = reference(task, settings).predict_proba(extract(classifier.extractor, new))
    assert predict(classifier, new).probs.numpy() == pytest.approx(expected, abs=5e-3)


def two_islands(labeled: tuple[int, int] = (0, 1)) -> Task:
    """Twenty dark images, of which two have labels of two classes, and twenty bright ones without."""
    rng = np.random.default_rng(0)
    pixels = np.where(np.arange(40) < 20, 20, 230)[:, None, None, None] + rng.integers(-15, 15, (40, 8, 8, 3))
    return Task(ImageSet.of(pixels.astype(np.uint8)), {labeled[0]: 0, labeled[1]: 2}, 3, needs=MC)


def test_an_image_that_no_label_reaches_has_the_same_probability_for_every_class():
    task = two_islands()
    probs = predict(train(task, PropagateSettings()), task.images).probs
    assert torch.allclose(probs[20:], torch.full((20, 3), 1 / 3))
    assert (probs[:20, 1] == 0).all()
    assert torch.allclose(probs.sum(dim=1), torch.ones(40))


def test_fewer_images_than_neighbours_and_copies_are_fine():
    few = Task(ImageSet.of(np.zeros((3, 8, 8, 3), np.uint8)), {0: 0, 2: 1}, 2)
    probs = predict(train(few, PropagateSettings()), few.images).probs
    assert torch.allclose(probs.sum(dim=1), torch.ones(3))


def test_the_graph_is_built_once_for_the_same_images():
    task = two_islands()
    first = train(task, PropagateSettings())
    again = train(replace(task, labels={3: 0, 5: 1, 30: 2}, round=7), PropagateSettings())
    assert again.graph is first.graph
    assert train(task, PropagateSettings(neighbors=3)).graph is not first.graph


def test_a_graph_of_some_images_holds_the_labeled_and_answers_for_all():
    task = replace(digit_task(), images=replace(some_digits().train, memo={}))
    classifier = train(task, PropagateSettings(max_images=300))
    assert len(classifier.nodes) == 300
    assert set(task.labels) <= set(task.images.ids[classifier.nodes].tolist())
    right = predict(classifier, task.images).probs.argmax(dim=1).numpy() == some_digits().train_classes
    assert right.mean() > 0.8


def test_one_class_is_too_few_and_the_message_says_what_there_is():
    task = replace(two_islands(), labels={1: 2, 4: 2})
    with pytest.raises(TooFewLabels, match="at least two classes; so far all 2 are of class 2"):
        train(task, PropagateSettings())


def test_the_distilled_head_says_what_the_graph_says():
    classifier = train(digit_task(), PropagateSettings())
    found = predict(classifier, some_digits().test, MC)
    assert (found.mean_probs.argmax(dim=1) == found.probs.argmax(dim=1)).float().mean() > 0.93
    assert found.penultimate.shape == (len(some_digits().test), 128)
    spread = torch.special.entr(found.mean_probs.double()).sum(dim=1) - found.expected_entropy
    assert spread.min() >= -1e-6
    assert spread.mean() > 1e-3


def test_an_image_that_no_label_reaches_teaches_the_head_nothing():
    task = two_islands()
    found = predict(train(task, PropagateSettings()), task.images, MC)
    assert (found.mean_probs[:, 1] < 0.1).all()


def test_the_head_is_the_same_whoever_asks_first():
    first, second = (train(digit_task(seed=4), PropagateSettings()) for _ in range(2))
    predict(first, some_digits().test, MC)
    assert torch.equal(first.distilled.hidden.weight, second.distilled.hidden.weight)


def test_without_dropout_nothing_is_stochastic():
    task = two_islands()
    with pytest.raises(NoDropout, match="set dropout above 0"):
        predict(train(task, PropagateSettings(dropout=0.0)), task.images, MC)


def test_the_file_predicts_pixels_as_the_head_does(tmp_path):
    classifier, new = train(digit_task(), PropagateSettings()), some_digits().test
    names = [f"digit {i}" for i in range(10)]
    classifier.save(tmp_path, names)
    loaded = checkpoint.load(tmp_path)
    probs = loaded.predict(new.take(new.ids))
    with torch.inference_mode():
        embedded = torch.from_numpy(extract(classifier.extractor, new))
        expected = classifier.distilled.head(classifier.distilled.from_embedding(embedded)).softmax(dim=1)
    assert loaded.classes == names
    assert torch.allclose(probs, expected, atol=1e-4)
    assert (probs.argmax(dim=1).numpy() == some_digits().test_classes).mean() > 0.85


def test_spreading_without_links_keeps_the_labels():
    lonely = Graph.of(np.zeros((1, 2), np.float32), 7, lambda event: None)
    assert lonely.propagate(np.array([[0.0, 1.0]]), 0.2).tolist() == [[0, 1]]
