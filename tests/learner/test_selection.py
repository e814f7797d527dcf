"""What is said of a selection, against the definitions."""

import time

import numpy as np
import pytest
import torch

from learner import loop
from learner.acquisition import STRATEGIES
from learner.acquisition.selection import Selection
from learner.config import LoopSettings, PropagateSettings
from learner.events import Predicted
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
