"""Fine-tuning: what learns how fast, from which weights, on which pixels."""

import math
from dataclasses import replace

import numpy as np
import pytest
import timm
import torch
from test_basic import shades

from learner import checkpoint
from learner.config import TransferSettings
from learner.data import ImageSet
from learner.errors import NoDropout, WeightsError
from learner.settings import resolve
from learner.training import Task, transfer

SMALL = {"backbone": "test_resnet", "weights": "random", "size": 32, "steps": 30, "batch_size": 8}


def settings(**values: object) -> TransferSettings:
    return TransferSettings(**(SMALL | values))


def predict(classifier, images, needs=frozenset()):
    return classifier.predict(images, needs, np.random.default_rng(0), lambda event: None)


def test_it_learns_what_can_be_told_apart():
    task = shades()
    found = predict(transfer.train(task, settings(steps=60)), task.images).probs.argmax(dim=1)
    truth = torch.tensor([task.labels.get(i, -1) for i in task.images.ids.tolist()])
    assert (found[truth >= 0] == truth[truth >= 0]).all()


def test_a_backbone_at_rate_zero_stays_and_the_head_learns(tmp_path):
    torch.manual_seed(3)
    start = timm.create_model("test_resnet", num_classes=0)
    torch.save(start.state_dict(), tmp_path / "start.pth")
    net = transfer.train(shades(), settings(backbone_rate=0, weights=str(tmp_path / "start.pth"))).net
    kernels = dict(net.net.named_parameters())
    assert all(torch.allclose(value, kernels[name], atol=1e-6) for name, value in start.named_parameters())
    moved = transfer.train(shades(), settings(weights=str(tmp_path / "start.pth"))).net
    assert not torch.allclose(moved.net.conv1[0].weight, start.conv1[0].weight, atol=1e-6)


def test_the_rate_rises_then_falls_and_the_backbones_is_a_share_of_the_heads():
    net = transfer._build(shades(), settings())
    optimizer, schedule = transfer._descent(net, settings(warmup=0.2, learning_rate=1.0), 100)
    rates = []
    for _ in range(100):
        rates.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    backbone, head = np.array(rates)[:, 0], np.array(rates)[:, 2]
    assert backbone == pytest.approx(0.1 * head)
    assert head[:20] == pytest.approx(np.arange(1, 21) / 20)
    assert head[20:] == pytest.approx([(1 + math.cos(math.pi * k / 81)) / 2 for k in range(80)])


def test_epochs_are_passes_over_the_labels_where_they_take_more_than_the_steps():
    totals = []
    for epochs in (0, 3):
        events = []
        transfer.train(replace(shades(), report=events.append), settings(steps=2, batch_size=4, epochs=epochs))
        totals.append(events[-1].total)
    assert totals == [2, 9]  # twelve labels


def test_every_weight_is_in_one_group():
    net = transfer._build(shades(), settings())
    optimizer, _ = transfer._descent(net, settings(), 30)
    learning = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(learning) == sorted(id(p) for p in net.parameters())


def test_a_saved_model_says_the_same(tmp_path):
    task = shades()
    classifier = transfer.train(task, settings())
    classifier.save(tmp_path, [str(i) for i in range(task.num_classes)])
    loaded = checkpoint.load(tmp_path)
    assert loaded.image_size == (32, 32)
    larger = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)
    assert torch.allclose(loaded.predict(larger), predict(classifier, ImageSet.of(larger)).probs, atol=1e-5)


def test_stochastic_predictions_come_from_the_head():
    task = shades(needs=frozenset({"mc"}))
    found = predict(transfer.train(task, settings()), task.images, frozenset({"mc"}))
    assert (torch.special.entr(found.mean_probs).sum(dim=1) - found.expected_entropy).max() > 0
    with pytest.raises(NoDropout, match="set dropout above 0"):
        transfer.train(task, settings(dropout=0))


class Originals:
    """Every original is of one colour, which its small pixels do not show."""

    def keys(self, ids):
        return [bytes([i]) * 32 for i in ids.tolist()]

    def side(self):
        return 500

    def read(self, ids, side):
        colours = np.where(ids % 2, 220, 30).astype(np.uint8)
        return np.broadcast_to(colours[:, None, None, None], (len(ids), side, side, 3)).copy(), ids >= 0


def test_it_looks_at_the_originals():
    grey = np.full((20, 8, 8, 3), 128, np.uint8)
    ids = np.arange(20)
    images = ImageSet(ids, grey, ids, originals=Originals())
    task = Task(images, {i: i % 2 for i in range(10)}, 2)
    found = predict(transfer.train(task, settings(steps=60)), images).probs.argmax(dim=1)
    assert found.tolist() == [i % 2 for i in range(20)]


def test_the_preset_of_the_study_is_its_net_with_its_rates():
    found = resolve(TransferSettings, {"preset": "study-2021", "steps": 5})
    assert (found.backbone, found.optimizer, found.learning_rate, found.weight_decay, found.steps) == (
        "wide_resnet50_2.tv_in1k", "adam", 0.03, 0.005, 5,
    )  # fmt: skip


def test_weights_that_cannot_be_had_are_named():
    with pytest.raises(WeightsError, match="/nowhere"):
        transfer.train(shades(), settings(weights="/nowhere"))
