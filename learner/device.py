"""Where tensors live, and randomness that leaves the global generator as it found it."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from learner.rng import torch_seed


def pick_device() -> torch.device:
    """The graphics card where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def seeded(rng: np.random.Generator, device: torch.device) -> Iterator[None]:
    """Modules initialise and dropout draws from `rng` inside; outside nothing has changed."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(torch_seed(rng))
        yield


def generator(rng: np.random.Generator) -> torch.Generator:
    """A torch generator seeded from `rng`; on the CPU, so that every device draws the same."""
    return torch.Generator().manual_seed(torch_seed(rng))
