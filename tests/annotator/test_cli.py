"""The command line as people use it."""

import csv
import json
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner, Result
from live import serving
from PIL import Image

from annotator.cli import main
from annotator.store import db as store
from annotator.store import project


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.mark.parametrize("module", ["annotator.cli", "annotator.serving", "annotator.pages.label", "annotator.jobs"])
def test_the_command_line_and_the_web_process_import_neither_torch_nor_baal(module):
    code = f"import sys, {module}; import annotator.pages as p\nfor page in p.PAGES.values(): __import__(page.module)\n"
    code += "print(sorted({'torch', 'baal', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("command", ["", *main.commands])
def test_every_command_explains_itself(command):
    result = run(*command.split(), "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.output


@pytest.mark.long
def test_the_demo_serves_the_first_image_and_goes_on_where_it_stopped(tmp_path):
    with serving("demo", "--seed", "1", cwd=tmp_path, ending=signal.SIGINT) as live:
        status = live.until("api/status", lambda s: s["status"]["query"]["size"] and not s["status"]["importing"])
        assert status["status"]["images"] == len(set((tmp_path / "instance" / "digits").iterdir()))
    with serving("demo", cwd=tmp_path, ending=signal.SIGTERM) as again:
        assert again.get("api/status")["status"]["query"]["size"] == 20


def test_an_instance_with_another_project_is_refused(instance, tmp_path):
    (tmp_path / "other").mkdir()
    result = run("serve", tmp_path / "other", "--classes", "a,b", "--instance", instance)
    assert result.exit_code == 1
    assert "holds the project 'photos'" in result.output
    assert "--instance" in result.output


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--classes", "a"], "at least two classes"),
        (["--classes", "a,,b"], "a class name is empty"),
        (["--classes", "a,b", "--set", "querysize=3"], "unknown setting 'querysize'"),
        (["--classes", "a,b", "--set", "query_size=many"], "'query_size' of LoopSettings is 'many'"),
        (["--classes", "a,b", "--strategy-set", "neighbors=7"], "name it with --strategy"),
        (["--classes", "a,b", "--host", "0.0.0.0"], "--allow-remote"),
    ],
)
def test_what_cannot_be_is_one_clear_line(photos, tmp_path, arguments, named):
    result = run("serve", photos, "--instance", tmp_path / "i", "--no-browser", *arguments)
    assert result.exit_code == 1
    assert named in result.output
    assert len(result.output.strip().splitlines()) == 1


def test_a_refused_start_leaves_no_project_behind(photos, tmp_path):
    run("serve", photos, "--instance", tmp_path / "i", "--classes", "a")
    assert project.facts(store.prepare(tmp_path / "i" / store.FILE)) == {}


def test_settings_decided_at_the_start_cannot_be_changed(instance, photos):
    result = run("serve", photos, "--instance", instance, "--image-size", "32")
    assert result.exit_code == 1
    assert "image-size 8, not 32" in result.output


def test_status_for_people_and_for_programs(learned):
    assert "10 labels, 30 of 40 images" in run("status", "--instance", learned).output
    found = json.loads(run("status", "--json", "--instance", learned).output)
    assert (found["status"]["labels"], found["status"]["model"]) == (10, 1)


def test_status_without_a_project_says_how_to_start_one(tmp_path):
    result = run("status", "--instance", tmp_path)
    assert result.exit_code == 1
    assert "annotator demo" in result.output


