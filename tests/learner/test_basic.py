"""Training a net from scratch, on images that a person would tell apart at a glance."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from learner import checkpoint
from learner.config import BasicSettings
from learner.data import ImageSet
from learner.errors import BadSetting, Cancelled, NoDropout, NotFinite, TooFewLabels
from learner.training import Task, fit
from learner.training.basic import _descent, train

QUICK = BasicSettings(width=1, steps=30, batch_size=16)


def shades(number: int = 40, **more) -> Task:
    """Noisy images in three brightnesses; the first twelve are labeled."""
    classes = np.arange(number) % 3
    noise = np.random.default_rng(0).integers(0, 60, (number, 8, 8, 3))
    images = ImageSet.of((noise + 90 * classes[:, None, None, None]).astype(np.uint8))
    return Task(images, {i: int(classes[i]) for i in range(12)}, 3, **more)


def predict(classifier, images, needs=frozenset()):
    return classifier.predict(images, needs, np.random.default_rng(0), lambda event: None)


def weights(classifier) -> torch.Tensor:
    return torch.cat([value.flatten().double() for value in classifier.net.state_dict().values()])


def test_it_learns_what_is_plain_to_see():
    task = shades()
    probs = predict(train(task, QUICK), task.images).probs
    assert (probs.argmax(dim=1).numpy() == np.arange(40) % 3).mean() > 0.95


def test_the_same_seed_trains_the_same_net_and_leaves_the_global_generator_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = weights(train(shades(seed=1), QUICK))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(first, weights(train(shades(seed=1), QUICK)))
    assert not torch.equal(first, weights(train(shades(seed=2), QUICK)))


def test_progress_is_told_twenty_to_fifty_times(monkeypatch):
    monkeypatch.setattr(fit, "clock", lambda: 0.0)
    events = []
    train(shades(report=events.append), replace(QUICK, steps=210))
    assert 20 <= len(events) <= 50
    assert (events[-1].done, events[-1].total) == (210, 210)
    assert events[-1].activity.startswith("training (loss ")


def test_a_training_can_be_cancelled():
    def stop(event):
        raise Cancelled

    with pytest.raises(Cancelled):
        train(shades(report=stop), replace(QUICK, steps=1_000_000))


def test_a_loss_that_is_not_finite_stops_with_a_remedy():
    with pytest.raises(NotFinite, match="set learning_rate below 1e"):
        train(shades(), replace(QUICK, learning_rate=1e30))


def test_one_class_is_too_few():
    with pytest.raises(TooFewLabels, match="at least two classes; so far all 1 are of class 0"):
        train(replace(shades(), labels={0: 0}), QUICK)
    with pytest.raises(TooFewLabels, match="so far there are none"):
        train(replace(shades(), labels={}), QUICK)


def test_what_cannot_be_stochastic_is_refused_before_training():
    task = shades(needs=frozenset({"mc"}), report=lambda event: pytest.fail("it trained"))
    with pytest.raises(NoDropout, match="set dropout"):
        train(task, replace(QUICK, dropout=0.0))
    with pytest.raises(NoDropout, match="set block_dropout"):
        train(task, replace(QUICK, bayesian="net"))
    with pytest.raises(BadSetting, match="choose from head, net"):
        train(task, replace(QUICK, bayesian="all"))


def test_zero_chooses_net_and_steps_by_the_size_of_the_images():
    events = []

    def stop(event):
        events.append(event)
        raise Cancelled

    for side in (16, 17):
        task = replace(shades(report=stop), images=ImageSet.of(np.zeros((12, side, side, 3), np.uint8)))
        with pytest.raises(Cancelled):
            train(task, BasicSettings(width=1, batch_size=2))
    assert [event.total for event in events] == [300, 2000]
    assert train(shades(), QUICK).net.kind == "conv"
    assert train(shades(), replace(QUICK, depth=10, steps=2)).net.arguments["depth"] == 10


@pytest.mark.parametrize(
    ("epochs", "total"),
    [(0, 3), (1, 3), (5, 15)],  # twelve labels in batches of four: three steps a pass
)
def test_epochs_are_passes_over_the_labels_where_they_take_more_than_the_steps(epochs, total):
    events = []
    train(shades(report=events.append), replace(QUICK, steps=3, epochs=epochs, batch_size=4))
    assert events[-1].total == total


@pytest.mark.parametrize(
    ("optimizer", "kind"),
    [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)],
)
def test_an_optimiser_that_is_set_trains_with_its_rate_and_decay(optimizer, kind):
    usual = (0.004, 0.05) if optimizer == "adamw" else (0.03, 5e-4)
    for values, (rate, decay) in (({}, usual), ({"learning_rate": 0.1, "weight_decay": 0.2}, (0.1, 0.2))):
        found, schedule = _descent(torch.nn.Linear(2, 2), replace(QUICK, **values), optimizer, 100)
        assert type(found) is kind
        assert found.param_groups[0]["weight_decay"] == decay
        rates = []
        for _ in range(100):
            rates.append(found.param_groups[0]["lr"])
            found.step()
            schedule.step()
        assert max(rates) == pytest.approx(rate, rel=0.01)
        if optimizer != "adamw":  # which rises first
            assert rates == pytest.approx([rate * (1 + math.cos(math.pi * k / 100)) / 2 for k in range(100)])


def test_each_optimiser_trains_another_net_and_the_plain_net_has_adamw_where_none_is_set():
    found = {name: weights(train(shades(), replace(QUICK, optimizer=name))) for name in ("", "sgd", "adam", "adamw")}
    assert torch.equal(found[""], found["adamw"])
    assert not torch.equal(found["sgd"], found["adam"])
    assert not torch.equal(found["adam"], found["adamw"])


def test_predictions_are_those_of_the_averaged_net_in_evaluation_mode():
    classifier = train(shades(), replace(QUICK, dropout=0.9))
    assert not classifier.net.training
    first, second = (predict(classifier, shades().images).probs for _ in range(2))
    assert torch.equal(first, second)


def test_the_file_predicts_what_the_net_predicts(tmp_path):
    task = shades()
    classifier = train(task, QUICK)
    classifier.save(tmp_path, ["dark", "grey", "bright"])
    loaded = checkpoint.load(tmp_path)
    assert loaded.image_size == (8, 8)
    assert torch.allclose(loaded.predict(task.images.pixels), predict(classifier, task.images).probs, atol=1e-6)


def test_stochastic_predictions_inform_about_the_model():
    task = shades(needs=frozenset({"mc"}))
    for settings in (QUICK, replace(QUICK, bayesian="net", block_dropout=0.2)):
        found = predict(train(task, settings), task.images, task.needs)
        assert (found.expected_entropy < math.log(3)).all()
        assert (torch.special.entr(found.mean_probs).sum(dim=1) > found.expected_entropy).any()
