"""The export page: every format with a sample made of this project, and one click to take it away."""

import dataclasses
import os
import shlex
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from flask import Blueprint, Response, abort, jsonify, render_template, request, send_file
from flask.typing import ResponseReturnValue

from annotator.errors import AnnotatorError
from annotator.export import FORMATS, Report, folders, manifest
from annotator.export.filters import Filters
from annotator.export.running import head, run, suits
from annotator.export.sample import sample
from annotator.export.selection import Selection
from annotator.pages import shared
from annotator.store import db as store
from annotator.store import project
from learner.errors import LearnerError
from learner.registry import lookup
from learner.settings import resolve

blueprint = Blueprint("export", __name__)
SCRATCH = "exports"  # in the instance folder; empty but for a download that runs
OLD = 24 * 3600  # seconds after which what a killed server left there goes
HIDDEN = {"links", "onnx"}  # for the command line: an archive has no links, and the web process no PyTorch


class Wanted(NamedTuple):
    """What the address asks for."""

    name: str
    settings: Any
    filters: Filters
    manifest: bool


@blueprint.get("/export")
def page() -> ResponseReturnValue:
    formats = [_format(name, row) for name, row in FORMATS.items()]
    filters = list(_fields(Filters, "", _choices()))
    return render_template("export/index.html", formats=formats, filters=filters)


def _format(name: str, row: Any) -> dict[str, Any]:
    return {
        "name": name, "summary": row.summary, "of_labels": row.of_labels, "unlabeled": row.unlabeled,
        "extra": row.extra if row.missing() else "",
        "fields": list(_fields(row.settings, f"{name}.", {})),
    }  # fmt: skip


def _choices() -> dict[str, list[str]]:
    """What there is to choose from in this project."""
    db = shared.database()
    sources = db.execute("SELECT DISTINCT source FROM labels INDEXED BY labels_asked").fetchall()
    return {
        "only_class": [row["name"] for row in project.classes(db)],
        "person": [name for (name,) in db.execute("SELECT name FROM people ORDER BY name").fetchall()],
        "source": sorted(name for (name,) in sources),
    }


def _fields(cls: type, prefix: str, known: dict[str, list[str]]) -> Iterator[dict[str, Any]]:
    """What a form needs of each setting."""
    for field in dataclasses.fields(cls):
        if field.name not in HIDDEN:
            kind = type(field.default).__name__
            choices = list(field.metadata["choices"]) or known.get(field.name)
            yield {
                "name": prefix + field.name, "title": field.name.replace("_", " "), "help": field.metadata["help"],
                "kind": "choice" if choices and kind == "str" else kind, "choices": choices,
                "default": field.default,
            }  # fmt: skip


@blueprint.get("/api/export")
def preview() -> ResponseReturnValue:
    """The command that does the same, and a sample. See docs/api.md."""
    wanted, scratch = _wanted(), _scratch()
    suits(wanted.name, wanted.filters, wanted.manifest)
    made = sample(shared.instance(), shared.database(), wanted.name, wanted.settings, wanted.filters, scratch)
    return jsonify(ok=True, command=_command(wanted), sample=made.text, files=made.files)


@blueprint.get("/export/download")
def download() -> ResponseReturnValue:
    """The export itself: a file as it is, a folder as a ZIP archive that is sent while it is made."""
    if request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
        abort(403, "a page elsewhere may not start an export; open the project's own page")
    wanted = _wanted()
    suits(wanted.name, wanted.filters, wanted.manifest)
    return _streamed(wanted) if FORMATS[wanted.name].entries else _written(wanted)


def _wanted() -> Wanted:
    """Raises AnnotatorError for a format, a setting or a filter that does not exist or fit."""
    name = request.args.get("format", "csv")
    try:
        settings = _values(lookup("format", FORMATS, name).settings, f"{name}.")
        return Wanted(name, settings, _values(Filters, ""), bool(request.args.get("manifest")))
    except LearnerError as error:
        raise AnnotatorError(str(error)) from None


