"""Images for the browser: by id only, re-encoded, never the original file."""

from pathlib import Path
from typing import Any

from flask import Blueprint, Response, request, send_file
from flask.typing import ResponseReturnValue

from annotator import images
from annotator.errors import AnnotatorError, NotFound
from annotator.originals import open_image
from annotator.pages import shared
from annotator.store import copy
from annotator.store import images as image_store
from annotator.store import project as project_store

blueprint = Blueprint("image", __name__)
SIZES = (96, images.RENDITION_SIDE, images.LARGE_SIDE)  # on the longer side, in pixels
_TYPES = {"image/png": ".png", "image/jpeg": ".jpg"}
_LARGEST = 2**53  # SQLite takes no larger id than 2**63 - 1


@blueprint.get(f"/image/<int(max={_LARGEST}):image_id>")
def show(image_id: int) -> ResponseReturnValue:
    """The rendition of an image; made on first use and kept in the instance.

    `v`, the start of its SHA-256, must fit: a page of another project may still be open on this address.
    """
    size = request.args.get("size", images.RENDITION_SIDE, type=int)
    if size not in SIZES:
        raise AnnotatorError(f"there is no rendition of {size} px; choose from {', '.join(map(str, SIZES))}")
    image = image_store.get(shared.database(), image_id)
    if not image["sha256"].startswith(request.args.get("v", "")):
        raise NotFound(f"image {image_id} is another one now; reload the page")
    path = _cached(image, size)
    response: Response = send_file(path, mimetype=_mimetype(path), max_age=365 * 86400)
    response.headers["Cache-Control"] = "private, max-age=31536000, immutable"
    return response


def _mimetype(path: Path) -> str:
    return next(mimetype for mimetype, suffix in _TYPES.items() if suffix == path.suffix)


def _cached(image: dict[str, Any], size: int) -> Path:
    """The file of a rendition; Unreadable says why there is none."""
    folder = shared.instance() / "renditions" / str(image["sha256"])[:2]
    stem = f"{image['sha256']}-{size}"
    for suffix in _TYPES.values():
        if (folder / (stem + suffix)).exists():
            return folder / (stem + suffix)
    project_folder = shared.instance() / project_store.facts(shared.database())["folder"]
    with open_image(project_folder, image["paths"], image["sha256"]) as file:
        data, mimetype = images.rendition(images.decode(file), size)
    path: Path = folder / (stem + _TYPES[mimetype])
    with copy.whole(path) as part:
        part.write_bytes(data)
    return path
