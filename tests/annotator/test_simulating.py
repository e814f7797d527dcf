"""Simulations from the command line: the page that describes them, and the table of differences."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from scipy import stats

from annotator.cli import main
from annotator.simulating import choices
from learner.config import NoSettings
from learner.datasets import DATASETS
from learner.errors import BadSetting

PAGE = (Path(__file__).parents[2] / "docs" / "simulate.md").read_text()
COMMANDS = [line for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.M | re.S) for line in block.splitlines()]


@pytest.fixture
def shapes(tmp_path, monkeypatch):
    """shapes.npz and the folder shapes, in the working directory."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    classes = np.arange(90) % 3
    pixels = (rng.integers(0, 60, (90, 12, 12)) + 90 * classes[:, None, None]).astype(np.uint8)
    np.savez("shapes.npz", x_train=pixels[:60], y_train=classes[:60], x_test=pixels[60:], y_test=classes[60:])
    for number, (image, label) in enumerate(zip(pixels, classes.tolist(), strict=True)):
        path = tmp_path / "shapes" / "abc"[label] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_page_works(shapes, command):
    result = CliRunner().invoke(main, [*shlex.split(command)[1:], "--quiet"])
    assert result.exit_code == 0, result.output
    assert Path("runs/simulate/results.jsonl").read_text().count("\n") >= 3
    assert Path("runs/simulate/selection.png").stat().st_size > 10_000


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_is_on_the_page_and_in_the_help(name):
    form = f"{name}:{DATASETS[name].argument}" if DATASETS[name].argument else name
    assert f"`{form}`" in PAGE
    assert form in " ".join(CliRunner().invoke(main, ["simulate", "--help"]).output.split())


def test_strategies_are_compared_with_random_wherever_it_stands(shapes):
    arguments = "simulate --quiet --strategy margin --strategy random --strategy entropy --seeds 3 --budget 20 --out o"
    result = CliRunner().invoke(main, shlex.split(arguments))
    assert result.exit_code == 0, result.output
    assert "difference to random, points: paired over 3 seeds" in result.output
    rows = [json.loads(line) for line in Path("o/results.jsonl").read_text().splitlines()]
    last = {
        name: [row["accuracy"] for row in rows if (row["strategy"], row["labels"]) == (name, 20)]
        for name in ("random", "margin", "entropy")
    }
    found = {(item["arm"], item["labels"]): item for item in json.loads(Path("o/comparison.json").read_text())}
    for name in ("margin", "entropy"):
        item = found[name, 20]
        assert item["p_t"] == pytest.approx(stats.ttest_rel(last[name], last["random"]).pvalue)
        line = next(line for line in result.output.splitlines() if name in line and "20 labels" in line)
        assert f"{100 * item['mean']:+.1f}" in line
        assert f"{item['p_holm']:.3f}" in line


@pytest.mark.parametrize("more", ["--strategy random --seeds 2", "--strategy random --strategy margin --seeds 1"])
def test_one_strategy_or_one_seed_is_not_compared(shapes, more):
    result = CliRunner().invoke(main, shlex.split(f"simulate --quiet --budget 20 --out o {more}"))
    assert result.exit_code == 0
    assert "difference" not in result.output
    assert not Path("o/comparison.json").exists()


def test_a_setting_goes_to_every_strategy_that_has_it():
    kmeans, top, margin = choices(["kmeans", "kmeans_top", "margin"], {"starts": "7"})
    assert kmeans.settings.starts == top.settings.starts == 7
    assert margin.settings == NoSettings()


def test_a_setting_that_no_strategy_has_is_refused():
    with pytest.raises(BadSetting, match="none of margin, kmeans has a setting 'radius'; together they have starts"):
        choices(["margin", "kmeans"], {"radius": "1"})
