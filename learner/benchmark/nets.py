"""Which pretrained nets a study needs: each is asked for once, and not again by every cell that would wait for it."""

from collections.abc import Iterable, Iterator, Sequence

from learner.config import as_dict
from learner.errors import LearnerError
from learner.features import DEFAULT, parse
from learner.loop import PENULTIMATE
from learner.models import weights
from learner.simulate import Cell


def absent(cells: Sequence[Cell]) -> dict[str, str]:
    """Key -> why a net of this cell cannot be had. What can be had and was not there is downloaded."""
    reasons = dict(_refused({name for cell in cells for name in nets(cell)}))
    found = {cell.key: [reasons[name] for name in nets(cell) if name in reasons] for cell in cells}
    return {key: said[0] for key, said in found.items() if said}


def nets(cell: Cell) -> list[str]:
    """Names in timm of the nets whose weights are in no file that the cell names."""
    learned = as_dict(cell.method.settings)
    if learned.get("weights"):
        return []
    texts = [cell.settings.features, learned.get("features", "pca")]
    tuned = [f"timm:{learned['backbone']}"] if learned.get("backbone") else []
    unsaid = texts[1] == "" or learned.get("backbone") == ""
    chosen = [f"timm:{weights.at_hand() or DEFAULT}"] if unsaid else []
    known = [text for text in texts + tuned + chosen if text not in ("", "auto", PENULTIMATE)]
    return list(dict.fromkeys(_net(text) for text in known if text.startswith("timm:")))


def _net(text: str) -> str:
    return parse(text).argument


def _refused(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    for name in sorted(names):
        try:
            weights.require(name)
        except LearnerError as error:
            yield name, str(error)
