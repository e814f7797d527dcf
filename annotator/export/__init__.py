"""FORMATS: what leaves the project. A format is `export(instance, db, out, settings, selection) -> Report`."""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import NamedTuple

from learner.registry import Row
from learner.settings import NoSettings, setting

_LIBRARIES = {"parquet": "pyarrow"}  # extra -> what it brings


class Report(NamedTuple):
    """What an export did."""

    written: int  # files of images, or rows
    skipped: list[tuple[str, str]]  # (file name, why not)


@dataclass(frozen=True)
class ImageFolderSettings:
    """Copies of the images."""

    links: bool = setting(False, "hard links to the originals instead of copies, where the file system can")


@dataclass(frozen=True)
class UltralyticsSettings(ImageFolderSettings):
    """Copies in parts to train on and to test on, by the hash of each image."""

    val: float = setting(0.2, "share of the images that validate", high=0.9)
    test: float = setting(0.0, "share of the images that test; 0: there is no such folder", high=0.9)


@dataclass(frozen=True)
class HuggingFaceSettings(ImageFolderSettings):
    """Copies beside a file of metadata."""

    metadata: str = setting(
        "jsonl", "jsonl; or csv, whose reader takes a class called 001 for a number and NA for nothing",
        choices=("jsonl", "csv"),
    )  # fmt: skip


@dataclass(frozen=True)
class PrefixSettings:
    """Where another tool finds the images."""

    prefix: str = setting(
        "", "put before each path, which is then percent-encoded: /data/local-files/?d=photos/; empty: the plain path"
    )


@dataclass(frozen=True)
class ModelSettings:
    """The classifier as files."""

    onnx: bool = setting(False, "model.onnx too, for ONNX Runtime; needs annotator[onnx]")


@dataclass(frozen=True)
class Format(Row):
    """A row that also says where it writes when nobody says otherwise, and what it can hold."""

    out: str = ""
    entries: str = ""  # of a folder: "package.module:generator", see folders.py
    unlabeled: bool = False  # can it hold images without a label?
    of_labels: bool = True  # else it is no list of labels: no filters, no manifest
    extra: str = ""  # what pip must bring: annotator[extra]

    def missing(self) -> bool:
        """Is the library of the extra not there? Nothing is imported."""
        return bool(self.extra) and find_spec(_LIBRARIES[self.extra]) is None


FORMATS: dict[str, Format] = {
    "csv": Format(
        "one row per labeled file, with everything known about its label",
        NoSettings, "annotator.export.csv:export", out="labels.csv", unlabeled=True,
    ),
    "jsonl": Format(
        "the same rows as JSON, one object per line, with true types",
        NoSettings, "annotator.export.jsonl:export", out="labels.jsonl", unlabeled=True,
    ),
    "parquet": Format(
        "the same rows as Parquet, with typed columns",
        NoSettings, "annotator.export.parquet:export", out="labels.parquet", unlabeled=True, extra="parquet",
    ),
    "labelstudio": Format(
        "Label Studio's tasks with annotations, and suggestions as predictions",
        PrefixSettings, "annotator.export.labelstudio:export", out="labelstudio.json", unlabeled=True,
    ),
    "labelstudio-min": Format(
        "Label Studio's JSON_MIN, one flat object per file",
        PrefixSettings, "annotator.export.labelstudio:export_min", out="labelstudio-min.json",
    ),
    "prodigy": Format(
        "Prodigy's JSONL for its choice interface",
        PrefixSettings, "annotator.export.prodigy:export", out="prodigy.jsonl",
    ),
    "coco": Format(
        "COCO's JSON with a class per image and no boxes",
        NoSettings, "annotator.export.coco:export", out="coco.json",
    ),
    "imagefolder": Format(
        "copies of the labeled images, one folder per class",
        ImageFolderSettings, "annotator.export.imagefolder:export", out="labeled",
        entries="annotator.export.imagefolder:entries",
    ),
    "huggingface": Format(
        "numbered copies with metadata, for load_dataset(\"imagefolder\")",
        HuggingFaceSettings, "annotator.export.huggingface:export", out="huggingface",
        entries="annotator.export.huggingface:entries",
    ),
    "datasets": Format(
        "one Parquet file with the images and Hugging Face's features, for load_dataset(\"parquet\")",
        NoSettings, "annotator.export.parquet:export_images", out="dataset.parquet", unlabeled=True, extra="parquet",
    ),
    "ultralytics": Format(
        "copies in train, val and test, for Ultralytics' classifiers",
        UltralyticsSettings, "annotator.export.ultralytics:export", out="ultralytics",
        entries="annotator.export.ultralytics:entries",
    ),
    "imagenet": Format(
        "copies with a list of paths and class numbers",
        ImageFolderSettings, "annotator.export.imagenet:export", out="imagenet",
        entries="annotator.export.imagenet:entries",
    ),
    "fiftyone": Format(
        "FiftyOne's FiftyOneImageClassificationDataset",
        ImageFolderSettings, "annotator.export.fiftyone:export", out="fiftyone",
        entries="annotator.export.fiftyone:entries",
    ),
    "model": Format(
        "the classifier: model.safetensors, model.json and, where asked for, model.onnx",
        ModelSettings, "annotator.predicting:export_model", out="model",
        of_labels=False,
    ),
}  # fmt: skip
