"""The README and the first ten minutes are true: commands run, files exist, tables are complete."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from live import answer_truly, serving
from PIL import Image

from annotator.cli import main
from annotator.store import db as store
from learner.acquisition import STRATEGIES
from learner.training import METHODS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
MINUTES = (ROOT / "docs" / "first-ten-minutes.md").read_text()


def commands(page: str = README) -> list[str]:
    """Every command line of every sh block."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page, re.M | re.S)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def test_the_set_up_commands_are_the_promised_ones():
    assert "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/annotator demo" in commands()
    assert "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest" in commands()


@pytest.mark.long
@pytest.mark.parametrize(
    ("page", "made"),
    [
        pytest.param(README, {"labels.csv", "labeled", "model", "predictions.csv", "runs"}, id="README"),
        pytest.param(MINUTES, {"labels.csv", "model", "predictions.csv"}, id="first ten minutes"),
    ],
)
def test_every_command_runs_in_the_order_of_the_page(tmp_path, photos, page, made):
    """Servers start, show a page and end; everything else exits with 0. The first lines are run by .ci/run."""
    lines = [shlex.split(line)[1:] for line in commands(page) if line.startswith("annotator ")]
    assert {line[0] for line in lines} <= set(main.commands)
    (tmp_path / "new").mkdir()
    Image.new("RGB", (20, 20)).save(tmp_path / "new" / "one.png")
    for line in lines:
        if line[0] == "serve":
            with serving(*line, cwd=tmp_path) as live:
                live.until("api/status", lambda answer: answer["status"]["query"]["size"])
                answer_truly(store.connect(tmp_path / "instance" / store.FILE), 24)
                live.until("api/status", lambda answer: answer["status"]["model"])
        else:
            done = subprocess.run(
                [sys.executable, "-m", "annotator", *line], cwd=tmp_path, capture_output=True, text=True
            )
            assert done.returncode == 0, (line, done.stderr)
    assert made <= {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize("target", re.findall(r"\]\(((?!https?:)[^)#]+)\)", README))
def test_every_link_leads_somewhere(target):
    assert (ROOT / target).exists()


@pytest.mark.parametrize("name", [*STRATEGIES, *METHODS, *main.commands])
def test_every_strategy_method_and_command_is_mentioned(name):
    assert re.search(rf"\b{name}\b", README)
