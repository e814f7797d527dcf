"""Numbers about accuracy against scipy's and scikit-learn's."""

import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, recall_score

from learner.errors import LearnerError, NotFinite
from learner.evaluate import evaluate
from learner.intervals import wilson


@pytest.mark.parametrize(("correct", "n"), [(0, 1), (1, 1), (0, 30), (30, 30), (17, 30), (950, 1000)])
def test_the_interval_is_wilsons(correct, n):
    expected = binomtest(correct, n).proportion_ci(0.95, method="wilson")
    assert wilson(correct, n) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_nothing_counted_could_be_anything():
    assert wilson(0, 0) == (0, 1)


def test_accuracies_agree_with_scikit_learn():
    rng = np.random.default_rng(0)
    probs, classes = torch.from_numpy(rng.dirichlet(np.ones(4), 200)), rng.integers(4, size=200)
    found, predicted = evaluate(probs, classes, "test"), probs.argmax(dim=1).numpy()
    assert found.accuracy == accuracy_score(classes, predicted)
    assert found.balanced_accuracy == pytest.approx(balanced_accuracy_score(classes, predicted))
    assert found.macro_f1 == pytest.approx(f1_score(classes, predicted, average="macro"))
    assert found.per_class == pytest.approx(recall_score(classes, predicted, average=None))
    assert (found.size, found.source) == (200, "test")
    assert list(found.right) == (predicted == classes).tolist()


def test_a_class_without_images_has_no_recall_and_does_not_count():
    found = evaluate(torch.tensor([[1.0, 0, 0], [0, 1, 0]]), np.array([0, 0]), "audit")
    assert found.per_class == (0.5, None, None)
    assert found.balanced_accuracy == 0.5
    assert found.macro_f1 == pytest.approx(f1_score([0, 0], [0, 1], average="macro", zero_division=0))


def test_what_cannot_be_evaluated_says_so():
    with pytest.raises(LearnerError, match="no images in the audit set"):
        evaluate(torch.empty(0, 3), np.empty(0, np.int64), "audit")
    with pytest.raises(NotFinite):
        evaluate(torch.full((2, 3), torch.nan), np.array([0, 1]), "test")
