"""`annotator features`: a table, a file and a picture; what cannot be had is said."""

import csv
import json
import re
import shlex
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib.figure import Figure
from PIL import Image
from sklearn.cluster import DBSCAN
from sklearn.metrics import adjusted_rand_score, homogeneity_completeness_v_measure
from sklearn.neighbors import KNeighborsClassifier

from annotator.cli import main
from annotator.measuring import SHOWN, Measured, Measuring, _table, named
from learner import datasets
from learner.datasets import load
from learner.features import embed, parse, pixels


def run(*arguments: str) -> str:
    result = CliRunner().invoke(main, ["features", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def rows_of(path: Path) -> dict[str, dict[str, str]]:
    with path.open() as file:
        return {row["features"]: row for row in csv.DictReader(file)}


def test_it_measures_every_kind_at_every_size_and_says_what_it_could_not(tmp_path):
    output = run("--total", "300", "--backbone", "pca", "--backbone", "tf_efficientnet_lite0", "--sizes", "16,32",
                 "--backbone", "no_such_net", "-o", str(tmp_path))  # fmt: skip
    assert "timm:no_such_net@32 was not measured: timm has no net 'no_such_net'" in output
    rows = rows_of(tmp_path / "features.csv")
    net, none = "timm:tf_efficientnet_lite0", "timm:no_such_net"
    assert list(rows) == ["pca", f"{net}@16", f"{net}@32", f"{none}@16", f"{none}@32"]
    assert float(rows["pca"]["knn_euclidean"]) > 0.85
    assert 0 <= float(rows["pca"]["ari"]) <= 1
    assert float(rows[f"{net}@16"]["knn_cosine"]) < float(rows[f"{net}@32"]["knn_cosine"])
    for size in (16, 32):
        missing = dict(rows[f"{none}@{size}"])
        assert "timm has no net" in missing.pop("not_measured")
        assert set(missing.values()) == {f"{none}@{size}", "not measured"}
    with Image.open(tmp_path / "features.png") as picture:
        assert picture.size[0] > 400


def test_what_could_not_be_had_says_so_in_every_cell():
    lines = [
        Measured("pca", dict.fromkeys((*SHOWN, "knn_euclidean_std", "knn_cosine_std"), 0.5)),
        Measured("x", {}, "no net"),
    ]
    told = [line.split("│")[1:-1] for line in _table(lines, Measuring()).splitlines() if line.startswith("│")]
    cells = [" ".join(filter(None, (part.strip() for part in column))) for column in zip(*told[-2:], strict=True)]
    assert cells == ["x"] + ["not measured"] * len(SHOWN)


def test_where_nothing_can_be_had_the_file_says_so_in_every_column(tmp_path):
    run("--total", "60", "--backbone", "no_such_net", "-o", str(tmp_path))
    row = rows_of(tmp_path / "features.csv")["timm:no_such_net"]
    assert [row[name] for name in SHOWN] == ["not measured"] * len(SHOWN)


def test_nearest_neighbours_are_those_of_scikit_learn(tmp_path):
    run("--total", "150", "--backbone", "pixels", "--k", "3", "--batch", "12", "-o", str(tmp_path))
    row = rows_of(tmp_path / "features.csv")["pixels"]
    data = load("digits")
    x, y = (part.take(part.ids).reshape(len(part), -1) / 255 for part in (data.train, data.test))
    for metric in ("euclidean", "cosine"):
        fitted = KNeighborsClassifier(3, metric=metric).fit(x[:150], data.train_classes[:150])
        right = fitted.predict(y[:30]) == data.test_classes[:30]
        assert float(row[f"knn_{metric}"]) == pytest.approx(right.mean())
        batches = [right[:12].mean(), right[12:24].mean(), right[24:].mean()]
        assert float(row[f"knn_{metric}_std"]) == pytest.approx(np.std(batches, ddof=1))


def test_seconds_are_those_of_all_images_also_when_they_are_on_disk(tmp_path):
    """300 images and 60 of the test, which the second time are only read."""
    for name in ("first", "second"):
        run("--total", "300", "--backbone", "tf_efficientnet_lite0", "--sizes", "24", "-o", str(tmp_path / name))
        row = rows_of(tmp_path / name / "features.csv")["timm:tf_efficientnet_lite0@24"]
        assert float(row["seconds"]) == pytest.approx(360 / float(row["images_per_second"]))


def test_seconds_have_those_of_fitting(tmp_path, monkeypatch):
    fit, clock, offset = pixels.fit_pca, time.perf_counter, [0.0]

    def slower(*arguments):
        offset[0] += 1000
        return fit(*arguments)

    monkeypatch.setattr(time, "perf_counter", lambda: clock() + offset[0])
    monkeypatch.setattr(pixels, "fit_pca", slower)
    datasets._divided.cache_clear()  # where it may be fitted already
    run("--total", "60", "--backbone", "pca", "-o", str(tmp_path))
    row = rows_of(tmp_path / "features.csv")["pca"]
    assert 1000 < float(row["seconds"]) < 1900


def test_pictures_say_what_they_are_of_and_the_command(tmp_path, monkeypatch):
    titles, save = {}, Figure.savefig

    def kept(figure, path, **more):
        titles[Path(path).name] = " ".join(text for text in map(str, texts(figure)) if text).replace("\n", " ")
        save(figure, path, **more)

    def texts(figure):
        return [figure.get_suptitle(), *(axes.get_title() for axes in figure.axes)]

    monkeypatch.setattr(Figure, "savefig", kept)
    monkeypatch.setattr("sys.argv", ["annotator", "features", "--k", "3", "--batch", "20"])
    run("--total", "300", "--backbone", "pca", "--clusters", "optics", "--k", "3", "--batch", "20", "-o", str(tmp_path))
    assert titles == {
        "features.png": "digits, seed 0, 300 images; k = 3, 60 images tested, ± standard deviation over 3 batches of "
        "20 annotator features --k 3 --batch 20",
        "optics-pca.png": "optics on pca, cosine: digits, seed 0, 300 images annotator features --k 3 --batch 20",
    }


def test_the_table_of_the_study_is_what_was_measured_and_its_command_can_be_run():
    """Every net of the command stands in the file and in the page, measured or not, and no cell is empty."""
    root = Path(__file__).parent.parent.parent
    kept = json.loads((root / "benchmarks" / "results" / "features-cifar10.json").read_text())
    page = (root / "docs" / "study.md").read_text()
    assert kept["command"] in page
    words = shlex.split(kept["command"])
    backbones = [words[i + 1] for i, word in enumerate(words) if word == "--backbone"]
    texts = [text for name in backbones for text in named(name, [32, 224])]
    assert [row["features"] for row in kept["rows"]] == texts
    assert all(parse(text) for text in texts)
    table = page[page.index("| features | width |") :].partition("\n\n")[0]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    assert all(all(line) and len(line) == 12 for line in cells)
    measured = [row for row in kept["rows"] if "not_measured" not in row]
    told = [float(line[2].split(" ")[0]) for line in cells if line[2] != "not measured"]
    assert told == pytest.approx([100 * row["knn_euclidean"] for row in measured], abs=0.051)
    assert sum(line[2] == "not measured" for line in cells) == 9


def test_the_command_of_the_page_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parent.parent.parent / "docs" / "features.md").read_text()
    (command,) = re.findall(r"^annotator features (.*)$", page, re.M)
    assert "runs/features/features.png written" in run(*command.split(), "--total", "200")


@pytest.mark.parametrize("name", ["dbscan", "optics"])
def test_it_shows_what_density_finds_with_the_elbow_and_the_sizes(tmp_path, name):
    output = run("--total", "300", "--backbone", "pca", "--clusters", name, "-o", str(tmp_path))
    assert re.search(rf"{name} on pca, cosine: (.*) images are noise, eps (\S+);", output)
    with Image.open(tmp_path / f"{name}-pca.png") as picture:
        assert picture.size[0] > 800


def test_what_density_finds_is_judged_by_the_classes_as_scikit_learn_does(tmp_path):
    settings = ("--clusters-set", "metric=euclidean", "--clusters-set", "eps=1.5", "--clusters-set", "components=64")
    run("--total", "300", "--backbone", "pixels@4", "--clusters", "dbscan", *settings, "-o", str(tmp_path))
    with (tmp_path / "clusters.csv").open() as file:
        (row,) = csv.DictReader(file)
    data = load("digits")
    x = embed(data.train.only(data.train.ids[:300]), parse("pixels@4"))
    assert x.shape == (300, 48)
    expected = DBSCAN(eps=1.5, min_samples=5).fit(x).labels_
    assert (int(row["clusters"]), int(row["noise"])) == (expected.max() + 1, (expected == -1).sum())
    scores = homogeneity_completeness_v_measure(data.train_classes[:300], expected)
    assert [float(row[key]) for key in ("homogeneity", "completeness", "v_measure")] == pytest.approx(scores)
    assert float(row["ari"]) == pytest.approx(adjusted_rand_score(data.train_classes[:300], expected))


@pytest.mark.parametrize(
    ("backbone", "texts"),
    [
        ("pca", ["pca"]),
        ("autoencoder", ["autoencoder"]),
        ("dec:10", ["dec:10"]),
        ("resnet50", ["timm:resnet50@32", "timm:resnet50@224"]),
        ("timm:vgg16@fc1", ["timm:vgg16@fc1@32", "timm:vgg16@fc1@224"]),
    ],
)
def test_nets_are_named_with_each_size(backbone, texts):
    assert named(backbone, [32, 224]) == texts


def test_sizes_that_are_no_numbers_are_refused():
    result = CliRunner().invoke(main, ["features", "--sizes", "large"])
    assert result.exit_code == 2
    assert "--sizes 'large' are no whole numbers" in result.output
