"""Where tensors live, and randomness that leaves the global generator as it found it."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from learner.errors import OutOfMemory
from learner.rng import torch_seed

# what has no exception of its own: the CPU, and the libraries below PyTorch
_MEMORY_WORDS = ("DefaultCPUAllocator", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED")


def pick_device() -> torch.device:
    """The graphics card where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def memory_named() -> Iterator[None]:
    """Where memory runs out inside, OutOfMemory: Python, NumPy and PyTorch each say it in another way."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_memory(error):
            raise
        said = str(error).partition("\n")[0] or type(error).__name__
        remedy = "close other programs, or set a smaller batch_size or max_images"
        raise OutOfMemory(f"out of memory: {said}; {remedy}") from error


def _is_memory(error: Exception) -> bool:
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or any(words in str(error) for words in _MEMORY_WORDS)


@contextmanager
def seeded(rng: np.random.Generator, device: torch.device) -> Iterator[None]:
    """Modules initialise and dropout draws from `rng` inside; outside nothing has changed."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(torch_seed(rng))
        yield


def generator(rng: np.random.Generator) -> torch.Generator:
    """A torch generator seeded from `rng`; on the CPU, so that every device draws the same."""
    return torch.Generator().manual_seed(torch_seed(rng))
