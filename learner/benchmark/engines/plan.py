"""Which cell is next: in the order given, but cells that share their images stay in one process."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from learner.simulate import Cell

Group = tuple[str, int]


class Plan:
    """The cells that still have to be run. Embeddings stay with a loaded data set, so its cells share a process."""

    def __init__(self, cells: Sequence["Cell"], retries: int) -> None:
        self._groups: list[Group] = [(cell.dataset, cell.settings.seed) for cell in cells]
        self._waiting = list(range(len(cells)))
        self._tries_left = [retries] * len(cells)

    def take(self, last: int | None, elsewhere: Collection[int]) -> int | None:
        """The next cell for a process whose last one was `last`, while others run `elsewhere`. None: all are taken.

        First one of the same images, then one whose images no other process has, then any.
        """
        busy = {self._groups[index] for index in elsewhere}
        same = [index for index in self._waiting if last is not None and self._groups[index] == self._groups[last]]
        free = [index for index in self._waiting if self._groups[index] not in busy]
        chosen = next(iter(same or free or self._waiting), None)
        if chosen is not None:
            self._waiting.remove(chosen)
        return chosen

    def again(self, index: int) -> bool:
        """A cell whose process was lost goes to the front; False when it has been tried often enough."""
        self._tries_left[index] -= 1
        if self._tries_left[index] < 0:
            return False
        self._waiting.insert(0, index)
        return True
