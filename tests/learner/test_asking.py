"""Near-duplicates and the class quota, for any strategy; and what auto chooses."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from strategies import candidates, random_candidates

from learner.acquisition import STRATEGIES, asking, auto
from learner.acquisition.asking import Rules, _Likeness, choose
from learner.acquisition.candidates import Candidates, Picks
from learner.settings import Choice
from learner.training import METHODS


def ask(name: str, pool: Candidates, size: int, **rules) -> Picks:
    strategy = Choice(name, STRATEGIES[name].settings())
    return choose(STRATEGIES[name].load(), pool, size, np.random.default_rng(0), strategy, Rules(**rules))


def bursts(number: int = 40, each: int = 5) -> Candidates:
    """Every image five times, but for noise that nobody sees."""
    pool = random_candidates(np.random.default_rng(0), number * each)
    scenes = np.random.default_rng(1).normal(size=(number, 16)).repeat(each, axis=0)
    embedding = torch.from_numpy(
        (scenes + 1e-3 * np.random.default_rng(2).normal(size=scenes.shape)).astype(np.float32)
    )
    probs = pool.pool.need("probs")[:number].repeat_interleave(each, dim=0)
    side = replace(pool.pool, embedding=embedding, penultimate=embedding, probs=probs)
    return replace(pool, pool=side, labeled=side.only(np.zeros(number * each, bool)))


@pytest.mark.parametrize("name", ["entropy", "margin", "coreset", "badge", "kmeans", "rdss", "bait"])
def test_nothing_nearly_the_same_is_asked_twice(name):
    pool = bursts()
    picks = ask(name, pool, 20, duplicates=0.99)
    scenes = np.searchsorted(pool.pool.ids, picks.ids) // 5
    assert len(set(scenes.tolist())) == len(scenes) == 20


def test_without_the_rule_uncertainty_asks_the_same_scene_again():
    pool = bursts()
    scenes = np.searchsorted(pool.pool.ids, ask("entropy", pool, 20).ids) // 5
    assert len(set(scenes.tolist())) == 4


def test_the_first_of_a_scene_is_asked_in_the_order_of_the_scores():
    pool = bursts()
    picks = ask("entropy", pool, 10, duplicates=0.99)
    assert picks.scores.tolist() == sorted(picks.scores.tolist(), reverse=True)
    assert "left out: near-duplicates" in picks.note


def test_where_everything_left_is_a_duplicate_they_fill_the_query():
    pool = bursts(number=7)
    scenes = np.searchsorted(pool.pool.ids, ask("entropy", pool, 20, duplicates=0.99).ids) // 5
    assert len(scenes) == 20
    assert sorted(scenes[:7].tolist()) == list(range(7))


def test_images_that_differ_in_brightness_alone_are_no_duplicates():
    """Each of their cosines is 1 or -1."""
    pool = random_candidates(np.random.default_rng(0), 50)
    grey = torch.linspace(-1, 1, 50)[:, None].repeat(1, 4)
    side = replace(pool.pool, embedding=grey)
    pool = replace(pool, pool=side, labeled=side.only(np.zeros(50, bool)))
    assert len(ask("entropy", pool, 8, duplicates=0.98).ids) == 8


def test_likeness_is_the_cosine_of_rows_of_length_one():
    unit = torch.nn.functional.normalize(torch.from_numpy(np.random.default_rng(0).normal(size=(20, 5))).float(), dim=1)
    every = torch.arange(20)
    assert torch.allclose(_Likeness(unit)(every, every), unit @ unit.T, atol=1e-5)


def test_an_image_at_the_very_edge_of_likeness_is_refused_once_and_not_for_ever(monkeypatch):
    """Products of matrices of other shapes round otherwise: what looks free together may be too alike alone."""
    queries = []

    def select(given, size, rng, settings):
        assert len(queries) < 50, "it is asked again and again"
        queries.append(given.pool.ids)
        return Picks(given.pool.ids[:size])

    monkeypatch.setattr(_Likeness, "any_above", lambda self, rows, others, limit: np.full(len(rows), len(rows) < 5))
    pool = bursts(number=3, each=2)
    picks = choose(select, pool, 5, np.random.default_rng(0), Choice("entropy"), Rules(duplicates=0.99))
    assert len(set(picks.ids.tolist())) == 5


@pytest.mark.parametrize("at_once", [1, 3, 2048])
def test_which_images_are_kept_is_the_same_in_any_blocks(monkeypatch, at_once):
    monkeypatch.setattr(asking, "AT_ONCE", at_once)
    pool = bursts(number=12)
    unit = torch.nn.functional.normalize(pool.pool.need("embedding"), dim=1).numpy()
    kept: list[int] = []
    for row in np.searchsorted(pool.pool.ids, ask("entropy", pool, 60).ids).tolist():  # by the definition
        if not kept or (unit[kept] @ unit[row]).max() <= 0.9:
            kept.append(row)
    picks = np.searchsorted(pool.pool.ids, ask("entropy", pool, 12, duplicates=0.9).ids)
    assert (picks // 5).tolist() == [row // 5 for row in kept]  # which of a scene is drawn


def test_a_random_query_stays_one():
    plain, ruled = ask("random", bursts(), 50), ask("random", bursts(), 50, duplicates=0.99)
    assert plain.ids.tolist() == ruled.ids.tolist()
    assert ruled.probabilities is not None


@pytest.mark.parametrize("name", ["entropy", "random", "badge"])
def test_no_class_is_asked_more_than_its_share(name):
    pool = random_candidates(np.random.default_rng(0), 300, classes=4)
    probs = pool.pool.need("probs").clone()
    probs[:240] = torch.tensor([0.4, 0.3, 0.2, 0.1])  # most images look like the first class
    pool = replace(pool, pool=replace(pool.pool, probs=probs))
    picks = ask(name, pool, 40, class_quota=0.25)
    said = probs.argmax(dim=1).numpy()[np.searchsorted(pool.pool.ids, picks.ids)]
    assert np.bincount(said, minlength=4).max() <= 10
    assert len(set(picks.ids.tolist())) == 40
    assert picks.probabilities is None


def test_under_a_quota_no_probability_is_known_even_where_nothing_was_left_out():
    """Another draw would have been cut."""
    picks = ask("random", random_candidates(np.random.default_rng(0), 300, classes=4), 2, class_quota=1.0)
    assert "left out" not in picks.note
    assert picks.probabilities is None


def test_a_quota_that_leaves_nothing_is_dropped():
    pool = random_candidates(np.random.default_rng(0), 30, classes=3)
    pool = replace(pool, pool=replace(pool.pool, probs=torch.tensor([0.8, 0.1, 0.1]).repeat(30, 1)))
    assert len(ask("margin", pool, 20, class_quota=0.1).ids) == 20


def test_before_there_is_a_model_there_is_no_quota():
    pool = random_candidates(np.random.default_rng(0), 30)
    pool = replace(pool, pool=replace(pool.pool, probs=None))
    assert ask("typiclust", pool, 9, class_quota=0.1).ids.tolist() == ask("typiclust", pool, 9).ids.tolist()


@settings(max_examples=30, deadline=None)
@given(pool=candidates())
@pytest.mark.parametrize("name", ["margin", "kmeans", "random"])
def test_any_pool_gives_distinct_images(name, pool):
    for rules in ({"duplicates": 0.9}, {"class_quota": 0.3}, {"duplicates": 0.9, "class_quota": 0.3}):
        picks = ask(name, pool, 12, **rules)
        ids = picks.ids.tolist()
        assert len(set(ids)) == len(ids)
        assert set(ids) <= set(pool.pool.ids.tolist())
        assert len(ids) == min(12, len(pool.pool.ids))


def test_images_that_were_asked_are_covered_but_have_no_class():
    pool = random_candidates(np.random.default_rng(0), 30, labeled=5)
    asked = pool.asked(pool.pool.ids[:4])
    assert len(asked.pool.ids) == 26
    assert len(asked.labeled.ids) == len(asked.labeled.need("embedding")) == 9
    assert asked.stage.tolist() == pool.stage.tolist()


# auto


@pytest.mark.parametrize("method", METHODS)
def test_auto_has_a_schedule_for_every_method(method):
    advised = [auto.advise(labels, 10, method) for labels in (0, 10, 100, 10_000)]
    assert all(name in STRATEGIES and why for name, why in advised)
    assert advised[0][0] == "typiclust"


def test_the_last_switch_point_that_is_reached_counts():
    for kind, schedule in auto.SCHEDULE.items():
        method = next(name for name, of in auto.KINDS.items() if of == kind)
        for (start, name), end in zip(schedule, [*(start for start, _ in schedule[1:]), 1e9], strict=True):
            assert auto.advise(max(1, int(start * 10)), 10, method)[0] == name
            assert auto.advise(int(end * 10) - 1, 10, method)[0] == name


def test_auto_says_what_it_did_and_why():
    pool = random_candidates(np.random.default_rng(0), 30, labeled=9)
    picks = ask("auto", replace(pool, method="propagate"), 3)
    assert picks.note == "auto: typiclust at 3.0 labels per class, method propagate, max_herding from 20 on"
