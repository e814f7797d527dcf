"""The benchmarks run, and those that go on where they stopped do so."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from annotator.cli import main as annotator

pytestmark = pytest.mark.long

ROOT = Path(__file__).parent.parent


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two hundred images of 8 px in ten shades."""
    classes = np.arange(200) % 10
    pixels = np.clip(np.random.default_rng(0).normal(25 * classes[:, None, None, None], 6, (200, 8, 8, 3)), 0, 255)
    pixels = pixels.astype(np.uint8)
    path = tmp_path / "data.npz"
    np.savez(path, x_train=pixels, y_train=classes, x_test=pixels[:50], y_test=classes[:50])
    return path


def run_script(name: str, *arguments: str) -> str:
    """What it prints."""
    command = [sys.executable, f"benchmarks/{name}", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_time_boxed_benchmark_goes_on_where_it_was_cut_off(data, tmp_path):
    out = tmp_path / "rows.jsonl"
    command = [sys.executable, "benchmarks/time_boxed.py", "--data", str(data), "--quick", "--out", str(out)]
    command += ["--state", str(tmp_path / "state"), "--every", "0.5", "--steps", "250"]

    def run(seconds: float) -> str:
        done = subprocess.run([*command, "--seconds", str(seconds)], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def rows() -> list[dict]:
        return [json.loads(line) for line in out.read_text().splitlines()]

    out.write_text(json.dumps({"cell": "step", "finished": True, "seconds": 1.0}) + "\n")  # it needs no data, and time
    assert "run it again" in run(7)  # cut off in the middle of a curve, or on a quick machine before the next cell
    first = rows()
    assert run(120).endswith("nothing is missing\n")
    finished = [row["cell"] for row in rows() if row["finished"]]
    assert finished == [
        "step", "fixmatch-40-0", "fixmatch-250-0", "ssl", "transfer", "fixmatch-10-typiclust-0",
        "fixmatch-10-typiclust-0-modified",
    ]  # fmt: skip
    curve = [row for row in rows() if row["cell"] == first[-1]["cell"]]
    cut = sum(row["cell"] == first[-1]["cell"] for row in first)
    for part in (curve[:cut], curve[cut:]):  # one cut off within a step goes on from the file before it
        assert [row["steps"] for row in part] == sorted(row["steps"] for row in part)
    assert [row["seconds"] for row in curve] == sorted(row["seconds"] for row in curve)
    before = out.read_text()
    assert run(60) == "nothing is missing\n"
    assert out.read_text() == before


@pytest.mark.slow
def test_strategies_are_measured_beside_their_peers():
    said = run_script("acquisition.py", "--images", "300", "--only", "badge", "--no-save")
    ours, theirs = re.findall(r"^\| BADGE.* \| 30 \| .* picks: (\d+) of (\d+) as ours \|$", said, re.M)
    assert ours == theirs


@pytest.mark.slow
def test_scores_without_labels_are_compared_with_what_they_foretell():
    kinds = ["--kind", "pixels", "--kind", "pca", "--kind", "timm:tf_efficientnet_lite0@16"]
    said = run_script("feature_scores.py", *kinds, "--seeds", "2", "--no-save")
    assert re.search(r"^\| recognition \| [+-]\d\.\d\d \(.*\) \|", said, re.M)


def test_the_rows_of_a_run_are_kept_as_a_result(data, tmp_path):
    run = tmp_path / "run"
    command = ["simulate", "--dataset", f"npz:{data}", "--seeds", "1", "--budget", "20", "--quiet", "--out", str(run)]
    assert CliRunner().invoke(annotator, command).exit_code == 0
    run_script("keep.py", str(run), "name", "--out", str(tmp_path))
    kept = json.loads((tmp_path / "name.json").read_text())
    rows = [json.loads(line) for line in (run / "results.jsonl").read_text().splitlines()]
    assert kept["columns"][6:8] == ["labels", "accuracy"]
    assert [row[6:8] for row in kept["rows"]] == [[row["labels"], round(row["accuracy"], 6)] for row in rows]
    assert kept["device"] == rows[0]["device"]
    assert kept["revisions"] == sorted({row["revision"] for row in rows} - {""})
    for name in ("preset", "oracle", "macro_f1", "coverage_radius"):
        column = [row[kept["columns"].index(name)] for row in kept["rows"]]
        assert column == [row[name] if isinstance(row[name], str) else round(row[name], 6) for row in rows]


def test_kept_rows_tell_presets_apart_and_those_of_an_older_run_say_nothing(tmp_path):
    row = {
        "cell": "a", "round": 0, "rounds": 1, "dataset": "digits", "method": "fixmatch", "features": "",
        "strategy": "random", "query_size": 0, "seed": 0, "labels": 10, "accuracy": 1 / 3, "balanced_accuracy": 0.5,
        "classes_seen": 4, "total_variation": 0.1, "select_seconds": 0.2, "device": "one core", "versions": {},
    }  # fmt: skip
    newer = {"preset": "paper", "oracle": "ground-truth", "macro_f1": 0.25, "coverage_radius": 2.0}
    rows = [row, *(row | newer | {"cell": name, "revision": name, "preset": name} for name in ("paper", "study-2021"))]
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "results.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    (tmp_path / "run" / "run.json").write_text("{}")
    run_script("keep.py", str(tmp_path / "run"), "name", "--out", str(tmp_path))
    kept = json.loads((tmp_path / "name.json").read_text())
    found = [dict(zip(kept["columns"], each, strict=True)) for each in kept["rows"]]
    assert [each["preset"] for each in found] == [None, "paper", "study-2021"]
    assert [each["macro_f1"] for each in found] == [None, 0.25, 0.25]
    assert [each["accuracy"] for each in found] == [0.333333] * 3
    assert kept["revisions"] == ["paper", "study-2021"]


@pytest.mark.slow
def test_a_large_team_is_measured_in_small():
    said = run_script(
        "workplace.py", "--images", "600", "--labels", "800", "--annotators", "4", "--seconds", "3", "--pause", "0.5",
        "--steps", "5", "--image-size", "16", "--patience", "60", "--browser", "20", "--save-as", "",
    )  # fmt: skip
    found = {name: json.loads(text) for name, text in re.findall(r"^(\w[\w ]*): (\{.*?^\})$", said, re.M | re.S)}
    work = found["work"]
    assert found["aims"]["no image to two people"]
    assert found["aims"]["no answer lost, doubled or refused"]
    assert work["rounds"]
    assert work["human_pace"]["label"]["count"]
    assert not work["human_pace_and_pages"]["errors"]
    assert work["browser"]["after 20"]["bytes"] > 0
    assert found["bare export"]["rows"] == 800


@pytest.mark.slow
def test_the_first_minutes_are_measured_in_small():
    arguments = ("--images", "330", "--labels", "50", "--think", "0.005", "--method", "propagate", "--save-as", "")
    said = run_script("first_minutes.py", *arguments)
    steps = re.findall(r"^ *(\d+\.\d) s  ([\w ]+)", said, re.M)
    seconds = [float(time) for time, _ in steps]
    assert seconds == sorted(seconds)
    expected = ("the page is there", "40 labels", "the first model is there", "an accuracy")
    assert {*expected, "suspicious labels looked through", "annotator export csv "} <= {what for _, what in steps}
