"""SOURCES: where images come from. A source is `scan(instance, report, stop) -> Counts`."""

from learner.config import NoSettings
from learner.registry import Row

SOURCES: dict[str, Row] = {
    "folder": Row("the images in a folder, at any depth", NoSettings, "annotator.importing.folder:scan"),
}
