"""Labels that are probably wrong: against a slow implementation by the words of the paper, and by hand."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

from learner import datasets, doubts
from learner.acquisition import STRATEGIES
from learner.acquisition.candidates import Side
from learner.config import LoopSettings, PropagateSettings
from learner.loop import advance
from learner.oracles import answers
from learner.questions import PENULTIMATE
from learner.rng import stream
from learner.settings import Choice
from learner.simulate import MemoryProject


def by_the_words(probs, classes):
    """{position: score}, each image on its own."""
    found = {}
    means = {
        k: np.mean([p[k] for p, c in zip(probs, classes, strict=True) if c == k])
        for k in range(probs.shape[1])
        if k in classes
    }
    for i, (p, given) in enumerate(zip(probs, classes, strict=True)):
        confident = [k for k in means if p[k] >= means[k]]
        if not confident:
            continue
        best = max(confident, key=lambda k: p[k])
        if best != given and p[best] > p[given]:
            found[i] = (1 + p[best] - p[given]) / 2
    return found


@pytest.mark.parametrize("seed", range(20))
def test_suspicious_labels_are_those_of_the_papers_words(seed):
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.full(5, 0.5), 60)
    classes = rng.integers(0, 4, 60)  # the fifth class has no label
    found, scores = doubts.suspicious(probs, classes)
    expected = by_the_words(probs, classes)
    assert set(found.tolist()) == expected.keys()
    assert scores == pytest.approx([expected[i] for i in found.tolist()])
    assert (np.diff(scores) <= 0).all()


def test_a_class_that_the_model_rarely_is_sure_of_needs_less_to_contradict():
    # class 0 is easy (mean 0.9), class 1 hard (mean 0.4): 0.45 of class 1 contradicts, 0.6 of class 0 does not
    probs = np.array([[0.95, 0.05, 0.0], [0.85, 0.15, 0.0], [0.5, 0.35, 0.15], [0.4, 0.45, 0.15],
                      [0.2, 0.45, 0.35], [0.6, 0.1, 0.3]])  # fmt: skip
    classes = np.array([0, 0, 1, 1, 2, 2])
    found, _ = doubts.suspicious(probs, classes)
    assert found.tolist() == [4]


def test_nothing_is_suspicious_where_every_label_is_likeliest():
    assert len(doubts.suspicious(np.eye(3), np.arange(3))[0]) == 0


def test_a_label_is_no_witness_of_itself():
    rows = torch.tensor([[0.0], [0.1], [5.0], [5.1]])
    probs = doubts.leave_one_out(rows, np.array([0, 1, 2, 2]), 3, np.arange(4))
    assert probs[0, 0] < 1e-6
    assert probs[0].argmax() == 1
    assert probs.sum(axis=1) == pytest.approx(1)


def test_what_neighbors_say_is_what_scikit_learn_says_without_the_image():
    rng = np.random.default_rng(0)
    x, classes = rng.normal(size=(40, 6)).astype(np.float32), rng.integers(0, 3, 40)
    probs = doubts.leave_one_out(torch.from_numpy(x), classes, 3, np.arange(40))
    nearest = [np.sort(((x - x[i]) ** 2).sum(axis=1))[1:11] for i in range(40)]
    scale = np.mean(nearest)

    def weights(distances):
        return np.exp(-doubts.SHARPNESS * distances**2 / scale)

    for i in range(40):
        others = np.arange(40) != i
        model = KNeighborsClassifier(10, weights=weights).fit(x[others], classes[others])
        assert probs[i] == pytest.approx(model.predict_proba(x[i : i + 1])[0], abs=1e-4)


def test_one_label_alone_is_no_ground_for_doubt():
    side = Side(np.array([7]), embedding=torch.zeros(1, 2), classes=np.array([0]))
    assert len(doubts.doubted(side, 2, {7}, 5, np.random.default_rng(0)).ids) == 0


def flipped_digits(seed, count, rate=0.1):
    """(labeled side, which labels are wrong)."""
    rng = np.random.default_rng(seed)
    data = load_digits()
    rows = rng.permutation(len(data.target))[:count]
    wrong = rng.random(count) < rate
    classes = np.where(wrong, (data.target[rows] + rng.integers(1, 10, count)) % 10, data.target[rows])
    return Side(rows, embedding=torch.from_numpy(data.data[rows]).float(), classes=classes), wrong


@pytest.mark.parametrize("seed", range(3))
def test_of_labels_that_were_flipped_it_finds_most_and_little_else(seed):
    side, wrong = flipped_digits(seed, 500)
    picks = doubts.doubted(side, 10, side.ids, 500, np.random.default_rng(seed))
    found = np.isin(side.ids, picks.ids)
    assert wrong[found].mean() > 0.7  # a tenth by chance
    assert found[wrong].mean() > 0.7
    assert wrong[np.isin(side.ids, picks.ids[:20])].mean() > 0.9


def test_only_what_is_allowed_is_asked_and_no_more_than_wanted():
    side, _ = flipped_digits(0, 300)
    every = doubts.doubted(side, 10, side.ids, 300, np.random.default_rng(0)).ids
    allowed = every[1::2]
    assert doubts.doubted(side, 10, allowed, 3, np.random.default_rng(0)).ids.tolist() == allowed[:3].tolist()


def test_neighbors_that_know_nothing_doubt_nobody():
    rng = np.random.default_rng(0)
    side = Side(np.arange(200), embedding=torch.from_numpy(rng.normal(size=(200, 8))), classes=rng.integers(0, 5, 200))
    assert len(doubts.doubted(side, 5, side.ids, 20, rng).ids) == 0


class Doubting(MemoryProject):
    """Every label may be doubted."""

    def doubtable(self):
        return frozenset(self.news(0).labels)

    def publish(self, query, source, round):
        self.__dict__.setdefault("published", []).append((source, query.ids))
        super().publish(query, source, round)


@pytest.mark.parametrize("features", ["", PENULTIMATE])
def test_second_looks_change_nothing_of_what_a_round_asks(features):
    data = datasets.load("digits", 0)
    said = answers("noisy:0.1", data.train_classes, 10, stream(0, 0, "oracle"))
    settings = LoopSettings(budgets=(60, 90), full_query_only=True, tail_size=0, features=features)
    how = Choice("propagate", PropagateSettings()), Choice("typiclust", STRATEGIES["typiclust"].settings()), settings
    projects = [kind(data.train, 10, truth=said) for kind in (MemoryProject, Doubting)]
    for project in projects:
        advance(project, *how)
    plain, doubting = projects
    assert plain.asked == doubting.asked
    wrong = set(data.train.ids[said != data.train_classes].tolist())
    looks = [ids for source, ids in doubting.published if source == "second_look"]
    assert len(looks) == 2
    assert len(wrong & set(looks[-1])) / len(looks[-1]) > 0.4  # a tenth by chance
    assert doubting.tail.ids == ()
