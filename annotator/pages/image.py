"""Images for the browser: by id only, re-encoded, never the original file."""

from pathlib import Path
from uuid import uuid4

from flask import Blueprint, Response, request, send_file
from flask.typing import ResponseReturnValue

from annotator import images
from annotator.errors import AnnotatorError
from annotator.originals import open_image
from annotator.pages import shared
from annotator.store import images as image_store
from annotator.store import project as project_store

blueprint = Blueprint("image", __name__)
SIZES = (96, images.RENDITION_SIDE)  # on the longer side, in pixels
_TYPES = {"image/png": ".png", "image/jpeg": ".jpg"}
_LARGEST = 2**53  # SQLite takes no larger id than 2**63 - 1


@blueprint.get(f"/image/<int(max={_LARGEST}):image_id>")
def show(image_id: int) -> ResponseReturnValue:
    """The rendition of an image; made on first use and kept in the instance."""
    size = request.args.get("size", SIZES[-1], type=int)
    if size not in SIZES:
        raise AnnotatorError(f"there is no rendition of {size} px; choose from {', '.join(map(str, SIZES))}")
    path = _cached(image_id, size)
    response: Response = send_file(path, mimetype=_mimetype(path), max_age=365 * 86400)
    response.headers["Cache-Control"] = "private, max-age=31536000, immutable"
    return response


def _mimetype(path: Path) -> str:
    return next(mimetype for mimetype, suffix in _TYPES.items() if suffix == path.suffix)


def _cached(image_id: int, size: int) -> Path:
    """The file of a rendition; NotFound and Unreadable say why there is none."""
    image = image_store.get(shared.database(), image_id)
    folder = shared.instance() / "renditions" / str(image["sha256"])[:2]
    stem = f"{image['sha256']}-{size}"
    for suffix in _TYPES.values():
        if (folder / (stem + suffix)).exists():
            return folder / (stem + suffix)
    project_folder = shared.instance() / project_store.facts(shared.database())["folder"]
    with open_image(project_folder, image["paths"], image["sha256"]) as file:
        data, mimetype = images.rendition(images.decode(file), size)
    folder.mkdir(parents=True, exist_ok=True)
    path: Path = folder / (stem + _TYPES[mimetype])
    part = folder / f"{uuid4().hex}.part"  # two requests may make the same one
    part.write_bytes(data)
    part.replace(path)
    return path
