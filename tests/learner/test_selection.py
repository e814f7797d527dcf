"""What is said of a selection, against the definitions."""

import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from learner import loop
from learner.acquisition import STRATEGIES
from learner.acquisition.selection import Selection
from learner.config import BasicSettings, LoopSettings, PropagateSettings
from learner.datasets import load
from learner.events import Predicted
from learner.features import embed, parse
from learner.settings import Choice
from learner.simulate import Cell, run_cell

CLASSES = np.repeat([0, 1, 2], [60, 30, 10])
POINTS = np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32)


def test_classes_total_variation_and_radius_are_those_of_everything_asked():
    selection = Selection(CLASSES, 3, torch.from_numpy(POINTS))
    first = selection.add(np.array([0, 1, 2, 3]))
    assert (first.classes_seen, first.total_variation) == (1, pytest.approx(0.4))
    second = selection.add(np.array([60, 61, 95, 96]))
    assert second.classes_seen == 3
    # shares 1/2, 1/4, 1/4 against 0.6, 0.3, 0.1
    assert second.total_variation == pytest.approx((0.1 + 0.05 + 0.15) / 2)
    away = np.linalg.norm(POINTS[:, None] - POINTS[None, [0, 1, 2, 3, 60, 61, 95, 96]], axis=2).min(axis=1)
    assert second.coverage_radius == pytest.approx(away.max(), rel=1e-3)


def test_everything_asked_leaves_nothing():
    found = Selection(CLASSES, 3, torch.from_numpy(POINTS)).add(np.arange(100))
    assert (found.classes_seen, found.total_variation) == (3, 0)
    assert found.coverage_radius < 1e-2


def test_a_simulation_says_what_was_asked_and_what_it_looks_like():
    settings = LoopSettings(query_size=10, budget=30, tail_size=0, full_query_only=True, cold_start="random")

    def rows(name: str) -> list[dict]:
        strategy = Choice(name, STRATEGIES[name].settings())
        return run_cell(Cell("digits", Choice("propagate", PropagateSettings()), strategy, settings))

    random, coreset = rows("random"), rows("coreset")
    asked = [image for row in coreset for image in row["asked"]]
    assert len(asked) == len(set(asked)) == 30
    assert [row["classes_seen"] for row in random] == [sum(n > 0 for n in row["labels_per_class"]) for row in random]
    assert all(c["coverage_radius"] < r["coverage_radius"] for c, r in zip(coreset, random, strict=True))
    assert all(0 <= row["total_variation"] <= 1 for row in random + coreset)
    assert "noise, eps" in rows("dbscan")[0]["asked_note"]


def test_all_strategies_of_a_method_are_measured_in_one_space():
    """What a strategy looks at is no measure for the others: here it is pca, because `basic` sees no features."""
    digits = load("digits", 0)
    few = replace(
        digits, train=digits.train.only(digits.train.ids[:10]), train_classes=digits.train_classes[:10],
        test=digits.test.only(digits.test.ids[:10]), test_classes=digits.test_classes[:10],
    )  # fmt: skip
    method = Choice("basic", BasicSettings(steps=2, batch_size=4, width=1))

    def first(name: str, features: str) -> tuple[list[int], float]:
        settings = LoopSettings(
            query_size=5, budget=10, tail_size=0, full_query_only=True, cold_start="random", features=features
        )
        rows = run_cell(Cell("digits", method, Choice(name, STRATEGIES[name].settings()), settings), dataset=few)
        return rows[0]["asked"], rows[0]["coverage_radius"]

    seen = embed(few.train, parse("pca"))
    for name, features in (("random", ""), ("random", "pixels"), ("kmeans", "pixels")):
        asked, radius = first(name, features)
        picked = seen[few.train.positions(np.array(asked))]
        away = np.linalg.norm(seen[:, None] - picked[None], axis=2).min(axis=1)
        assert radius == pytest.approx(away.max(), rel=1e-3)


def test_strategies_of_one_seed_train_the_same_first_net():
    """The start, the initial weights and the order of batches: bit for bit, whatever the strategy looks at later."""
    digits = load("digits", 0)
    few = replace(  # quick, and as good for this
        digits, train=digits.train.only(digits.train.ids[:100]), train_classes=digits.train_classes[:100],
        test=digits.test.only(digits.test.ids[:100]), test_classes=digits.test_classes[:100],
    )  # fmt: skip

    def play(name: str, seed: int = 0) -> tuple[list[dict], Predicted]:
        events = []
        settings = LoopSettings(query_size=10, budget=20, tail_size=0, cold_start="random", seed=seed)
        strategy = Choice(name, STRATEGIES[name].settings())
        method = BasicSettings(steps=2, batch_size=4, mc_samples=2, width=1)
        rows = run_cell(Cell("digits", Choice("basic", method), strategy, settings), events.append, few)
        return rows, next(event for event in events if isinstance(event, Predicted))

    def weights(said: Predicted) -> torch.Tensor:
        return torch.cat([values.flatten().double() for values in said.classifier.net.state_dict().values()])

    random, said = play("random")
    for name in ("margin", "bald"):
        rows, other = play(name)
        assert rows[0]["asked"] == random[0]["asked"]
        assert torch.equal(weights(other), weights(said))
        assert torch.equal(other.predictions.probs, said.predictions.probs)
        measured = ("accuracy", "balanced_accuracy", "macro_f1")
        assert [rows[0][key] for key in measured] == [random[0][key] for key in measured]
        assert rows[1]["asked"] != random[1]["asked"]
    assert not torch.equal(weights(play("random", seed=1)[1]), weights(said))


def test_the_seconds_of_choosing_stand_beside_what_was_chosen(monkeypatch):
    """The first query takes 100 s longer, the second 10; the clock is put forward."""
    offset, clock = [0.0], time.perf_counter

    def slower(function, seconds):
        def wrapped(*arguments):
            offset[0] += seconds
            return function(*arguments)

        return wrapped

    monkeypatch.setattr(time, "perf_counter", lambda: clock() + offset[0])
    monkeypatch.setattr(loop, "cold_query", slower(loop.cold_query, 100))
    monkeypatch.setattr(loop, "select", slower(loop.select, 10))
    settings = LoopSettings(query_size=10, budget=20, tail_size=0, full_query_only=True)
    strategy = Choice("typiclust", STRATEGIES["typiclust"].settings())
    first, second = run_cell(Cell("digits", Choice("propagate", PropagateSettings()), strategy, settings))
    assert 100 <= first["select_seconds"] < 109
    assert 10 <= second["select_seconds"] < 19


def test_the_last_round_predicts_without_what_only_a_strategy_would_need():
    seen = []

    def listen(event):
        if isinstance(event, Predicted):
            seen.append(event.predictions.mean_probs is not None)

    settings = LoopSettings(query_size=10, budget=30, tail_size=0, full_query_only=True)
    rows = run_cell(
        Cell(
            "digits", Choice("propagate", PropagateSettings()), Choice("bald", STRATEGIES["bald"].settings()), settings
        ),
        listen,
    )
    assert [row["labels"] for row in rows] == [10, 20, 30]
    assert seen == [True, True, False]
