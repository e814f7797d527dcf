"""Scores of stochastic predictions against closed forms and brute force."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from strategies import random_candidates

from learner.acquisition import STRATEGIES
from learner.acquisition.batch_bald import batch_bald
from learner.acquisition.bayesian import bald, gumbel_top_k, mean_std, variation_ratio
from learner.acquisition.settings import PowerBaldSettings
from learner.predict import moments


def logits(models: int = 20, images: int = 50, classes: int = 4, spread: float = 3.0) -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.uniform(-spread, spread, (models, images, classes)).astype(np.float32))


def test_variation_ratio_counts_who_does_not_say_the_most_frequent_class():
    """realistic-al's function of this name is one minus the highest mean probability, which is least confidence."""
    given = logits()
    votes = given.argmax(dim=2).numpy()  # (T, N)
    expected = [1 - np.bincount(votes[:, i]).max() / 20 for i in range(50)]
    assert variation_ratio(moments(given, frozenset({"votes"}))["votes"]).numpy() == pytest.approx(expected, abs=1e-6)


def test_mean_std_is_that_of_the_samples():
    given = logits()
    expected = given.softmax(dim=2).double().numpy().std(axis=0).mean(axis=1)
    assert mean_std(moments(given, frozenset({"std"}))["std"]).numpy() == pytest.approx(expected, abs=1e-6)


def test_equal_predictions_have_no_spread():
    same = logits()[:1].expand(20, -1, -1)
    found = moments(same, frozenset({"std", "votes"}))
    assert mean_std(found["std"]).abs().max() < 1e-6
    assert variation_ratio(found["votes"]).abs().max() == 0


def test_samples_are_kept_only_where_they_are_needed():
    given = logits()
    assert set(moments(given)) == {"mean_probs", "expected_entropy"}
    kept = moments(given, frozenset({"samples"}))["samples"]
    assert torch.allclose(kept, given.softmax(dim=2).permute(1, 0, 2), atol=1e-6)


# power_bald


def test_images_are_drawn_in_proportion_to_their_weights():
    weights = np.array([1.0, 2.0, 3.0, 4.0])
    first = [gumbel_top_k(np.log(weights), 1, np.random.default_rng(seed))[0][0] for seed in range(4000)]
    assert np.bincount(first) / 4000 == pytest.approx(weights / 10, abs=0.03)


def test_one_over_the_probability_makes_sums_unbiased():
    rng = np.random.default_rng(0)
    weights, values = rng.uniform(0.1, 5, 30), rng.normal(3, 1, 30)
    sums = []
    for seed in range(4000):
        rows, chances = gumbel_top_k(np.log(weights), 10, np.random.default_rng(seed))
        sums.append((values[rows] / chances).sum())
    assert np.mean(sums) == pytest.approx(values.sum(), abs=4 * np.std(sums) / np.sqrt(4000))


def test_a_whole_pool_is_certain():
    assert gumbel_top_k(np.zeros(5), 9, np.random.default_rng(0))[1].tolist() == [1.0] * 5


def test_large_beta_is_bald_and_beta_zero_is_random():
    given = random_candidates(np.random.default_rng(0), 200)
    select = STRATEGIES["power_bald"].load()
    best = set(STRATEGIES["bald"].load()(given, 20, np.random.default_rng(0), None).ids.tolist())

    def common(beta: float) -> float:
        queries = [select(given, 20, np.random.default_rng(s), PowerBaldSettings(beta=beta)) for s in range(50)]
        return float(np.mean([len(best & set(query.ids.tolist())) for query in queries]))

    assert common(10_000.0) == 20
    assert common(0.0) == pytest.approx(20 * 20 / 200, abs=1)
    assert 2.5 < common(1.0) < 16


