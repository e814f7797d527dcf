"""Labels out of Label Studio's JSON and JSON_MIN, and out of any JSON list of objects with a path and a class.

In a task each annotation that was not cancelled is somebody's answer, and the choices in it are the class. Its
predictions are a model's suggestions, no labels: they are taken where suggestions are asked for, with their scores.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from annotator.errors import AnnotatorError
from annotator.importing.json_list import objects
from annotator.importing.rows import PATHS, Asked, Said, column, text

Json = dict[str, Any]


def read(path: Path, asked: Asked) -> Iterator[Said]:
    """An annotation at a time; the line is that on which its task begins."""
    for line, value in objects(path):
        if isinstance(value, str):
            yield Said(line, problem=value)
        elif isinstance(value.get("data"), dict):
            yield from _task(line, value, asked)
        else:
            yield asked.said(line, value)


def _task(line: int, task: Json, asked: Asked) -> Iterator[Said]:
    try:
        image = _image(task["data"], asked)
        annotations = _annotations(task, asked.suggestions)
    except AnnotatorError as error:
        yield Said(line, problem=str(error))
        return
    meta = task["meta"] if isinstance(task.get("meta"), dict) else {}
    sha256, person = (value if isinstance(value := meta.get(key), str) else "" for key in ("sha256", "person"))
    for annotation in annotations:
        try:
            who = _person(annotation) or person
            score = text(annotation.get("score"), "score") if asked.suggestions else ""
            yield Said(line, image, _choice(annotation, asked.class_column), sha256, who, confidence=score)
        except AnnotatorError as error:
            yield Said(line, image, problem=str(error))
    if not annotations:
        yield Said(line, image)


def _image(data: Json, asked: Asked) -> str:
    name = column(data, asked.path_column, PATHS)
    if not name:
        raise AnnotatorError("the task's data has no column that is known to hold a path")
    return text(data[name], name)


def _annotations(task: Json, predicted: bool) -> list[Json]:
    """Those that were not cancelled; older versions call them completions."""
    found = task.get("annotations", task.get("completions")) or []
    found = task.get("predictions") or [] if predicted else found
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise AnnotatorError("the task's annotations are not a list of objects")
    return [item for item in found if not item.get("was_cancelled")]


def _choice(annotation: Json, control: str) -> str:
    """The class that was chosen; empty where nothing was."""
    results = annotation.get("result") or []
    if not isinstance(results, list):
        raise AnnotatorError("the annotation's result is not a list")
    chosen = [name for result in results if isinstance(result, dict) for name in _choices(result, control)]
    return text(chosen, "choices") if chosen else ""


def _choices(result: Json, control: str) -> list[Any]:
    if result.get("type") != "choices" or (control and result.get("from_name") != control):
        return []
    value = result.get("value")
    found = value.get("choices") if isinstance(value, dict) else None
    return found if isinstance(found, list) else []


def _person(annotation: Json) -> str:
    """Who annotated: a number in most exports, else a name or an address."""
    who = annotation.get("completed_by")
    if isinstance(who, dict):
        who = who.get("email") or who.get("username") or who.get("id")
    return text(who, "completed_by")
