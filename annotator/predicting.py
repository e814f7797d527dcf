"""`annotator predict` and `annotator export model`: the classifier at work, and the classifier itself."""

import csv
import json
import shutil
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from sqlite_utils import Database

from annotator import predictions
from annotator.errors import AnnotatorError
from annotator.export import ModelSettings, Report
from annotator.export.selection import ALL, Selection
from annotator.images import BadImage, read_training
from annotator.importing.walk import walk
from annotator.originals import Unreadable, open_original, printable
from annotator.store import copy, files, rounds
from annotator.store import db as store
from annotator.store import project as project_store

BATCH = 256
COLUMNS = ("path", "class", "confidence")
WEIGHTS, META = "model.safetensors", "model.json"
LIBRARIES = ("annotator", "torch", "torchvision", "timm", "safetensors")
PREPROCESSING = {
    "turn": "as EXIF says", "color": "RGB", "crop": "the centre square", "resize": "to image_size, bicubic",
    "scale": "divide by 255", "normalization": "inside the model",
}  # fmt: skip


def latest_model(instance: Path, db: Database) -> Path:
    """The folder of the newest model. Raises AnnotatorError when no round was finished yet."""
    row = rounds.latest_model(db)
    if row is None:
        raise AnnotatorError(f"the project in {instance} has no model yet; label a few images of two classes first")
    return instance / str(row["folder"])


def export_model(
    instance: Path, db: Database, out: Path, settings: ModelSettings | None = None, selection: Selection = ALL
) -> Report:
    """Write model.safetensors, model.json and maybe model.onnx into a new folder; it takes no filters."""
    if out.exists() and any(out.iterdir()):
        raise AnnotatorError(f"{out} is not empty; name another folder with --out")
    source, is_onnx = latest_model(instance, db), bool(settings and settings.onnx)
    if is_onnx:
        from learner import onnx_file

        onnx_file.require_library()  # before anything is written
    out.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source / WEIGHTS, out / WEIGHTS)
    with copy.whole(out / META) as part:
        card = json.loads((source / META).read_text(encoding="utf-8")) | provenance(db)
        part.write_text(json.dumps(card, indent=2, ensure_ascii=False), encoding="utf-8")
    if is_onnx:
        onnx_file.write(out)
    return Report(2 + is_onnx, [])


def provenance(db: Database) -> dict[str, Any]:
    """How the newest model came about, for model.json; an accuracy only where the pages would show one."""
    from annotator.pages.status import accuracy, status

    row = rounds.latest_model(db)
    assert row is not None
    return {
        **{key: row[key] for key in ("method", "strategy", "labels", "finished")}, "round": row["number"],
        "accuracy": accuracy(row, status(db)["audit"]["needed"]), "preprocessing": PREPROCESSING,
        "libraries": {name: version(name) for name in LIBRARIES},
    }  # fmt: skip


def predict_folder(folder: Path, out: Path, model: Path) -> Report:
    """Classify every image at any depth; `model` is an exported model or the instance of a project."""
    from learner import checkpoint

    if not (model / "model.json").exists():
        model = latest_model(model, store.connect(model / store.FILE))
    classifier = checkpoint.load(model)
    skipped: list[tuple[str, str]] = []

    def rows() -> Iterator[tuple[str, str, float]]:
        for names, pixels in _batches(folder, classifier.image_size[0], skipped):
            probs = classifier.predict(pixels).numpy()
            for name, row in zip(names, probs, strict=True):
                yield name, classifier.classes[int(row.argmax())], float(row.max())

    return Report(_write(out, rows()), skipped)


def _batches(folder: Path, side: int, skipped: list[tuple[str, str]]) -> Iterator[tuple[list[str], np.ndarray]]:
    """Names and (n, side, side, 3) pixels; what cannot be read goes to `skipped`."""
    names: list[str] = []
    pixels: list[np.ndarray] = []
    for entry in sorted(walk(folder, skip=folder / ".none"), key=lambda entry: entry.path):
        try:
            if entry.problem:
                raise Unreadable(entry.problem)
            with open_original(folder, entry.path) as file:
                pixels.append(read_training(file, side)[0])
        except (BadImage, Unreadable) as error:
            skipped.append((printable(entry.path), str(error)))
            continue
        names.append(printable(entry.path))
        if len(names) == BATCH:
            yield names, np.stack(pixels)
            names, pixels = [], []
    if names:
        yield names, np.stack(pixels)


def predict_pool(instance: Path, out: Path) -> Report:
    """What the newest round says of every image of the project, by file."""
    db = store.connect(instance / store.FILE)
    meanings = project_store.class_meanings(db)
    said = predictions.read_all(latest_model(instance, db) / predictions.FILE, meanings)
    names = project_store.class_titles(db)
    found = ((printable(path), *said[image]) for image, path in files.present(db, said))
    return Report(_write(out, ((name, names[class_id], confidence) for name, class_id, confidence in found)), [])


def _write(out: Path, rows: Iterable[tuple[str, str, float]]) -> int:
    """A CSV file that appears complete or not at all; returns the number of rows."""
    count = 0
    with copy.whole(out) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for name, label, confidence in rows:
            writer.writerow((name, label, f"{confidence:.6f}"))
            count += 1
    return count
