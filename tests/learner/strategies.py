"""Candidates for contract tests: any pool that a strategy may meet."""

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from learner.acquisition.candidates import Candidates, Side
from learner.predict import moments

SAMPLES = 5


def side(ids: np.ndarray, logits: Tensor, embedding: Tensor, classes: np.ndarray | None = None) -> Side:
    """A side of which everything is known: logits are (T, N, C), the first of them the deterministic ones."""
    quantities = moments(logits, frozenset({"votes", "std"}))
    classes = np.empty(0, np.int64) if classes is None else classes
    probs = logits[0].softmax(dim=1)
    return Side(ids, probs, **quantities, embedding=embedding, penultimate=embedding, classes=classes)


def random_candidates(
    rng: np.random.Generator,
    pool: int,
    labeled: int = 0,
    classes: int = 3,
    spread: float = 3.0,
    copies: int = 1,
) -> Candidates:
    """Logits uniform within `spread`; embeddings in which each point occurs about `copies` times."""
    ids = np.sort(rng.choice(10 * (pool + labeled) + 1, pool + labeled, replace=False)).astype(np.int64)
    logits = torch.from_numpy(rng.uniform(-spread, spread, (SAMPLES, len(ids), classes)).astype(np.float32))
    points = rng.normal(size=(-(-len(ids) // copies), 4)).astype(np.float32)
    embedding = torch.from_numpy(points[rng.integers(len(points), size=len(ids))])
    known = rng.permutation(len(ids)) < labeled
    free = torch.from_numpy(~known)
    head = torch.from_numpy(rng.normal(size=(classes, 4)).astype(np.float32)), torch.zeros(classes)
    samples = logits.softmax(dim=2).permute(1, 0, 2)  # (N, T, C)
    truth = np.random.default_rng(pool).integers(classes, size=10 * (pool + labeled) + 1)  # of every id
    return Candidates(
        side(ids[~known], logits[:, free], embedding[free]),
        side(ids[known], logits[:, ~free], embedding[~free], rng.integers(classes, size=labeled)),
        classes,
        head,
        lambda wanted: samples[np.searchsorted(ids, wanted)],
        truth=lambda wanted: truth[wanted],
    )


@st.composite
def candidates(draw: st.DrawFn) -> Candidates:
    """Small pools, with and without labels, certain, uncertain and saturated, with copies of images."""
    return random_candidates(
        np.random.default_rng(draw(st.integers(0, 2**32))),
        pool=draw(st.integers(1, 40)),
        labeled=draw(st.integers(0, 12)),
        classes=draw(st.integers(2, 6)),
        spread=draw(st.sampled_from([0.0, 1.0, 30.0, 800.0])),
        copies=draw(st.sampled_from([1, 4, 100])),
    )
