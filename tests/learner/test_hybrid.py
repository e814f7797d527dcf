"""Strategies that look at predictions and features together: against scikit-activeml and explicit matrices."""

import warnings
from itertools import product

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from learner.acquisition import STRATEGIES, hybrid
from learner.acquisition.badge import gradients, spread_out
from learner.acquisition.bait import _State, backward, forward
from learner.acquisition.candidates import Candidates, Picks, Side
from learner.acquisition.clustering import cluster
from learner.acquisition.hybrid import changed
from learner.acquisition.information_density import density
from learner.settings import NoSettings, resolve

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from skactiveml.classifier import SklearnClassifier
    from skactiveml.pool import Badge, Clue, DropQuery


def draw(number: int = 120, classes: int = 4, width: int = 6, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    probs = torch.from_numpy(rng.uniform(-3, 3, (number, classes)).astype(np.float32)).softmax(dim=1)
    return probs, torch.from_numpy(rng.normal(size=(number, width)).astype(np.float32))


def explicit(probs: torch.Tensor, z: torch.Tensor) -> np.ndarray:
    """Every gradient written out: (N, C * H)."""
    left, right = gradients(probs, z)
    return torch.einsum("nc,nh->nch", left, right).flatten(1).double().numpy()


def candidates(probs: torch.Tensor, z: torch.Tensor, labeled: int = 0, **more) -> Candidates:
    ids = np.arange(len(z))
    side = Side(ids, probs=probs, penultimate=z, embedding=z)
    known = ids < labeled
    pool, asked = side.only(~known), side.only(known)
    return Candidates(pool, Side(asked.ids, asked.probs, penultimate=asked.penultimate, embedding=asked.embedding,
                                 classes=np.zeros(labeled, int)), probs.shape[1], **more)  # fmt: skip


def ask(name: str, given: Candidates, size: int, **values) -> Picks:
    row = STRATEGIES[name]
    return row.load()(given, size, np.random.default_rng(0), resolve(row.settings, values))


def groups(number: int = 90, width: int = 6) -> tuple[torch.Tensor, np.ndarray]:
    """Points of three far groups, which k-means always finds, and the group of each."""
    where = np.arange(number) % 3
    noise = np.random.default_rng(0).normal(size=(number, width))
    return torch.from_numpy((30 * np.eye(width)[where] + noise).astype(np.float32)), where


# badge


def test_factorised_distances_are_those_of_the_gradients():
    probs, z = draw()
    g = explicit(probs, z)
    rows, scores = spread_out(*gradients(probs, z), 10, np.random.default_rng(0))
    assert rows[0] == np.linalg.norm(g, axis=1).argmax()
    assert scores[0] == pytest.approx(np.square(g[rows[0]]).sum(), rel=1e-4)
    for step in range(1, 10):
        away = np.square(g[rows[step]] - g[rows[:step]]).sum(axis=1).min()
        assert scores[step] == pytest.approx(away, rel=1e-3)


@pytest.mark.long
def test_badge_draws_by_the_squared_distances_of_scikit_activeml():
    """Which also counts the origin as chosen, unlike the paper and its code: with it both are the same."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 5)), rng.integers(0, 3, 60)
    fitted = SklearnClassifier(LogisticRegression(), classes=[0, 1, 2]).fit(x, y)
    first, theirs = Badge(random_state=0).query(
        x, np.full(60, np.nan), fitted, fit_clf=False, batch_size=2, return_utilities=True
    )
    probs, z = (torch.from_numpy(values).float() for values in (fitted.predict_proba(x), x))
    drawn = [spread_out(*gradients(probs, z), 2, np.random.default_rng(seed))[0] for seed in range(4000)]
    assert {rows[0] for rows in drawn} == {first[0]}
    g = explicit(probs, z)
    away = np.square(g - g[first[0]]).sum(axis=1)
    with_origin = np.minimum(away, np.square(g).sum(axis=1))
    assert np.nan_to_num(theirs[1]) == pytest.approx(with_origin / with_origin.sum(), abs=1e-6)
    shares = np.bincount([rows[1] for rows in drawn], minlength=60) / 4000
    assert shares == pytest.approx(away / away.sum(), abs=0.02)


def test_badge_squares_a_distance_once():
    """Beside the longest lie three at distances 1, 2 and 3. To the power of four the last would come in 83 % of draws.

    What the published code names D2 are distances, too, which it squares when it draws; squares squared again are a
    mistake that is easily made in a copy of it.
    """
    left, right = torch.ones(4, 1), torch.tensor([[10.0], [9.0], [8.0], [7.0]])
    drawn = [spread_out(left, right, 2, np.random.default_rng(seed))[0] for seed in range(3000)]
    assert {rows[0] for rows in drawn} == {0}
    shares = np.bincount([rows[1] for rows in drawn], minlength=4) / 3000
    assert shares == pytest.approx(np.array([0, 1, 4, 9]) / 14, abs=0.03)


def test_badge_goes_on_where_all_predictions_are_certain():
    probs = torch.eye(3).repeat(10, 1)
    picks = STRATEGIES["badge"].load()(candidates(probs, draw(30)[1]), 12, np.random.default_rng(0), NoSettings())
    assert len(set(picks.ids.tolist())) == 12


# bait


def trace(x: np.ndarray, known: np.ndarray, total: np.ndarray) -> float:
    return float(np.trace(np.linalg.inv(known + x.T @ x) @ total))


def state_of(x: np.ndarray) -> tuple[_State, np.ndarray, np.ndarray]:
    total, known = x.T @ x / len(x), np.eye(x.shape[1])
    return _State.of(*(torch.from_numpy(values) for values in (x, known, total))), total, known


def test_each_image_is_the_one_after_which_the_trace_is_smallest():
    x = np.random.default_rng(0).normal(size=(40, 5))
    state, total, known = state_of(x)
    rows, falls = forward(state, 8)
    for step, row in enumerate(rows):
        chosen = rows[:step]
        traces = {i: trace(x[[*chosen, i]], known, total) for i in range(40) if i not in chosen}
        assert row == min(traces, key=traces.__getitem__)
        assert falls[step] == pytest.approx(trace(x[chosen], known, total) - traces[row], abs=1e-9)


def test_the_image_that_goes_is_the_one_whose_loss_costs_least():
    x = np.random.default_rng(1).normal(size=(40, 5))
    state, total, known = state_of(x)
    rows, _ = forward(state, 10)
    left = list(rows)
    while len(left) > 6:
        traces = {i: trace(x[[j for j in left if j != i]], known, total) for i in left}
        left.remove(min(traces, key=traces.__getitem__))
    assert backward(state, rows, 6) == set(left)


def test_bait_takes_the_labeled_images_into_account():
    probs, z = draw(100)
    z[50:] = z[:50]  # each image has a twin
    probs[50:] = probs[:50]
    row = STRATEGIES["bait"]
    picks = row.load()(candidates(probs, z, labeled=50), 1, np.random.default_rng(0), row.settings(ridge=1e-3))
    x = (z * (probs.amax(dim=1, keepdim=True) * (1 - probs.amax(dim=1, keepdim=True))).sqrt()).double().numpy()
    total, known = x.T @ x / 100, x[:50].T @ x[:50] + 1e-3 * np.eye(6)
    traces = [trace(x[[i]], known, total) for i in range(50, 100)]
    assert picks.ids.tolist() == [50 + int(np.argmin(traces))]


# clue, dropquery, information density


def test_clue_weighs_images_by_their_entropy():
    """Two groups: the certain one far away gets no centroid of its own."""
    rng = np.random.default_rng(0)
    z = torch.from_numpy(rng.normal(size=(60, 2)).astype(np.float32))
    z[30:] += 30
    probs = torch.full((60, 2), 0.5)
    probs[30:] = torch.tensor([1.0, 0.0])
    row = STRATEGIES["clue"]
    ids = row.load()(candidates(probs, z), 4, np.random.default_rng(0), row.settings(starts=10)).ids
    assert (ids < 30).all()
    assert (STRATEGIES["kmeans"].load()(candidates(probs, z), 4, np.random.default_rng(0), resolve(
        STRATEGIES["kmeans"].settings, {})).ids >= 30).any()  # fmt: skip


@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_clue_asks_the_image_nearest_to_the_weighted_mean_of_each_group(temperature):
    z, where = groups()
    probs = draw(90)[0]
    picks = ask("clue", candidates(probs, z), 3, starts=10, temperature=temperature)
    x, sharp = z.double().numpy(), probs.double().numpy() ** (1 / temperature)
    sharp /= sharp.sum(axis=1, keepdims=True)
    weights = -(sharp * np.log(sharp)).sum(axis=1)
    for row, score in zip(picks.ids, picks.scores, strict=True):
        group = np.flatnonzero(where == where[row])
        away = np.linalg.norm(x[group] - np.average(x[group], axis=0, weights=weights[group]), axis=1)
        assert row == group[away.argmin()]
        assert score == pytest.approx(-away.min(), rel=1e-4)
    assert sorted(where[picks.ids]) == [0, 1, 2]


def test_clue_chooses_as_scikit_activeml_does_where_groups_are_clear():
    z, _ = groups()
    y = (z[:, 5] > 1).numpy().astype(int)  # so that what is uncertain lies beside the middle of its group
    fitted = SklearnClassifier(LogisticRegression(), classes=[0, 1]).fit(z.numpy(), y)
    peer = Clue(method="entropy", cluster_algo_dict={"n_init": 10, "random_state": 0}, random_state=0)
    theirs = peer.query(z.numpy(), np.full(90, np.nan), fitted, fit_estimator=False, batch_size=3)
    probs = torch.from_numpy(fitted.predict_proba(z.numpy())).float()
    assert set(ask("clue", candidates(probs, z), 3, starts=10).ids.tolist()) == set(theirs.tolist())


def test_predictions_change_where_the_decision_hangs_on_few_features():
    weight, bias = torch.tensor([[1.0] * 20, [-1.0] * 20]), torch.zeros(2)
    close = torch.zeros(1, 20)
    close[0, 0], close[0, 1] = 1.0, -0.9
    clear = torch.ones(1, 20)
    changes = changed(torch.cat([close, clear]), weight, bias, 0.75, 400, np.random.default_rng(0)).tolist()
    # the close one changes where only its negative feature stays: 3/4 * 1/4; where both go, the first class is said
    assert changes[0] / 400 == pytest.approx(3 / 16, abs=0.06)
    assert changes[1] == 0


def test_predictions_change_as_often_as_all_that_can_be_dropped_says():
    """What stays is scaled up, as in training: without that the offsets alone would decide more often."""
    rng = np.random.default_rng(0)
    z, weight, bias = (rng.normal(size=shape).astype(np.float32) for shape in [(30, 5), (3, 5), (3,)])
    usual, expected = (z @ weight.T + bias).argmax(axis=1), np.zeros(30)
    for kept in product([0, 1], repeat=5):
        chance = 0.4 ** sum(kept) * 0.6 ** (5 - sum(kept))
        expected += chance * ((z * kept / 0.4 @ weight.T + bias).argmax(axis=1) != usual)
    given = (torch.from_numpy(values) for values in (z, weight, bias))
    assert changed(*given, 0.6, 4000, rng).numpy() / 4000 == pytest.approx(expected, abs=0.035)


def test_dropquery_chooses_as_scikit_activeml_does_where_it_is_clear_what_changes():
    """Of two images in three one feature decides, and it is dropped three times in four; of the others all agree."""
    number, width = 120, 20
    z = np.abs(np.random.default_rng(0).normal(1, 0.1, (number, width)))
    where = np.arange(number) % 3  # 0: nothing changes
    z[where > 0] *= -1
    z[where == 1, 0] += 40
    z[where == 2, 1] += 40
    fitted = SklearnClassifier(LogisticRegression(), classes=[0, 1]).fit(z, (z.sum(axis=1) > 20).astype(int))
    fitted.estimator_.coef_, fitted.estimator_.intercept_ = np.ones((1, width)), np.zeros(1)
    peer = DropQuery(0.75, 101, cluster_algo_dict={"n_init": 10, "random_state": 0}, random_state=0)
    theirs = peer.query(z, np.full(number, np.nan), fitted, fit_clf=False, batch_size=2)
    head = torch.tensor([[-0.5] * width, [0.5] * width]), torch.zeros(2)
    probs = torch.from_numpy(fitted.predict_proba(z)).float()
    given = candidates(probs, torch.from_numpy(z).float(), head=head)
    ours = ask("dropquery", given, 2, samples=101, candidates=1, starts=10).ids
    assert set(ours.tolist()) == set(theirs.tolist())
    assert sorted(where[ours]) == [1, 2]


@pytest.mark.parametrize(
    ("size", "each", "least"), [(6, 1, 2), (3, 2, 2), (7, 1, 1), (4, 3, 1), (13, 1, 0), (1, 25, 0)]
)
def test_fewer_changes_suffice_where_too_few_images_change(monkeypatch, size, each, least):
    """Six images change in two or three predictions of three, six in one, eight in none."""
    counts = np.array([0, 1, 2, 3, 0, 1, 2, 0, 1, 0] * 2)
    seen = []
    monkeypatch.setattr(hybrid, "changed", lambda *given: torch.from_numpy(counts))
    monkeypatch.setattr(hybrid, "cluster", lambda x, *rest: seen.append(x) or cluster(x, *rest))
    probs, z = draw(20)
    picks = ask("dropquery", candidates(probs, z, head=(torch.zeros(4, 6), torch.zeros(4))), size, candidates=each)
    assert seen[0].tolist() == z.numpy()[counts >= least].tolist()
    assert counts[picks.ids].min() >= least


def test_dropquery_asks_among_the_images_that_change():
    rng = np.random.default_rng(0)
    weight, bias = torch.tensor([[1.0] * 20, [-1.0] * 20]), torch.zeros(2)
    z = torch.from_numpy(np.abs(rng.normal(1, 0.1, (400, 20))).astype(np.float32))
    z[::2] = torch.from_numpy(rng.normal(0, 1, (200, 20)).astype(np.float32))
    probs = torch.nn.functional.linear(z, weight, bias).softmax(dim=1)
    row = STRATEGIES["dropquery"]
    given = candidates(probs, z, head=(weight, bias))
    ids = row.load()(given, 5, np.random.default_rng(0), row.settings(candidates=10)).ids
    assert (ids % 2 == 0).all()


def test_density_is_the_mean_cosine_with_all_images():
    _, z = draw()
    unit = (z / z.norm(dim=1, keepdim=True)).double().numpy()
    expected = np.maximum((unit @ unit.T).mean(axis=1), 0)
    assert density(z, z).numpy() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("beta", [0.0, 1.0, 2.5])
def test_information_density_is_entropy_times_mean_cosine_to_the_power_of_beta(beta):
    probs, z = draw(60)
    z += 0.4  # so that most are alike
    picks = ask("information_density", candidates(probs, z, labeled=20), 40, beta=beta)
    p, x = probs.double().numpy(), z.double().numpy()
    scores = {}
    for i in range(20, 60):
        alike = np.mean([x[i] @ other / np.linalg.norm(x[i]) / np.linalg.norm(other) for other in x])
        scores[i] = -(p[i] * np.log(p[i])).sum() * max(alike, 0) ** beta
    assert picks.scores == pytest.approx([scores[i] for i in picks.ids], abs=1e-6)
    assert picks.scores == pytest.approx(sorted(scores.values(), reverse=True), abs=1e-6)
