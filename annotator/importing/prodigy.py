"""Labels out of what Prodigy's `db-out` writes for its choice interface, one object per line."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from annotator.errors import AnnotatorError
from annotator.importing.jsonl import objects
from annotator.importing.rows import PATHS, Asked, Said, column, text

_PEOPLE = ("_annotator_id", "_session_id")


def read(path: Path, asked: Asked) -> Iterator[Said]:
    """A line at a time. What was ignored or rejected has no answer."""
    for line, value in objects(path):
        if isinstance(value, str):
            yield Said(line, problem=value)
        else:
            yield _said(line, value, asked)


def _said(line: int, task: dict[str, Any], asked: Asked) -> Said:
    try:
        name = column(task, asked.path_column, PATHS)
        image = text(task.get(name), name)
        if image.startswith("data:"):
            raise AnnotatorError("the image stands in the line itself, and its path does not")
        if task.get("answer") != "accept":
            return Said(line, image)
        person = next((text(task[key], key) for key in _PEOPLE if task.get(key)), "")
        return Said(line, image, _class_name(task), person=person)
    except AnnotatorError as error:
        return Said(line, problem=str(error))


def _class_name(task: dict[str, Any]) -> str:
    """The text of the option that was chosen, or the label that was accepted."""
    if "accept" not in task:
        return text(task.get("label"), "label")
    if task["accept"] == []:
        return ""
    chosen = text(task["accept"], "accept")
    options = task.get("options")
    named = [option for option in options if isinstance(option, dict)] if isinstance(options, list) else []
    return next((text(o["text"], "text") for o in named if "text" in o and str(o.get("id")) == chosen), chosen)
