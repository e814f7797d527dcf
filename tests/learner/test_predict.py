"""The streaming pass against everything in memory at once."""

import numpy as np
import pytest
import torch

from learner import predict as prediction
from learner.data import ImageSet
from learner.errors import NoDropout
from learner.events import Progress
from learner.models.head import as_input
from learner.models.wrn import WideResNet
from learner.predict import Predictions, moments
from learner.training.net import NetClassifier

NEEDS = frozenset({"mc", "penultimate"})


def images(number: int = 150) -> ImageSet:
    return ImageSet.of(np.random.default_rng(0).integers(0, 256, (number, 8, 8, 3)).astype(np.uint8))


def classifier(bayesian: str = "head", dropout: float = 0.3, block_dropout: float = 0.0) -> NetClassifier:
    torch.manual_seed(0)
    net = WideResNet(4, 10, 1, dropout, block_dropout).eval()
    with torch.no_grad():
        net.head.linear.weight *= 20
    return NetClassifier(net, (8, 8), torch.device("cpu"), bayesian, samples=10)


def predict(given: NetClassifier, pool: ImageSet, needs: frozenset[str] = NEEDS, report=lambda event: None):
    return given.predict(pool, needs, np.random.default_rng(1), report)


def information(predictions: Predictions) -> torch.Tensor:
    mean = predictions.mean_probs.double()
    return torch.special.entr(mean).sum(dim=1) - predictions.expected_entropy


def test_streamed_moments_are_the_mean_and_the_mean_entropy():
    logits = torch.randn(7, 30, 5, generator=torch.Generator().manual_seed(0)) * 4
    mean_probs, expected_entropy = moments(iter(logits)).values()
    probs = logits.double().softmax(dim=2)
    assert torch.allclose(mean_probs.double(), probs.mean(dim=0), atol=1e-6)
    assert torch.allclose(expected_entropy.double(), torch.special.entr(probs).sum(dim=2).mean(dim=0), atol=1e-6)


def test_batches_do_not_change_what_is_predicted():
    given, pool = classifier(), images()
    whole, some = predict(given, pool), predict(given, pool.only(np.arange(140, 150)))
    for name in ("probs", "mean_probs", "expected_entropy", "penultimate"):
        assert torch.allclose(getattr(whole, name)[140:], getattr(some, name), atol=1e-5)
    x = as_input(torch.from_numpy(pool.pixels))
    with torch.inference_mode():
        assert torch.allclose(whole.probs, given.net(x).softmax(dim=1), atol=1e-5)


@pytest.mark.parametrize("rows", [1, 7, 64, 100, 10_000])
def test_heads_that_wait_for_more_rows_say_the_same(rows, monkeypatch):
    whole = predict(classifier(), images())
    monkeypatch.setattr(prediction, "MOST_ROWS", rows)
    again = predict(classifier(), images())
    assert torch.allclose(again.mean_probs, whole.mean_probs, atol=1e-6)
    assert torch.allclose(again.expected_entropy, whole.expected_entropy, atol=1e-6)


def test_nothing_is_computed_that_nobody_needs():
    found = predict(classifier(), images(3), frozenset({"probs"}))
    assert (found.mean_probs, found.expected_entropy, found.penultimate) == (None, None, None)


def test_progress_is_reported_up_to_the_end():
    events = []
    predict(classifier(), images(), report=events.append)
    assert events[-1] == Progress("scoring", 150, 150)
    assert len(events) > 2


def test_predicting_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    predict(classifier("net", block_dropout=0.3), images(3))
    assert torch.equal(torch.get_rng_state(), before)


def test_bald_of_the_whole_net_differs_from_that_of_its_head():
    pool = images()
    head = information(predict(classifier("head", block_dropout=0.3), pool))
    net = information(predict(classifier("net", block_dropout=0.3), pool))
    assert head.min() > 0
    assert net.mean() > 1.1 * head.mean()
    assert np.corrcoef(head, net)[0, 1] < 0.95


def test_a_net_without_dropout_refuses_to_be_stochastic():
    with pytest.raises(NoDropout, match="set dropout above 0"):
        predict(classifier(dropout=0.0), images(3))
    with pytest.raises(NoDropout, match="set block_dropout above 0"):
        predict(classifier("net"), images(3))
    assert predict(classifier(dropout=0.0), images(3), frozenset({"probs"})).mean_probs is None
