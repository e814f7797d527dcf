"""Randomness by purpose, so that a strategy that draws more cannot disturb another's training."""

from typing import Literal

import numpy as np

Purpose = Literal["start", "init", "data", "masks", "select", "tail", "ranked", "oracle", "doubts"]
_PURPOSES: tuple[Purpose, ...] = ("start", "init", "data", "masks", "select", "tail", "ranked", "oracle", "doubts")


def stream(seed: int, round: int, purpose: Purpose) -> np.random.Generator:
    """The generator of one purpose in one round of one seed: same arguments, same numbers, any process.

    start: the selection before there is any label; init: weights; data: order and augmentation;
    masks: Monte Carlo dropout; select: the strategy; tail: the images that follow the query;
    ranked: rankings while a round trains; oracle: the errors of who answers in a simulation;
    doubts: which labels are judged.
    """
    return np.random.default_rng([seed, round, _PURPOSES.index(purpose)])


def torch_seed(generator: np.random.Generator) -> int:
    """A seed for torch drawn from a numpy generator."""
    return int(generator.integers(2**63))
