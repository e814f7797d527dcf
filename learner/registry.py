"""What a registry is: a plain dict of name -> Row. Importing one imports neither torch nor scikit-learn."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeVar

from learner.errors import UnknownName


@dataclass(frozen=True)
class Row:
    """One entry: what it is, the dataclass of its settings, and where the function is."""

    summary: str
    settings: type
    target: str  # "package.module:function"
    needs: frozenset[str] = frozenset()  # of a strategy: what `learner.questions.candidates` fills in
    paper: str = ""

    def load(self) -> Callable[..., Any]:
        """Import the function. The only place where a registry costs an import."""
        module, _, name = self.target.partition(":")
        function: Callable[..., Any] = getattr(import_module(module), name)
        return function


R = TypeVar("R", bound=Row)


def lookup(kind: str, registry: Mapping[str, R], name: str) -> R:
    """The row called `name`; UnknownName lists the names there are."""
    try:
        return registry[name]
    except KeyError:
        raise UnknownName(f"unknown {kind} {name!r}; choose from {', '.join(registry)}") from None


def options(text: str, known: Mapping[str, tuple[str, Any]], number: str) -> tuple[str, dict[str, Any]]:
    """`rest@word@64` -> `rest` and the settings that the words stand for; a number sets `number`. The last wins.

    What follows an @ and is neither stays in the rest: file names hold such signs too.
    """
    values: dict[str, Any] = {}
    pattern = re.compile(rf"(.+)@({'|'.join(known)}|\d+)", re.S)
    while match := pattern.fullmatch(text):
        text, option = match.groups()
        key, value = known.get(option) or (number, int(option))
        values.setdefault(key, value)
    return text, values
