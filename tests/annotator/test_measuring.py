"""`annotator features`: a table, a file and a picture; what cannot be had is said."""

import csv
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image
from sklearn.cluster import DBSCAN
from sklearn.metrics import adjusted_rand_score, homogeneity_completeness_v_measure

from annotator.cli import main
from annotator.measuring import named
from learner.datasets import load
from learner.features import embed, parse


def run(*arguments: str) -> str:
    result = CliRunner().invoke(main, ["features", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_it_measures_every_kind_and_says_what_it_could_not(tmp_path):
    out = str(tmp_path / "out")
    output = run("--total", "300", "--backbone", "pca", "--backbone", "tf_efficientnet_lite0", "--sizes", "32",
                 "--backbone", "no_such_net", "-o", out)  # fmt: skip
    assert "timm:no_such_net@32 was not measured: timm has no net 'no_such_net'" in output
    with (Path(out) / "features.csv").open() as file:
        rows = {row["features"]: row for row in csv.DictReader(file)}
    assert float(rows["pca"]["knn_euclidean"]) > 0.85
    assert 0 <= float(rows["pca"]["ari"]) <= 1
    assert rows["timm:no_such_net@32"]["knn_euclidean"] == ""
    assert float(rows["timm:tf_efficientnet_lite0@32"]["images_per_second"]) > 1
    with Image.open(Path(out) / "features.png") as picture:
        assert picture.size[0] > 400


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
