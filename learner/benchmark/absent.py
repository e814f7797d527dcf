"""What a study would need and this machine does not have: asked for once, before the first cell."""

from collections.abc import Iterator, Sequence
from functools import cache

from learner import datasets
from learner.errors import LearnerError
from learner.features import DEFAULT, parse
from learner.simulate import Cell


def absent(cells: Sequence[Cell], *, has_data: bool = False) -> dict[str, str]:
    """Key -> why the data set or a net of this cell cannot be had. Each is asked for once, whatever the engine.

    has_data: whoever runs them brings the data set.
    """
    reasons: dict[str, str] = {}
    data, net = cache(_without_data), cache(_without_net)
    for cell in cells:
        without = "" if has_data else data(cell.dataset)
        reasons[cell.key] = without or next(filter(None, (net(*asked) for asked in nets(cell))), "")
    return {key: reason for key, reason in reasons.items() if reason}


def nets(cell: Cell) -> Iterator[tuple[str, str]]:
    """The pretrained nets that the cell loads, by timm's name, each with the file of its weights or nothing."""
    from learner.models.weights import at_hand

    learned = cell.method.settings
    file = getattr(learned, "weights", "")
    seen = getattr(learned, "features", "pca") or f"timm:{at_hand() or DEFAULT}"
    for text in dict.fromkeys((seen, cell.settings.features)):
        if text.startswith("timm:"):
            yield parse(text).argument, file
    if hasattr(learned, "backbone"):
        yield learned.backbone or at_hand() or DEFAULT, file


def _without_data(text: str) -> str:
    """Why this data set cannot be loaded, or nothing."""
    try:
        datasets.load(text)
    except LearnerError as error:
        return str(error)
    return ""


def _without_net(name: str, file: str) -> str:
    """Why these weights cannot be had, or nothing."""
    from learner.models.weights import require

    try:
        require(name, file)
    except LearnerError as error:
        return " ".join(str(error).split())
    return ""
