"""Strategies that look at predictions and features together: against scikit-activeml and explicit matrices."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from learner.acquisition import STRATEGIES
from learner.acquisition.badge import gradients, spread_out
from learner.acquisition.bait import _State, backward, forward
from learner.acquisition.candidates import Candidates, Side
from learner.acquisition.hybrid import changed
from learner.acquisition.information_density import density
from learner.settings import NoSettings, resolve

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from skactiveml.classifier import SklearnClassifier
    from skactiveml.pool import Badge


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


def test_predictions_change_where_the_decision_hangs_on_few_features():
    weight, bias = torch.tensor([[1.0] * 20, [-1.0] * 20]), torch.zeros(2)
    close = torch.zeros(1, 20)
    close[0, 0], close[0, 1] = 1.0, -0.9
    clear = torch.ones(1, 20)
    changes = changed(torch.cat([close, clear]), weight, bias, 0.75, 400, np.random.default_rng(0)).tolist()
    # the close one changes where only its negative feature stays: 3/4 * 1/4; where both go, the first class is said
    assert changes[0] / 400 == pytest.approx(3 / 16, abs=0.06)
    assert changes[1] == 0


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
