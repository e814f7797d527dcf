"""FixMatch against its formulas written out as loops, and on images that a person would tell apart at a glance."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_basic import predict, shades, weights

from learner.config import FixmatchSettings
from learner.data import ImageSet
from learner.errors import Cancelled, NotFinite, TooFewLabels
from learner.models import MODELS
from learner.settings import resolve
from learner.training import Task, fit, fixmatch
from learner.training.fixmatch import Teacher, losses_of, train

QUICK = FixmatchSettings(width=1, steps=40, batch_size=8, mu=2, augment="weak", optimizer="sgd", learning_rate=0.03)


def softmax(row: np.ndarray) -> np.ndarray:
    values = np.exp(row - row.max())
    return values / values.sum()


def teacher(**settings) -> Teacher:
    return Teacher(shades(), replace(QUICK, **settings), torch.device("cpu"))


@pytest.mark.parametrize("threshold", [0.0, 0.6, 0.95])
def test_the_losses_are_those_of_the_paper_written_as_loops(threshold):
    rng = np.random.default_rng(0)
    logits, classes = rng.normal(0, 3, (5 + 2 * 20, 3)).astype(np.float32), rng.integers(0, 3, 5)
    found = losses_of(torch.from_numpy(logits), torch.from_numpy(classes), teacher(threshold=threshold))
    supervised = [-math.log(softmax(row)[c]) for row, c in zip(logits[:5], classes, strict=True)]
    unsupervised, taught = [], 0
    for weakly, strongly in zip(logits[5:25], logits[25:], strict=True):
        sure = softmax(weakly)
        counts = sure.max() >= threshold
        taught += counts
        unsupervised.append(-math.log(softmax(strongly)[sure.argmax()]) if counts else 0.0)
    assert found.supervised.item() == pytest.approx(np.mean(supervised), rel=1e-5)
    assert found.unsupervised.item() == pytest.approx(np.mean(unsupervised), rel=1e-5)  # over all, not the confident
    assert found.mask_rate.item() == pytest.approx(taught / 20)


def test_nothing_flows_back_through_the_pseudo_labels():
    logits = torch.randn(2 + 2 * 6, 3, requires_grad=True)
    losses_of(logits, torch.tensor([0, 1]), teacher(threshold=0.0)).unsupervised.backward()
    assert (logits.grad[:8] == 0).all()
    assert (logits.grad[8:] != 0).any()


def test_all_views_pass_through_one_forward_whose_statistics_they_share():
    """The running mean of the first norm after one step is that of the whole joint batch."""
    task = shades()
    batches = fixmatch.Batches(task, QUICK, torch.Generator().manual_seed(0), torch.device("cpu"))
    batch = next(batches)
    assert batch.x.shape == (8 + 2 * 16, 3, 8, 8)
    net = MODELS["conv"].load()(3, 1).train()
    norm = net.fine[0][1]
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
    with torch.no_grad():
        expected = net.fine[0][0]((batch.x - net.mean) / net.std).mean(dim=(0, 2, 3))
    fixmatch._step(net, optimizer, batch, teacher(), 1.0)
    assert torch.allclose(norm.running_mean, 0.1 * expected, atol=1e-6)
    assert norm.num_batches_tracked == 1


def test_the_rate_falls_as_the_paper_says():
    optimizer, schedule = fixmatch._descent(torch.nn.Linear(2, 2), QUICK, 100)
    rates = []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([0.03 * math.cos(7 * math.pi * k / 1600) for k in range(100)])
    assert optimizer.param_groups[0]["nesterov"]


@pytest.mark.parametrize("side", [8, 32])
def test_beyond_sixteen_pixels_it_is_the_paper_and_below_a_short_training_of_a_plain_net(side):
    task = Task(ImageSet.of(np.zeros((4, side, side, 3), np.uint8)), {0: 0, 1: 1}, 2)
    found = fixmatch.filled(task, FixmatchSettings())
    said = (found.optimizer, found.learning_rate, found.weight_decay, found.batch_size, found.mu, found.augment)
    if side == 32:
        assert said == ("sgd", 0.03, 5e-4, 64, 7, "weak")
    else:
        assert said == ("adamw", 0.004, 0.05, 32, 4, "affine")
    paper = fixmatch.filled(task, resolve(FixmatchSettings, {"preset": "paper"}))
    assert (paper.optimizer, paper.learning_rate, paper.weight_decay, paper.batch_size, paper.mu, paper.augment) == (
        "sgd", 0.03, 5e-4, 64, 7, "weak",
    )  # fmt: skip
    assert paper.architecture == "wrn"


def test_what_is_said_wins_over_the_size():
    task = shades()
    said = FixmatchSettings(
        optimizer="sgd", learning_rate=0.1, weight_decay=0, batch_size=5, mu=1, augment="weak", steps=7
    )
    assert fixmatch.filled(task, said) == said


def test_alignment_makes_rare_answers_count_more():
    balanced = teacher(alignment=True, threshold=0.0)
    balanced.seen = torch.tensor([0.8, 0.1, 0.1])
    balanced.wanted = torch.tensor([1 / 3, 1 / 3, 1 / 3])
    pseudo, _ = balanced.judge(torch.log(torch.tensor([[0.6, 0.4, 0.0001]])))
    assert pseudo.tolist() == [1]  # 0.6 / 0.8 < 0.4 / 0.1


def test_an_adaptive_threshold_starts_at_chance_and_is_lower_for_rare_classes():
    adaptive = teacher(adaptive=True)
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.2], [0.2, 0.5, 0.3]]))
    _, counts = adaptive.judge(logits)
    assert counts.tolist() == [True, True]
    adaptive.confidence = torch.tensor(0.9)
    adaptive.seen = torch.tensor([0.7, 0.2, 0.1])
    _, counts = adaptive.judge(logits)  # thresholds 0.9 and about 0.26
    assert counts.tolist() == [False, True]


def test_it_learns_what_is_plain_to_see():
    task = shades()
    probs = predict(train(task, replace(QUICK, steps=80)), task.images).probs
    assert (probs.argmax(dim=1).numpy() == np.arange(40) % 3).mean() > 0.9


def test_the_same_seed_trains_the_same_net():
    first, again, other = (weights(train(shades(seed=seed), replace(QUICK, steps=6))) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("classes_seen", [2, 3])
def test_it_trains_on_the_classes_seen_so_far(classes_seen):
    task = shades()
    labels = {image: label for image, label in task.labels.items() if label < classes_seen}
    assert predict(train(replace(task, labels=labels), replace(QUICK, steps=3)), task.images).probs.shape == (40, 3)


def test_one_label_for_each_of_ten_classes_is_enough_to_run():
    images = ImageSet.of(np.random.default_rng(0).integers(0, 256, (10, 8, 8, 3)).astype(np.uint8))
    task = Task(images, {image: image for image in range(10)}, 10)  # and nothing is unlabeled
    assert predict(train(task, replace(QUICK, steps=3)), images).probs.shape == (10, 10)


def test_one_class_is_too_few_and_a_loss_that_is_not_finite_stops():
    with pytest.raises(TooFewLabels):
        train(replace(shades(), labels={0: 0}), QUICK)
    with pytest.raises(NotFinite, match="set learning_rate below 1e"):
        train(shades(), replace(QUICK, learning_rate=1e30))


def test_it_says_how_it_goes_and_can_be_cancelled(monkeypatch):
    monkeypatch.setattr(fit, "clock", lambda: 0.0)
    said = []

    def stop(event):
        said.append(event)
        raise Cancelled

    with pytest.raises(Cancelled):
        train(shades(report=stop), replace(QUICK, steps=1_000_000))
    assert said[0].activity.startswith("training (loss ")
    assert said[0].done <= 50
