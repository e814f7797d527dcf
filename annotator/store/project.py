"""What the project is: its facts and settings (JSON by key), its classes, its counters."""

import json
import uuid
from collections.abc import Collection
from typing import Any

from sqlite_utils import Database

from annotator.errors import AnnotatorError

FEATURES = "features"  # the folder of embeddings; it may be deleted at any time
KEEP_ROUNDS = 3  # whose models and predictions stay on disk
# Commands that have a key of their own on the label page; no class gets one of these letters.
COMMAND_LETTERS = "aufzbh"
CLASS_KEYS = "1234567890" + "".join(c for c in "qwertyuiopasdfghjklzxcvbnm" if c not in COMMAND_LETTERS)


def facts(db: Database) -> dict[str, Any]:
    """Everything known of the project; empty when there is none yet."""
    return {row["key"]: json.loads(row["value"]) for row in db.query("SELECT key, value FROM project")}


def fact(db: Database, key: str) -> Any:
    """One of them; None where there is none of that name."""
    row = db.execute("SELECT value FROM project WHERE key = ?", [key]).fetchone()
    return json.loads(row[0]) if row else None


def put(db: Database, **values: Any) -> None:
    """Set facts. Call inside `write`."""
    for key, value in values.items():
        db.execute("INSERT OR REPLACE INTO project (key, value) VALUES (?, ?)", [key, json.dumps(value)])


def create(db: Database, name: str, **values: Any) -> None:
    """Found the project. Call inside `write`."""
    put(db, id=uuid.uuid4().hex, name=name, **values)


def classes(db: Database) -> list[dict[str, Any]]:
    """[{id, name, key, colour, guidance}] of the classes that are offered, in the order that was set."""
    sql = """SELECT id, name, key, colour, guidance FROM classes
        WHERE retired IS NULL AND merged_into IS NULL ORDER BY position, id"""
    return list(db.query(sql))


def class_positions(db: Database) -> dict[int, int]:
    """Class id -> its place among those that are offered, from 0."""
    return {row["id"]: position for position, row in enumerate(classes(db))}


def class_titles(db: Database) -> dict[int, str]:
    """Id -> name of every class, retired and merged ones too."""
    return dict(db.execute("SELECT id, name FROM classes").fetchall())


def class_names(db: Database) -> dict[str, int]:
    """Name -> id of every class that there is or was, by the names that they had before too."""
    sql = "SELECT before, class_id FROM class_changes WHERE what = 'name' AND before IS NOT NULL ORDER BY id"
    now = db.execute("SELECT name, id FROM classes").fetchall()
    return dict(db.execute(sql).fetchall()) | dict(now)


def class_meanings(db: Database) -> dict[int, int | None]:
    """Class id -> id of the class that it counts as now: after mergers another one, None for a retired one."""
    sql = "SELECT id, iif(id IN (SELECT id FROM retired_classes), NULL, coalesce(counts_as, id)) FROM classes"
    return dict(db.execute(sql).fetchall())


def add_classes(db: Database, names: list[str]) -> None:
    """Add the classes that never were there, under no name, each with a free key. Call inside `write`."""
    have = set(class_names(db))
    used = {row["key"] for row in classes(db)}
    for name in names:
        if not name.strip():
            raise AnnotatorError("a class name is empty; write --classes cat,dog,other")
        if any(0xD800 <= ord(character) <= 0xDFFF for character in name):
            raise AnnotatorError(f"the class name {name!r} is not UTF-8; type it again in a terminal that is")
        if name in have:
            continue
        key = free_key(name, used, {n for n in names if len(n) == 1})
        insert_class(db, {"name": name, "key": key})
        have.add(name)
        used.add(key)


def insert_class(db: Database, values: dict[str, Any]) -> int:
    """A new class, last in the order; returns its id. Call inside `write`."""
    (last,) = db.execute("SELECT coalesce(max(position), 0) FROM classes").fetchone()
    values = {"colour": "", "guidance": "", "position": last + 1} | values
    sql = """INSERT INTO classes (name, key, colour, guidance, position)
        VALUES (:name, :key, :colour, :guidance, :position) RETURNING id"""
    (found,) = db.query(sql, values)
    count_up(db, "classes")
    count_up(db, "class set")
    return int(found["id"])


def free_key(name: str, used: Collection[str], wanted: Collection[str] = ()) -> str:
    """The key that selects the class: its own name where that is one key, else the next free one, else none."""
    if len(name) == 1 and name in CLASS_KEYS and name not in used:
        return name
    return next((key for key in CLASS_KEYS if key not in used and key not in wanted), "")


def count_up(db: Database, counter: str) -> int:
    """Add one to a counter and return it. Call inside `write`."""
    sql = """INSERT INTO counters (name, value) VALUES (?, 1)
        ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value"""
    return int(db.execute(sql, [counter]).fetchone()[0])


def set_counter(db: Database, name: str, value: int) -> None:
    """Call inside `write`."""
    db.execute("INSERT OR REPLACE INTO counters (name, value) VALUES (?, ?)", [name, value])


def counter(db: Database, name: str) -> int:
    """Where a counter stands; 0 when it never counted."""
    row = db.execute("SELECT value FROM counters WHERE name = ?", [name]).fetchone()
    return int(row[0]) if row else 0


def people_names(db: Database) -> dict[int, str]:
    """Id -> name of everybody who ever answered or was invited."""
    return dict(db.execute("SELECT id, name FROM people").fetchall())


def person_id(db: Database, name: str) -> int:
    """The id of a person, who is added when new. Call inside `write`."""
    db.execute("INSERT OR IGNORE INTO people (name) VALUES (?)", [name])
    return int(db.execute("SELECT id FROM people WHERE name = ?", [name]).fetchone()[0])
