"""The libraries themselves read what we write: the same paths, classes and pixels."""

import gc
import json
import os
import shutil
import subprocess
from collections import Counter
from datetime import datetime

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from PIL import Image
from places import CLASSES, names, opening

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
from torchvision.datasets import ImageFolder

from annotator import create_app
from annotator.errors import AnnotatorError
from annotator.export import csv as csv_format
from annotator.export.filters import Filters

pytestmark = [pytest.mark.interop, pytest.mark.filterwarnings("default")]  # others' warnings are theirs
quick = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
VIEW = """<View><Image name="image" value="$image"/><Choices name="choice" toName="image">
<Choice value="cat"/><Choice value="dog"/></Choices></View>"""


@pytest.fixture(autouse=True)
def tidy():
    """Files that the libraries forget to close are closed while their warnings are let through."""
    yield
    gc.collect()


@pytest.fixture
def place(tmp_path):
    """Six images labeled with five classes, one left."""
    datasets.disable_progress_bars()
    with opening(tmp_path) as make:
        made = make(*(f"{number}.png" for number in range(7)))
        for number in range(6):
            made.answer(f"{number}.png", CLASSES[number % 5])
        yield made


def loaded(place, *arguments, **options):
    """One split, through a cache of this test's own."""
    cache = place.root / "cache"
    shutil.rmtree(cache, ignore_errors=True)  # it knows files by name, size and time
    return datasets.load_dataset(*arguments, cache_dir=str(cache), **options)["train"]


def pixels(image):
    return np.asarray(image.convert("RGB")).tobytes()


def truth(place):
    """(path, class, pixels) of every labeled file."""
    found = []
    for path, class_name, content in place.truth():
        (place.root / "one.png").write_bytes(content)
        with Image.open(place.root / "one.png") as image:
            found.append((path, class_name, pixels(image)))
    return Counter(found)


@quick
@given(names=names(7))
def test_pyarrow_reads_parquet_back(place, names):
    place.rename(*names)
    report = place.export("parquet")
    table = pq.read_table(place.root / "out")
    rows = table.to_pylist()
    assert sorted((row["path"], row["class"]) for row in rows) == sorted((p, c) for p, c, _ in place.truth())
    assert report.written == table.num_rows == 6


def test_parquet_says_what_the_csv_says(place):
    values = {"seconds": 1.25, "model": 2, "suggested_id": place.classes["Cat"], "suggestion_shown": True}
    place.answer("0.png", "cat", **values)
    place.export("parquet")
    rows = pq.read_table(place.root / "out").to_pylist()
    assert list(rows[0]) == list(csv_format.tables.COLUMNS)
    for row, text in zip(rows, place.csv(), strict=True):
        assert row.pop("created") == datetime.fromisoformat(text.pop("created"))
        assert row.pop("suggestion_shown") == (text.pop("suggestion_shown") == "1")
        assert {name: "" if value is None else str(value) for name, value in row.items()} == text


def test_parquet_has_types(place):
    place.export("parquet", filters=Filters(unlabeled=True))
    schema = pq.read_schema(place.root / "out")
    types = {name: schema.field(name).type for name in ("image", "score", "suggestion_shown", "created", "confidence")}
    assert types == {
        "image": pa.int64(), "score": pa.float64(), "suggestion_shown": pa.bool_(),
        "created": pa.timestamp("ms", tz="UTC"), "confidence": pa.float64(),
    }  # fmt: skip
    assert pq.read_table(place.root / "out").column("class").null_count == 1