@pytest.mark.parametrize("beta", [0.5, 1.0, 3.0])
def test_rounding_below_zero_makes_no_draw_of_images_that_tell_nothing(beta):
    """A BALD of -2e-7 to a power below one is not a number: with one of them baal 2.1's PowerBALD draws uniformly."""
    given = random_candidates(np.random.default_rng(0), 150)
    side, sure = given.pool, torch.arange(150) >= 30
    mean = torch.where(sure[:, None], torch.tensor([1.0, 0.0, 0.0]), torch.full((150, 3), 1 / 3))
    expected = torch.where(sure, torch.tensor(2e-7), torch.tensor(0.3))  # of the sure ones above their own entropy
    given = replace(given, pool=replace(side, mean_probs=mean, expected_entropy=expected))
    select = STRATEGIES["power_bald"].load()
    picks = select(given, 15, np.random.default_rng(0), PowerBaldSettings(beta=beta))
    assert set(picks.ids.tolist()) <= set(side.ids[:30].tolist())


# batch_bald


def joint_information(samples: np.ndarray, rows: tuple[int, ...]) -> float:
    """I(y_1, ..., y_b; model) by all joint labels: (n, T, C)."""
    models, classes = samples.shape[1:]
    entropy = 0.0
    for labels in product(range(classes), repeat=len(rows)):
        p = np.mean([np.prod([samples[row, t, c] for row, c in zip(rows, labels, strict=True)]) for t in range(models)])
        entropy -= p * np.log(p) if p > 0 else 0
    conditional = -np.where(samples > 0, samples * np.log(np.maximum(samples, 1e-300)), 0).sum(axis=2).mean(axis=1)
    return entropy - conditional[list(rows)].sum()


@pytest.mark.parametrize("seed", range(3))
def test_three_images_are_those_of_brute_force(seed):
    rng = np.random.default_rng(seed)
    samples = torch.from_numpy(rng.uniform(-4, 4, (9, 5, 3))).softmax(dim=2).numpy()
    rows, gains = batch_bald(torch.from_numpy(samples), 3, 1000, rng)
    chosen: tuple[int, ...] = ()
    for row, gain in zip(rows.tolist(), gains, strict=True):
        now = {i: joint_information(samples, (*chosen, i)) for i in range(9) if i not in chosen}
        before = joint_information(samples, chosen) if chosen else 0.0
        assert row == max(now, key=now.__getitem__)
        assert gain == pytest.approx(now[row] - before, abs=1e-9)
        chosen += (row,)


def test_the_first_image_has_the_highest_bald():
    given = logits()
    rows, gains = batch_bald(given.softmax(dim=2).permute(1, 0, 2), 1, 1000, np.random.default_rng(0))
    scores = bald(**moments(given))
    assert rows[0] == int(scores.argmax())
    assert gains[0] == pytest.approx(float(scores.max()), abs=1e-6)


def test_drawn_configurations_come_near_the_exact_ones():
    samples = logits(models=10, images=30, classes=3).softmax(dim=2).permute(1, 0, 2)
    exact = batch_bald(samples, 6, 3**6, np.random.default_rng(0))
    drawn = batch_bald(samples, 6, 300, np.random.default_rng(0))
    assert drawn[1].sum() == pytest.approx(exact[1].sum(), rel=0.02)


def test_a_copy_of_a_chosen_image_tells_little():
    """By the sum of BALD the same image is worth asking three times."""
    one = logits(images=1, spread=6.0).softmax(dim=2).permute(1, 0, 2)
    others = logits(images=10, spread=2.0).softmax(dim=2).permute(1, 0, 2)
    rows, gains = batch_bald(torch.cat([one, one, one, others]), 4, 1000, np.random.default_rng(0))
    assert len(set(rows.tolist()) & {0, 1, 2}) <= 2
    assert (np.diff(gains) <= 1e-9).all()
    assert gains.sum() <= np.log(20)


def test_images_beyond_the_batch_follow_by_bald():
    """In baal's BatchBALD those that were not looked at share one score, so that the end of the pool follows."""
    given = random_candidates(np.random.default_rng(0), 60)
    row = STRATEGIES["batch_bald"]
    picks = row.load()(given, 40, np.random.default_rng(0), row.settings(max_batch=5))
    rest = picks.scores[5:]
    assert len(set(picks.ids.tolist())) == 40
    assert rest.tolist() == sorted(rest.tolist(), reverse=True)
