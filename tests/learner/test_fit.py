"""The training loop: heard within a step, killed and gone on with, never with somebody else's file."""

import errno
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_basic import shades, weights

from learner.config import BasicSettings, FixmatchSettings, TransferSettings
from learner.errors import Cancelled, NotFinite
from learner.training import basic, fit, fixmatch, transfer

FIXMATCH = FixmatchSettings(width=1, steps=12, batch_size=8, mu=2, augment="weak", optimizer="sgd")
METHODS = {
    "basic": (basic.train, BasicSettings(width=1, steps=24, batch_size=16, block_dropout=0.2)),
    "sgd": (basic.train, BasicSettings(width=1, steps=6, batch_size=8, depth=10)),
    "fixmatch": (
        fixmatch.train,
        replace(FIXMATCH, steps=24, alignment=True, adaptive=True),
    ),
    "transfer": (
        transfer.train,
        TransferSettings(backbone="test_resnet", weights="random", size=32, steps=12, batch_size=8),
    ),
    "fixmatch, one cycle": (fixmatch.train, replace(FIXMATCH, optimizer="", augment="")),
    "adam": (fixmatch.train, replace(FIXMATCH, optimizer="adam")),
}


class Stop:
    """Somebody who wants it to stop when so many steps are done."""

    def __init__(self, after: int) -> None:
        self.after = after
        self.heard: list[int] = []

    def __call__(self, event) -> None:
        if event.total:
            self.heard.append(event.done)
        if event.done >= self.after:
            raise Cancelled