def _values(cls: type, prefix: str) -> Any:
    said: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        given = [value for value in request.args.getlist(prefix + field.name) if value]
        if given and field.name not in HIDDEN:
            said[field.name] = tuple(given) if isinstance(field.default, tuple) else given[-1]
    return resolve(cls, said)


def _command(wanted: Wanted) -> str:
    """The same on the command line."""
    words = ["annotator", "export", wanted.name, "-o", FORMATS[wanted.name].out]
    for name, value in _changed(wanted.settings):
        words += ["--set", f"{name}={value}"]
    for name, value in _changed(wanted.filters):
        option = "--" + name.replace("_", "-")
        words += [option] if value is True else [f"{option}={one}" for one in _several(value)]
    words += ["--manifest"] * wanted.manifest
    return shlex.join(words + _instance_option())


def _several(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _changed(settings: Any) -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(settings):
        if (value := getattr(settings, field.name)) != field.default:
            yield field.name, value


def _instance_option() -> list[str]:
    """Nothing where the server was started beside ./instance."""
    path = shared.instance()
    near = os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
    return [] if near == "instance" else ["--instance", near]


def _scratch() -> Path:
    """A folder of the instance to write in; what was left there long ago is gone."""
    folder = shared.instance() / SCRATCH
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # of another request, which was done meanwhile
            if path.stat().st_mtime < time.time() - OLD:
                shutil.rmtree(path, ignore_errors=True)
    return folder


def _written(wanted: Wanted) -> Response:
    """A file, written whole before it is sent; with its manifest, or where it is several, as an archive."""
    folder = Path(tempfile.mkdtemp(dir=_scratch()))
    try:
        out = folder / FORMATS[wanted.name].out
        values = (wanted.name, out, wanted.settings, wanted.filters)
        run(shared.instance(), shared.database(), *values, with_manifest=wanted.manifest)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        response = _file(files[0]) if len(files) == 1 else _archive(_packed(folder, files), out.stem)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    response.call_on_close(lambda: shutil.rmtree(folder, ignore_errors=True))
    return response


def _file(path: Path) -> Response:
    response = send_file(path, "application/octet-stream", as_attachment=True)
    response.direct_passthrough = False  # it would not say when it is closed
    return response


def _packed(folder: Path, files: list[Path]) -> Iterator[bytes]:
    sink = folders.Zipped(folder, "export")

    def entries() -> Iterator[None]:
        for path in files:
            with path.open("rb") as file:
                sink.file(file, path.relative_to(folder).parts, path)
            yield

    return folders.zipped(entries(), sink)


def _streamed(wanted: Wanted) -> Response:
    """A folder as an archive; its first piece is made before the answer begins, so that errors are an answer."""
    instance, out = shared.instance(), FORMATS[wanted.name].out
    db = store.connect(instance / store.FILE)  # the request's own is closed before the last piece is sent
    try:
        rows = list(Selection(wanted.filters, people=wanted.manifest).rows(instance, db))
        sink = folders.Zipped(instance / project.facts(db)["folder"], out)
        entries = folders.load(FORMATS[wanted.name])(sink, db, rows, wanted.settings)
        if wanted.manifest:
            entries = chain(entries, _manifest(sink, rows, head(db, wanted.name, wanted.settings, wanted.filters)))
        pieces = folders.zipped(entries, sink)
        response = _archive(chain([next(pieces)], pieces), out)
    except BaseException:
        db.close()
        raise
    response.call_on_close(db.close)
    return response


def _manifest(sink: folders.Zipped, rows: list[dict[str, Any]], facts: dict[str, Any]) -> Iterator[None]:
    """manifest.json; last, when it is known what was left out."""
    yield from sink.text(manifest.pieces(rows, lambda: Report(sink.written, sink.skipped), **facts), "manifest.json")


def _archive(pieces: Iterator[bytes], stem: str) -> Response:
    response = Response(pieces, mimetype="application/zip")
    response.headers.set("Content-Disposition", "attachment", filename=f"{stem}.zip")
    return response
