"""What the label page gets of each image that it asks: the picture, why it is asked, and what is suggested."""

from typing import Any

from annotator import predictions
from annotator.pages import shared
from annotator.store import overview, rounds, second_looks, suggestions
from annotator.store import project as project_store


def of(slots: list[dict[str, Any]], share: float) -> list[dict[str, Any]]:
    """One for each slot, in their order; `share` of images show a suggestion, audit images and second looks never."""
    db, images = shared.database(), [slot["image_id"] for slot in slots]
    faces = overview.faces(db, images)
    open_images = [image for image in images if not faces[image]["audit"]]
    meanings, model = project_store.class_meanings(db), rounds.latest_model(db)
    said = _of_model(open_images, model, meanings)
    of_files = suggestions.read(db, [image for image in open_images if image not in said])
    earlier = second_looks.labels(db, [slot["image_id"] for slot in slots if _is_second_look(slot)])
    found = []
    for slot in slots:
        image, face = slot["image_id"], faces[slot["image_id"]]
        suggestion = said.get(image) or _of_file(of_files.get(image), meanings)
        item = {"image": image, "url": shared.image_url(image, face["sha256"])}
        item |= {key: face[key] for key in ("width", "height")}
        item |= {key: slot[key] for key in ("source", "round", "strategy")}
        item |= _suggested(suggestion, is_shown=_is_shown(slot, face["sha256"], share))
        found.append(item | ({"earlier": earlier[image]} if image in earlier else {}))
    return found


def _is_second_look(slot: dict[str, Any]) -> bool:
    return bool(slot["strategy"] == second_looks.STRATEGY)


def _is_shown(slot: dict[str, Any], sha256: str, share: float) -> bool:
    """The same for an image whoever asks: its content decides. A second look is blind."""
    return not _is_second_look(slot) and int(sha256[:8], 16) < share * 2**32


def _suggested(suggestion: dict[str, Any] | None, *, is_shown: bool) -> dict[str, Any]:
    """What is hidden is told apart, because the label says of it that it was not shown."""
    if is_shown or suggestion is None:
        return {"suggestion": suggestion}
    return {"suggestion": None, "unshown": {key: suggestion[key] for key in ("class", "confidence", "model")}}


def _of_model(
    images: list[int], model: dict[str, Any] | None, meanings: predictions.Meanings
) -> dict[int, dict[str, Any]]:
    """Image -> what the newest model says of it."""
    if model is None:
        return {}
    path = shared.instance() / model["folder"] / predictions.FILE
    return {
        image: {
            "class": said.class_id, "confidence": said.confidence, "model": model["number"], "second": said.second_id,
            "second_confidence": said.second_confidence, "probs": said.probs,
        }
        for image, said in predictions.read(path, images, meanings).items()
    }  # fmt: skip


def _of_file(said: suggestions.Suggested | None, meanings: predictions.Meanings) -> dict[str, Any] | None:
    """What a file suggests, in the form of a model's suggestion; None when its class was retired."""
    class_id = meanings.get(said.class_id) if said else None
    if said is None or class_id is None:
        return None
    probs = {} if said.confidence is None else {class_id: said.confidence}
    about = {"class": class_id, "confidence": said.confidence, "model": None, "origin": said.origin}
    return about | {"second": None, "second_confidence": 0.0, "probs": probs}
