"""SOURCES: where labels come from. A source is `read(path, asked) -> Iterator[Said]`, one row after the other.

IMAGES: where images come from. Such a source is `scan(instance, report, stop) -> Counts`.
"""

from dataclasses import dataclass

from learner.registry import Row
from learner.settings import NoSettings

IMAGES: dict[str, Row] = {
    "folder": Row("the images in a folder, at any depth", NoSettings, "annotator.importing.folder:scan"),
}


@dataclass(frozen=True)
class Source(Row):
    """A row that also says by which names of files it is known."""

    suffixes: tuple[str, ...] = ()


SOURCES: dict[str, Source] = {
    "csv": Source(
        "our own CSV, and any with a column of paths and one of classes",
        NoSettings, "annotator.importing.csv:read", suffixes=(".csv", ".tsv", ".txt"),
    ),
    "jsonl": Source(
        "our own JSON lines, and any with a path and a class in each object",
        NoSettings, "annotator.importing.jsonl:read", suffixes=(".jsonl", ".ndjson"),
    ),
    "labelstudio": Source(
        "Label Studio's tasks or JSON_MIN, and any JSON list of objects with a path and a class",
        NoSettings, "annotator.importing.labelstudio:read",
    ),
    "prodigy": Source(
        "Prodigy's JSONL of its choice interface",
        NoSettings, "annotator.importing.prodigy:read",
    ),
    "parquet": Source(
        "a Parquet file with a column of paths and one of classes",
        NoSettings, "annotator.importing.parquet:read", suffixes=(".parquet", ".pq"),
    ),
    "classfolders": Source(
        "a folder with a sub folder per class",
        NoSettings, "annotator.importing.classfolders:read",
    ),
}  # fmt: skip