@pytest.mark.parametrize("name", ["parquet", "datasets"])
def test_parquet_that_breaks_off_keeps_the_older_file(place, name, monkeypatch):
    place.export(name)
    before = (place.root / "out").read_bytes()

    def full(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(AnnotatorError, match="No space left"):
        place.export(name)
    assert (place.root / "out").read_bytes() == before
    assert {path.name for path in place.root.iterdir()} == {"photos", "instance", "out"}


@pytest.mark.parametrize("name", ["parquet", "datasets"])
def test_parquet_of_no_labels_can_be_read(tmp_path, name):
    with opening(tmp_path) as make:
        place = make("a.png")
        assert place.export(name).written == 0
        assert pq.read_table(place.root / "out").num_rows == 0


@quick
@given(names=names(7))
def test_datasets_gives_images_and_class_labels_back(place, names):
    place.rename(*names)
    report = place.export("datasets", "out.parquet")
    for found in (
        loaded(place, "parquet", data_files=str(place.root / "out.parquet")),
        datasets.Dataset.from_parquet(str(place.root / "out.parquet"), cache_dir=str(place.root / "cache2")),
    ):
        assert isinstance(found.features["image"], datasets.Image)
        assert isinstance(found.features["label"], datasets.ClassLabel)
        say = found.features["label"].int2str
        assert Counter((row["path"], say(row["label"]), pixels(row["image"])) for row in found) == truth(place)
    shutil.rmtree(place.root / "cache2")
    assert (report.written, report.skipped) == (6, [])


def test_datasets_holds_unlabeled_images_without_a_class(place):
    place.export("datasets", filters=Filters(unlabeled=True))
    found = loaded(place, "parquet", data_files=str(place.root / "out"))
    assert [row["label"] for row in found] == [0, 1, 2, 3, 4, 0, None]


def test_datasets_leaves_out_what_has_changed(place):
    (place.photos / "1.png").write_bytes(b"changed")
    report = place.export("datasets")
    assert (report.written, [name for name, _ in report.skipped]) == (5, ["1.png"])
    assert pq.read_table(place.root / "out").num_rows == 5


@pytest.mark.parametrize("metadata", ["jsonl", "csv"])
@quick
@given(names=names(7))
def test_load_dataset_reads_the_imagefolder(place, metadata, names):
    if metadata == "csv":  # its reader guesses types: only names that nobody could take for a number or for nothing
        names = ([f"c-{number}" for number in range(7)], [f"f-{number}.png" for number in range(7)])
    place.rename(*names)
    place.export("huggingface", metadata=metadata)
    try:
        found = loaded(place, "imagefolder", data_dir=str(place.root / "out"))
        assert Counter((row["path"], row["label"], pixels(row["image"])) for row in found) == truth(place)
    finally:
        shutil.rmtree(place.root / "out")


@pytest.mark.parametrize(("name", "parts"), [("imagefolder", [""]), ("ultralytics", ["train", "val"])])
@quick
@given(names=names(7))
def test_torchvision_reads_folders_of_classes(place, name, parts, names):
    place.rename(names[0], [])  # the file names keep a suffix that torchvision knows
    place.export(name)
    named = json.loads((place.root / "out/classes.json").read_text("utf-8"))
    found: Counter = Counter()
    try:
        folders = [ImageFolder(place.root / "out" / part, allow_empty=True) for part in parts]
        assert all(folder.class_to_idx == folders[0].class_to_idx for folder in folders)
        for folder in folders:
            found.update((named[folder.classes[target]], pixels(image)) for image, target in folder)
    finally:
        shutil.rmtree(place.root / "out")
    expected: Counter = Counter()
    for (_, class_name, content), count in truth(place).items():
        expected[class_name, content] += count
    assert found == expected


CONVERT = """import sys
from label_studio_sdk.converter import Converter
for number in range(int(sys.argv[3])):
    folder = f"{sys.argv[1]}/{number}"
    converter = Converter(sys.argv[2], None, download_resources=False)
    converter.convert_to_json_min(f"{folder}/tasks.json", folder, is_dir=False)
"""


def items(folder, count=1):
    """What Label Studio's own converter makes of 0/tasks.json and so on, as JSON_MIN; it has a numpy of its own."""
    python = os.environ.get("LABEL_STUDIO_PYTHON")
    if python is None:
        pytest.skip("LABEL_STUDIO_PYTHON names no python with label-studio-sdk; .ci/run makes one")
    command = [python, "-W", "ignore", "-c", CONVERT, str(folder), VIEW, str(count)]
    subprocess.run(command, check=True, capture_output=True, env={"PATH": os.environ["PATH"]})
    return [json.loads((folder / str(number) / "result.json").read_text("utf-8")) for number in range(count)]


def test_label_studios_converter_reads_our_tasks(place):
    """Twenty projects of hostile names; one process for all, as it starts slowly."""
    expected = []

    @quick
    @given(names=names(7))
    def export(names):
        place.rename(*names)
        folder = place.root / f"tasks/{len(expected)}"
        folder.mkdir(parents=True)
        place.export("labelstudio", folder.relative_to(place.root) / "tasks.json")
        expected.append(sorted((path, class_name) for path, class_name, _ in place.truth()))

    export()
    found = items(place.root / "tasks", len(expected))
    assert [sorted((item["image"], item["choice"]) for item in each) for each in found] == expected


def test_our_json_min_is_the_one_of_label_studio(place):
    (place.root / "0").mkdir()
    place.export("labelstudio", "0/tasks.json")
    (theirs,) = items(place.root)
    place.export("labelstudio-min")
    ours = json.loads((place.root / "out").read_text("utf-8"))
    same = ("image", "choice", "id", "annotation_id")
    assert [[item[key] for key in same] for item in ours] == [[item[key] for key in same] for item in theirs]
    assert set(theirs[0]) <= set(ours[0])


@pytest.mark.parametrize("name", ["parquet", "datasets"])
def test_the_export_page_shows_and_sends_parquet(place, name):
    client = create_app(place.instance).test_client()
    answer = client.get(f"/api/export?format={name}").json
    assert answer["files"] == 6
    assert "path: string" in answer["sample"].splitlines()
    assert "bytes" in answer["sample"] or name == "parquet"
    with client.get(f"/export/download?format={name}") as sent:
        assert pq.read_table(pa.BufferReader(sent.data)).num_rows == 6
