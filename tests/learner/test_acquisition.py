"""The contract of every strategy, and scores against baal's and scikit-activeml's."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from strategies import candidates, random_candidates

from learner.acquisition import STRATEGIES
from learner.acquisition.bayesian import bald, mean_std
from learner.acquisition.candidates import Candidates, Picks
from learner.acquisition.uncertainty import entropy, least_confidence, margin
from learner.errors import NotFinite
from learner.predict import moments

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from skactiveml.pool import uncertainty_scores

BY_SCORE = ["least_confidence", "margin", "entropy", "bald", "variation_ratios", "mean_std"]
DRAWN = {"random", "stratified", "power_bald", "kmeans_random", "dbscan", "optics"}  # have probabilities
every_strategy = pytest.mark.parametrize("name", STRATEGIES)
some_examples = hypothesis_settings(max_examples=25, deadline=None)


def ask(name: str, given: Candidates, size: int, seed: int = 0) -> Picks:
    row = STRATEGIES[name]
    return row.load()(given, size, np.random.default_rng(seed), row.settings())


@every_strategy
@some_examples
@given(given=candidates(), size=st.integers(1, 60), seed=st.integers(0, 9))
def test_a_query_is_distinct_images_of_the_pool(name, given, size, seed):
    ids = ask(name, given, size, seed).ids.tolist()
    assert len(ids) == min(size, len(given.pool.ids))
    assert len(set(ids)) == len(ids)
    assert set(ids) <= set(given.pool.ids.tolist())


@every_strategy
@some_examples
@given(given=candidates(), size=st.integers(1, 20), seed=st.integers(0, 9))
def test_the_same_seed_asks_the_same_images(name, given, size, seed):
    assert ask(name, given, size, seed).ids.tolist() == ask(name, given, size, seed).ids.tolist()


@every_strategy
@some_examples
@given(given=candidates(), size=st.integers(1, 60))
def test_scores_are_finite(name, given, size):
    scores = ask(name, given, size).scores
    assert scores is None or (len(scores) == min(size, len(given.pool.ids)) and np.isfinite(scores).all())


@pytest.mark.parametrize("name", sorted({*DRAWN, "bald", "badge", "typiclust"}))
@some_examples
@given(given=candidates(), size=st.integers(1, 60))
def test_probabilities_are_those_of_draws_one_for_each_image(name, given, size):
    picks = ask(name, given, size)
    assert (picks.probabilities is not None) == (name in DRAWN)
    if picks.probabilities is not None:
        assert len(picks.probabilities) == len(picks.ids)
        assert ((picks.probabilities > 0) & (picks.probabilities <= 1)).all()


@pytest.mark.parametrize("name", BY_SCORE)
@some_examples
@given(given=candidates(), size=st.integers(1, 60))
def test_the_highest_scores_are_asked_first(name, given, size):
    everything = ask(name, given, len(given.pool.ids)).scores
    assert ask(name, given, size).scores.tolist() == sorted(everything.tolist(), reverse=True)[:size]


@every_strategy
def test_ties_are_broken_by_the_seed(name):
    same = random_candidates(np.random.default_rng(0), 60, spread=0.0, copies=1000)
    queries = {tuple(ask(name, same, 5, seed).ids.tolist()) for seed in range(5)}
    assert len(queries) == 5


@every_strategy
def test_an_empty_pool_is_asked_nothing(name):
    given = random_candidates(np.random.default_rng(0), 1, labeled=3)
    nothing = {key: value[:0] for key, value in vars(given.pool).items()}
    assert len(ask(name, replace(given, pool=replace(given.pool, **nothing)), 5).ids) == 0


@pytest.mark.parametrize("name", [name for name in STRATEGIES if STRATEGIES[name].needs - {"truth"}])
def test_a_prediction_that_is_not_a_number_stops_the_round(name):
    given = random_candidates(np.random.default_rng(0), 20)
    broken = {key: getattr(given.pool, key).clone() for key in ("probs", "mean_probs", "votes", "std", "embedding")}
    for values in broken.values():
        values[7, 0] = torch.nan
    with pytest.raises(NotFinite, match="not finite"):
        ask(name, replace(given, pool=replace(given.pool, **broken)), 5)


def test_random_selects_every_image_with_the_probability_it_says():
    given = random_candidates(np.random.default_rng(0), 10)
    queries = [ask("random", given, 3, seed) for seed in range(2000)]
    shares = np.unique(np.concatenate([query.ids for query in queries]), return_counts=True)[1] / 2000
    assert queries[0].probabilities == pytest.approx([0.3] * 3)
    assert shares == pytest.approx(0.3, abs=0.05)


def sampled_logits(spread: float) -> torch.Tensor:
    rng = np.random.default_rng(1)
    return torch.from_numpy(rng.uniform(-spread, spread, (20, 300, 10)).astype(np.float32))  # (T, N, C)


# importing baal imports a module of structlog that announces its own end
@pytest.mark.filterwarnings("ignore:`structlog.threadlocal`:DeprecationWarning")
@pytest.mark.parametrize("spread", [0.0, 2.0, 40.0])
def test_scores_agree_with_baal(spread):
    from baal.active.heuristics import BALD, Entropy, Margin

    logits = sampled_logits(spread)
    samples = logits.softmax(dim=2).permute(1, 2, 0).numpy()  # (N, C, T)
    probs = samples.mean(axis=2)
    ours = bald(**moments(logits)).numpy()
    assert ours == pytest.approx(BALD().compute_score(samples), abs=1e-5)
    assert entropy(torch.from_numpy(probs)).numpy() == pytest.approx(Entropy().compute_score(probs), abs=1e-5)
    # baal's margin is the gap itself, lowest asked first
    assert 1 - margin(torch.from_numpy(probs)).numpy() == pytest.approx(Margin().compute_score(probs), abs=1e-5)


@pytest.mark.filterwarnings("ignore:`structlog.threadlocal`:DeprecationWarning")
def test_mean_std_is_a_standard_deviation_where_baal_has_the_variance():
    """The mean over classes comes after the root, so the two do not even rank images alike."""
    from baal.active.heuristics import Variance

    logits = sampled_logits(2.0)
    samples = logits.softmax(dim=2).permute(1, 2, 0).numpy()  # (N, C, T)
    variance = Variance().compute_score(samples)  # (N, C)
    ours = mean_std(moments(logits, frozenset({"std"}))["std"]).numpy()
    assert ours == pytest.approx(samples.std(axis=2).mean(axis=1), abs=1e-5)
    assert ours == pytest.approx(np.sqrt(variance).mean(axis=1), abs=1e-5)
    assert set(np.argsort(-ours)[:20]) != set(np.argsort(-variance.mean(axis=1))[:20])


@pytest.mark.parametrize("spread", [0.0, 2.0, 40.0])
def test_scores_agree_with_scikit_activeml(spread):
    probs = sampled_logits(spread)[0].softmax(dim=1)
    ours = {"least_confident": least_confidence, "margin_sampling": margin, "entropy": entropy}
    for method, score in ours.items():
        assert score(probs).numpy() == pytest.approx(uncertainty_scores(probs.numpy(), method=method), abs=1e-6)


def test_least_confidence_asks_the_images_whose_likeliest_class_is_least_likely():
    given = random_candidates(np.random.default_rng(0), 200, classes=5)
    picks = ask("least_confidence", given, 30)
    highest = given.pool.probs.numpy().max(axis=1)
    assert picks.ids.tolist() == given.pool.ids[np.argsort(highest)[:30]].tolist()
    assert picks.scores == pytest.approx(1 - np.sort(highest)[:30], abs=1e-6)


@pytest.mark.parametrize("spread", [0.0, 2.0, 40.0, 800.0])
def test_rounding_makes_bald_negative_by_a_millionth_at_most(spread):
    mean_probs, expected_entropy = moments(sampled_logits(spread)).values()
    assert (entropy(mean_probs.double()) - expected_entropy).min() >= -1e-6
    assert bald(mean_probs, expected_entropy).min() >= 0
