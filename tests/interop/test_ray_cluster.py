"""Cells on a Ray that others started and that knows nothing of this process, reached by its address."""

import gc
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from learner_cells import cell, running

from learner.datasets import FOLDER

pytestmark = [
    pytest.mark.interop,
    pytest.mark.slow,  # a whole Ray each; on a busy machine its own processes wait too short for each other
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # pipes to the processes that Ray starts
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
SLOW = cell("bald", budgets=tuple(range(10, 80, 10)))  # about a second a round: two of them meet


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """What Ray leaves to the garbage collector warns now, where that is ignored, and not at the end."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory) -> Iterator[str]:
    """The address of a Ray that others started, with two cores and a graphics card that it only believes in."""
    port = free_port()
    options = [f"--port={port}", "--num-cpus=2", "--num-gpus=1", "--include-dashboard=false", "--block"]
    command = [Path(sys.executable).with_name("ray"), "start", "--head", *options]
    told = {key: value for key, value in os.environ.items() if key not in (FOLDER, "CUDA_VISIBLE_DEVICES")}
    told |= {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", "PYTHONUNBUFFERED": "1"}
    said = tmp_path_factory.mktemp("ray") / "said.txt"
    with said.open("w") as file, subprocess.Popen(command, env=told, stdout=file, stderr=file) as process:
        while "Ray runtime started" not in said.read_text():
            assert process.poll() is None, said.read_text()
            time.sleep(0.2)
        yield f"127.0.0.1:{port}"
        process.terminate()


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_the_folder_of_data_sets_goes_to_a_cluster_that_runs_already(elsewhere, tmp_path, monkeypatch):
    (tmp_path / "brought along").write_text("no folder, so that nothing is downloaded into it")
    monkeypatch.setenv(FOLDER, str(tmp_path / "brought along"))
    (found,) = running("ray", [cell(dataset="cifar10")], address=elsewhere)
    assert f"cifar10 is not (or not undamaged) in {tmp_path / 'brought along'} " in found.error


def watching():
    """How much of the graphics card is free whenever a cell reports something, and the report that looks."""
    left = []

    def report(*event: object) -> None:
        left.append(ray.available_resources().get("GPU", 0.0))

    return left, report


def test_two_cells_share_a_graphics_card_of_a_cluster(elsewhere):
    left, report = watching()
    told = running("ray", [SLOW, SLOW], report, address=elsewhere, num_gpus=0.5)
    assert [item.error for item in told] == ["", ""]
    assert min(left) == 0


def test_cells_without_a_share_of_a_graphics_card_take_none(elsewhere):
    left, report = watching()
    (found,) = running("ray", [cell()], report, address=elsewhere, num_gpus=0)
    assert not found.error
    assert set(left) == {1.0}
