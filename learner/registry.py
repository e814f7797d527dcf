"""What a registry is: a plain dict of name -> Row. Importing one imports neither torch nor scikit-learn."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NamedTuple

from learner.errors import UnknownName


class Row(NamedTuple):
    """One entry: what it is, the dataclass of its settings, and where the function is."""

    summary: str
    settings: type
    target: str  # "package.module:function"
    needs: frozenset[str] = frozenset()  # strategies: probs, mc, embedding, penultimate
    paper: str = ""

    def load(self) -> Callable[..., Any]:
        """Import the function. The only place where a registry costs an import."""
        module, _, name = self.target.partition(":")
        function: Callable[..., Any] = getattr(import_module(module), name)
        return function


def lookup(kind: str, registry: Mapping[str, Row], name: str) -> Row:
    """The row called `name`; UnknownName lists the names there are."""
    try:
        return registry[name]
    except KeyError:
        raise UnknownName(f"unknown {kind} {name!r}; choose from {', '.join(registry)}") from None
