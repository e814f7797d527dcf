"""`annotator features`: a table, a file and a picture; what cannot be had is said."""

import csv
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from annotator.cli import main
from annotator.measuring import named


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
    found = re.search(rf"{name} on pca, cosine: (.*) images are noise, eps (\S+);", output)
    assert found
    with Image.open(tmp_path / f"{name}-pca.png") as picture:
        assert picture.size[0] > 800


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
