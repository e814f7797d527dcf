"""FORMATS: what leaves the project. A format is `export(instance, db, out, settings) -> Report`."""

from dataclasses import dataclass
from typing import NamedTuple

from learner.config import NoSettings, setting
from learner.registry import Row


class Report(NamedTuple):
    """What an export did."""

    written: int  # files of images, or rows
    skipped: list[tuple[str, str]]  # (file name, why not)


@dataclass(frozen=True)
class ImageFolderSettings:
    """One folder per class."""

    links: bool = setting(False, "hard links to the originals instead of copies, where the file system can")


@dataclass(frozen=True)
class Format(Row):
    """A row that also says where it writes when nobody says otherwise."""

    out: str = ""


FORMATS: dict[str, Format] = {
    "csv": Format(
        "one row per labeled file, with everything known about its label",
        NoSettings, "annotator.export.csv:export", out="labels.csv",
    ),
    "imagefolder": Format(
        "copies of the labeled images, one folder per class",
        ImageFolderSettings, "annotator.export.imagefolder:export", out="labeled",
    ),
    "model": Format(
        "the classifier: model.safetensors and model.json",
        NoSettings, "annotator.predicting:export_model", out="model",
    ),
}  # fmt: skip