def test_labels_leave_as_csv_and_as_folders(learned, tmp_path):
    assert run("export", "csv", "-o", tmp_path / "l.csv", "--instance", learned).exit_code == 0
    with (tmp_path / "l.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 10
    assert all(row["class"] in row["path"] for row in rows)
    assert run("export", "imagefolder", "-o", tmp_path / "f", "--instance", learned).exit_code == 0
    assert {path.name: len(list(path.iterdir())) for path in (tmp_path / "f").iterdir() if path.is_dir()} == {
        name: sum(row["class"] == name for row in rows) for name in ("cat", "dog")
    }


def test_a_folder_that_is_not_empty_is_not_written_into(learned, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    for format in ("imagefolder", "model"):
        assert run("export", format, "-o", tmp_path, "--instance", learned).exit_code == 1
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_the_exported_model_classifies_new_images(learned, tmp_path):
    assert run("export", "model", "-o", tmp_path / "m", "--instance", learned).exit_code == 0
    new = tmp_path / "new"
    new.mkdir()
    Image.new("L", (30, 20), 35).save(new / "night.png")
    Image.new("L", (30, 20), 205).save(new / "day.jpg")
    (new / "broken.png").write_bytes(b"no")
    result = run("predict", new, "-o", tmp_path / "p.csv", "--model", tmp_path / "m")
    assert result.exit_code == 0
    assert "broken.png" in result.stderr
    with (tmp_path / "p.csv").open(newline="") as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    assert {name: row["class"] for name, row in rows.items()} == {"night.png": "cat", "day.jpg": "dog"}
    assert all(0.5 < float(row["confidence"]) <= 1 for row in rows.values())


def test_the_whole_pool_is_classified(learned, tmp_path):
    result = run("predict", "-o", tmp_path / "p.csv", "--instance", learned)
    assert result.exit_code == 0
    with (tmp_path / "p.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 40
    assert sum(row["class"] in row["path"] for row in rows) >= 38


def test_predicting_before_there_is_a_model_says_what_to_do(instance, tmp_path):
    result = run("predict", "-o", tmp_path / "p.csv", "--instance", instance)
    assert result.exit_code == 1
    assert "label a few images" in result.output


def test_a_simulation_reads_a_file_and_says_which_images_it_used(tmp_path):
    rng = np.random.default_rng(0)
    classes = np.arange(60) % 3
    pixels = (rng.integers(0, 60, (60, 8, 8)) + 90 * classes[:, None, None]).astype(np.uint8)
    np.savez(tmp_path / "shades.npz", x_train=pixels, y_train=classes, x_test=pixels, y_test=classes)
    text = f"npz:{tmp_path / 'shades.npz'}@modified"
    result = run("simulate", "--dataset", text, "--no-flip", "--seeds", 1, "--budget", 20, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    assert "difference" not in result.output
    assert [(row["dataset"], row["labels"]) for row in rows] == [(f"{text}@no-flip", n) for n in (10, 20)]


@pytest.mark.parametrize("name", ["cifar", "npz:missing.npz", "folder:missing", "digits@64"])
def test_a_data_set_that_is_not_there_is_one_line_and_destroys_no_results(tmp_path, name):
    (tmp_path / "results.jsonl").write_text("precious")
    result = run("simulate", "--dataset", name, "--out", tmp_path)
    assert result.exit_code == 1
    assert len(result.output.splitlines()) == 1
    assert (tmp_path / "results.jsonl").read_text() == "precious"


def test_a_simulation_gives_table_rows_and_curves(tmp_path):
    arguments = [
        "--strategy",
        "random",
        "--strategy",
        "margin",
        "--seeds",
        2,
        "--budget",
        30,
        "--out",
        tmp_path / "out",
    ]
    result = run("simulate", "--oracle", "ground-truth", "--dataset", "digits", *arguments)
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    assert len(rows) == 2 * 2 * 3
    values = [100 * row["accuracy"] for row in rows if row["strategy"] == "margin" and row["labels"] == 30]
    mean, std = sum(values) / 2, abs(values[0] - values[1]) / 2**0.5
    assert f"{mean:.1f} ± {std:.1f}" in result.output
    random = [100 * row["accuracy"] for row in rows if row["strategy"] == "random" and row["labels"] == 30]
    assert re.search(
        rf"difference to random.*margin .*30 labels\D*{np.subtract(values, random).mean():+.1f} ", result.output, re.S
    )
    compared = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert [(line["arm"], line["labels"]) for line in compared] == [("margin", n) for n in (None, 10, 20, 30)]
    with Image.open(tmp_path / "out" / "curves.png") as picture:
        assert picture.width > 500