@pytest.mark.parametrize("name", METHODS)
def test_stopped_and_gone_on_with_is_as_never_stopped(name, tmp_path):
    train, settings = METHODS[name]
    whole = weights(train(shades(), settings))
    for after in (2, settings.steps // 2):  # stopped twice
        with pytest.raises(Cancelled):
            train(shades(report=Stop(after), folder=tmp_path), settings)
        assert (tmp_path / fit.FILE).is_file()
    rest = Stop(10**9)
    again = weights(train(shades(report=rest, folder=tmp_path), settings))
    assert torch.equal(again, whole)
    assert min(rest.heard) > settings.steps // 2
    assert not list(tmp_path.iterdir())  # nothing is left of a training that is finished


@pytest.mark.parametrize("name", METHODS)
def test_rankings_on_the_way_change_nothing(name, monkeypatch):
    """Also where the classifier is asked for stochastic predictions in between."""
    train, settings = METHODS[name]
    whole = weights(train(shades(), settings))
    monkeypatch.setattr(fit, "RANK_SECONDS", 0.0)
    monkeypatch.setattr(fit, "RANK_SHARE", 1e9)
    said = []

    def rank(classifier):
        masks = np.random.default_rng(len(said))
        said.append(classifier.predict(shades().images, frozenset({"mc"}), masks, lambda event: None).probs)

    assert torch.equal(weights(train(shades(rank=rank), settings)), whole)
    assert len(said) > 2
    assert not torch.equal(said[0], said[-1])


def test_rankings_take_no_more_than_their_share_of_the_time(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(fit, "clock", lambda: now[0])
    monkeypatch.setattr(fit, "RANK_SECONDS", 2.0)
    ranked = []

    def report(event):
        now[0] += 1.0

    def rank(classifier):
        ranked.append(now[0])
        now[0] += 0.5

    train, settings = METHODS["basic"]
    train(shades(report=report, rank=rank), settings)
    assert ranked[0] >= 2.0
    assert ranked[1] - ranked[0] >= 0.5 / fit.RANK_SHARE


def test_stopped_while_it_ranks_nothing_is_lost(tmp_path, monkeypatch):
    monkeypatch.setattr(fit, "RANK_SECONDS", 0.0)
    train, settings = METHODS["basic"]

    def rank(classifier):
        raise Cancelled

    with pytest.raises(Cancelled):
        train(shades(rank=rank, folder=tmp_path), settings)
    assert (tmp_path / fit.FILE).is_file()


@pytest.mark.long
def test_a_file_of_another_training_is_not_gone_on_with(tmp_path):
    train, settings = METHODS["basic"]
    with pytest.raises(Cancelled):
        train(shades(report=Stop(12), folder=tmp_path), settings)
    for task, other in (
        (shades(seed=1), settings), (replace(shades(), labels={0: 0, 1: 1}), settings),
        (shades(), replace(settings, label_smoothing=0.1)),
    ):  # fmt: skip
        assert torch.equal(weights(train(replace(task, folder=tmp_path / "none"), other)), weights(train(task, other)))
        heard = Stop(1)
        with pytest.raises(Cancelled):
            train(replace(task, report=heard, folder=tmp_path), other)
        assert heard.heard == [1]


@pytest.mark.parametrize("damage", [b"", b"not a file of tensors", None])
def test_a_damaged_file_is_not_gone_on_with(damage, tmp_path):
    train, settings = METHODS["basic"]
    with pytest.raises(Cancelled):
        train(shades(report=Stop(12), folder=tmp_path), settings)
    file = tmp_path / fit.FILE
    file.write_bytes(file.read_bytes()[:-100] if damage is None else damage)
    assert torch.equal(weights(train(shades(folder=tmp_path), settings)), weights(train(shades(), settings)))


@pytest.mark.long
def test_a_killed_training_loses_at_most_what_was_done_since_the_last_file(tmp_path, monkeypatch):
    """No exception is raised where a process is killed: only the files that were written by the clock are there."""
    ticks = iter(range(10**6))
    monkeypatch.setattr(fit, "clock", lambda: 10.0 * next(ticks))
    train, settings = METHODS["basic"]
    copies = []

    def copy(event) -> None:
        if (tmp_path / fit.FILE).exists():
            copies.append((tmp_path / fit.FILE).read_bytes())

    whole = weights(train(shades(report=copy, folder=tmp_path), settings))
    assert len(set(copies)) > 3
    (tmp_path / fit.FILE).write_bytes(copies[-1])
    heard = Stop(10**9)
    assert torch.equal(weights(train(shades(report=heard, folder=tmp_path), settings)), whole)
    assert min(heard.heard) > 1


def test_a_full_disk_keeps_nobody_from_stopping(tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr("learner.checkpoint.write", full)
    train, settings = METHODS["basic"]
    with pytest.raises(Cancelled):
        train(shades(report=Stop(2), folder=tmp_path), settings)


def test_after_a_loss_that_is_not_finite_the_last_good_weights_are_there(tmp_path):
    train, settings = METHODS["basic"]
    with pytest.raises(Cancelled):
        train(shades(report=Stop(12), folder=tmp_path), settings)
    good = (tmp_path / fit.FILE).read_bytes()
    with pytest.raises(NotFinite):
        train(shades(folder=tmp_path), replace(settings, learning_rate=1e30))
    assert (tmp_path / fit.FILE).read_bytes() == good


def test_who_wants_it_to_stop_is_heard_inside_a_step_on_the_way_forth_and_back(monkeypatch):
    """Every look at the clock is half a second later: each layer is a chance to be heard."""
    ticks = iter(range(10**6))
    monkeypatch.setattr(fit, "clock", lambda: 0.5 * next(ticks))
    train, settings = METHODS["sgd"]
    heard = Stop(1)
    with pytest.raises(Cancelled):
        train(shades(report=heard), settings)
    layers = sum(not list(m.children()) for m in train(shades(), settings).net.modules())
    assert heard.heard[-1] == 1
    assert heard.heard.count(0) > 1.5 * layers


def test_it_says_how_fast_it_is_and_what_is_left(monkeypatch):
    ticks = iter(range(10**6))
    monkeypatch.setattr(fit, "HEARD_SECONDS", 1e9)
    monkeypatch.setattr(fit, "clock", lambda: 2.0 * next(ticks))
    said = []
    train, settings = METHODS["fixmatch"]
    train(shades(report=lambda event: said.append(event.activity)), settings)
    assert said[-1].startswith("training (loss ")
    assert "sure of " in said[-1]
    assert said[-1].endswith("0 s left)")
    assert [fit._duration(seconds) for seconds in (12.3, 150, 9000)] == ["12 s", "2 min", "2.5 h"]
