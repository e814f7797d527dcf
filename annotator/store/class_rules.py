"""What a class may be: its name, key, colour and guidance, and how many a project needs. Errors in one line each."""

import re

from sqlite_utils import Database

from annotator.errors import AnnotatorError
from annotator.store.project import CLASS_KEYS, COMMAND_LETTERS, classes

LONGEST_NAME, LONGEST_GUIDANCE = 200, 300  # characters
FEWEST = 2  # classes that a project needs


def name(db: Database, text: str, own: int) -> str:
    """Without blanks around it, and no other class's; `own` is the class that may have it."""
    said = text.strip()
    if not said:
        raise AnnotatorError("a class needs a name; it is empty")
    if len(said) > LONGEST_NAME:
        raise AnnotatorError(f"the name is {len(said)} characters long; at most {LONGEST_NAME} are possible")
    if not said.isprintable():
        raise AnnotatorError(f"the name {said!r} holds characters that do not print; leave them out")
    row = next(db.query("SELECT * FROM classes WHERE name = ? AND id <> ?", [said, own]), None)
    if row is None:
        return said
    if row["merged_into"] is None and row["retired"] is None:
        raise AnnotatorError(f"there is a class {said!r} already; choose another name")
    was = "retired" if row["merged_into"] is None else "merged"
    raise AnnotatorError(f"there is a {was} class {said!r}; bring it back, or choose another name")


def key(db: Database, text: str, own: int) -> str:
    """A key of the label page that no other class has; empty: none."""
    if text and text in COMMAND_LETTERS:
        raise AnnotatorError(f"the key {text} is a command of the label page; choose another one")
    if text and (len(text) != 1 or text not in CLASS_KEYS):
        raise AnnotatorError(f"{text!r:.40} cannot be the key of a class; choose from {CLASS_KEYS}")
    other = next((row["name"] for row in classes(db) if text and row["key"] == text and row["id"] != own), None)
    if other is not None:
        raise AnnotatorError(f"the key {text} belongs to {other!r}; choose another one, or take it from there first")
    return text


def colour(text: str) -> str:
    """#rrggbb in small letters; empty: none."""
    said = text.strip().lower()
    if said and not re.fullmatch("#[0-9a-f]{6}", said):
        raise AnnotatorError(f"{said!r:.40} is no colour; write it as #rrggbb, or leave it empty")
    return said


def guidance(text: str) -> str:
    """One sentence; empty: none."""
    said = text.strip()
    if len(said) > LONGEST_GUIDANCE or not said.isprintable():
        raise AnnotatorError(f"guidance is one sentence of at most {LONGEST_GUIDANCE} characters")
    return said


def keep_enough(db: Database, called: str, verb: str) -> None:
    """Before a class goes: enough others stay."""
    if len(classes(db)) <= FEWEST:
        raise AnnotatorError(f"a project needs {FEWEST} classes; add another one before you {verb} {called!r}")
