"""What every test of the learner starts from."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Nets this small gain nothing from a second thread, and on a busy machine threads wait for each other."""
    torch.set_num_threads(1)
