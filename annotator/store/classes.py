"""Classes that change: every change is planned first, so that what it would do is said before it is done.

Labels stay as they were said. What they count as is in the views `answers` and `current`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from sqlite_utils import Database

from annotator.errors import AnnotatorError, NotFound
from annotator.store import class_rules as rules
from annotator.store import queue
from annotator.store.db import utc_now
from annotator.store.project import classes, count_up, counter, free_key, insert_class

# images and the class that they count as, retired or not; the few of a retired one are looked up in the view
_COUNTING = """(SELECT image_id, class_id FROM states WHERE class_id IS NOT NULL
    UNION ALL SELECT image_id, (SELECT class_id FROM current WHERE current.image_id = states.image_id)
    FROM states WHERE status = 'retired')"""


@dataclass(frozen=True)
class Change:
    """What somebody wants. None: leave it as it is."""

    action: str  # one of ACTIONS
    class_id: int = 0
    name: str | None = None
    key: str | None = None  # empty: none
    colour: str | None = None  # #rrggbb; empty: none
    guidance: str | None = None
    into: int = 0
    place: int = 0  # in the order, from 1


@dataclass
class Plan:
    """What a change would do, and in which words."""

    updates: dict[int, dict[str, Any]] = field(default_factory=dict)  # class id -> its new values
    new: dict[str, Any] | None = None  # values of a class to add
    says: list[str] = field(default_factory=list)
    images: int = 0  # whose label counts otherwise afterwards
    learns: bool = False  # the learner has other classes afterwards
    ask: list[int] = field(default_factory=list)  # images to ask again
    version: int = 0  # of the classes that it was made for


def everything(db: Database) -> list[dict[str, Any]]:
    """Every class that there is or was, with `labels`: how many images count as it."""
    sql = f"""SELECT classes.*, into_class.name AS into_name, coalesce(n, 0) AS labels
        FROM classes LEFT JOIN classes AS into_class ON into_class.id = classes.merged_into
        LEFT JOIN (SELECT class_id, count(*) AS n FROM {_COUNTING} GROUP BY class_id)
            AS counted ON counted.class_id = classes.id ORDER BY classes.position, classes.id"""
    return list(db.query(sql))


def plan(db: Database, change: Change) -> Plan:
    """What the change would do. AnnotatorError says in one line why it cannot be done.

    Counts images, which takes a moment where there are many: make it before `write`, not inside.
    """
    if change.action not in ACTIONS:
        raise AnnotatorError(f"unknown action {change.action!r:.40}; choose from {', '.join(ACTIONS)}")
    version = counter(db, "classes")
    return replace(ACTIONS[change.action](db, change), version=version)


def do(db: Database, change: Change, found: Plan, person: int) -> Plan:
    """Carry out what was planned, and remember who did what. Call inside `write`.

    Where somebody else changed the classes meanwhile it is planned anew: raises as `plan`. Returns what was done.
    """
    if found.version != counter(db, "classes"):
        found = plan(db, change)
    if found.new is not None:
        class_id = insert_class(db, found.new)
        _remember(db, class_id, "added", None, found.new["name"], person)
    for class_id, values in found.updates.items():
        before = _row(db, class_id)
        db.table("classes").update(class_id, values)
        for column, value in values.items():
            if value != before[column] and (column != "position" or class_id == change.class_id):
                _remember(db, class_id, column, before[column], value, person)
    queue.ask_again(db, found.ask)
    if any("merged_into" in values for values in found.updates.values()):
        _resolve(db)
    if found.updates:
        count_up(db, "classes")
    if found.learns and found.updates:
        count_up(db, "class set")
    return found


def changes(db: Database, limit: int = 50) -> list[dict[str, Any]]:
    """The last changes, newest first: {class, what, before, after, person, created}."""
    sql = """SELECT classes.name AS class, what, before, after, people.name AS person, class_changes.created AS created,
        (SELECT name FROM classes WHERE what = 'merged_into' AND id = coalesce(after, before)) AS other
        FROM class_changes JOIN classes ON classes.id = class_id LEFT JOIN people ON people.id = person_id
        ORDER BY class_changes.id DESC LIMIT ?"""
    return list(db.query(sql, [limit]))


def _images_of(db: Database, class_id: int) -> list[int]:
    """The images that count as this class and can be asked."""
    sql = f"""SELECT image_id FROM {_COUNTING} JOIN images ON images.id = image_id
        WHERE class_id = ? AND aside IS NULL AND row IS NOT NULL ORDER BY shuffle"""
    return [image for (image,) in db.execute(sql, [class_id]).fetchall()]


def _remember(db: Database, class_id: int, what: str, before: Any, after: Any, person: int) -> None:
    row = {"class_id": class_id, "what": what, "before": before, "after": after}
    db.table("class_changes").insert(row | {"person_id": person, "created": utc_now()})


def _resolve(db: Database) -> None:
    """Write to each class what it counts as: where its chain of mergers ends. Inside `write`."""
    into = dict(db.execute("SELECT id, merged_into FROM classes").fetchall())
    for class_id, target in into.items():
        end = target
        while end is not None and into[end] is not None:
            end = into[end]
        db.execute("UPDATE classes SET counts_as = ? WHERE id = ? AND counts_as IS NOT ?", [end, class_id, end])


def _row(db: Database, class_id: int) -> dict[str, Any]:
    row = next(db.query("SELECT * FROM classes WHERE id = ?", [class_id]), None)
    if row is None:
        raise NotFound(f"there is no class {class_id} in this project; reload the page")
    return row


def _offered(db: Database, class_id: int) -> dict[str, Any]:
    """The class, which must neither be retired nor merged."""
    row = _row(db, class_id)
    if row["merged_into"] is not None:
        raise AnnotatorError(f"{row['name']!r} was merged into another class; bring it back first")
    if row["retired"] is not None:
        raise AnnotatorError(f"{row['name']!r} is retired; bring it back first")
    return row


# ---- one function for each action: reads, checks and says; changes nothing


def _add(db: Database, change: Change) -> Plan:
    name = rules.name(db, change.name or "", 0)
    free = free_key(name, {row["key"] for row in classes(db)})
    key = free if change.key is None else rules.key(db, change.key, 0)
    new = {"name": name, "key": key}
    new |= {"colour": rules.colour(change.colour or ""), "guidance": rules.guidance(change.guidance or "")}
    says = [
        f"{name!r} is offered {_with_key(key)}",
        "the next round has an output for it, which means something as soon as it has labels",
    ]
    return Plan(new=new, says=says, learns=True)


def _edit(db: Database, change: Change) -> Plan:
    row = _offered(db, change.class_id)
    checks: dict[str, Callable[[str], str]] = {
        "name": lambda text: rules.name(db, text, row["id"]),
        "key": lambda text: rules.key(db, text, row["id"]),
        "colour": rules.colour,
        "guidance": rules.guidance,
    }
    wanted = {column: check(text) for column, check in checks.items() if (text := getattr(change, column)) is not None}
    values = {column: value for column, value in wanted.items() if value != row[column]}
    says = [_becomes(column, row[column], value) for column, value in values.items()]
    if "name" in values:
        says.append(f"{_keep(_count(db, row['id']))}, under the new name")
    if not values:
        raise AnnotatorError(f"nothing about {row['name']!r} changes; change a field or close the window")
    return Plan({row["id"]: values}, says=says)


def _becomes(column: str, before: str, after: str) -> str:
    if not after:
        return f"the {column} {before!r} goes"
    return f"the {column} {before!r} becomes {after!r}" if before else f"the {column} becomes {after!r}"


def _merge(db: Database, change: Change) -> Plan:
    if not change.into:
        raise AnnotatorError("choose the class to merge into")
    if change.class_id == change.into:
        raise AnnotatorError("a class cannot be merged into itself; choose another one")
    row, target = _row(db, change.class_id), _offered(db, change.into)
    if row["merged_into"] is not None:
        raise AnnotatorError(f"{row['name']!r} was merged already; bring it back first")
    if row["retired"] is None:
        rules.keep_enough(db, row["name"], "merge")
    images = _count(db, row["id"])
    says = [f"{_count_as(images)} {target['name']!r} from now on"]
    updates: dict[int, dict[str, Any]] = {row["id"]: {"merged_into": target["id"], "retired": None}}
    if row["key"] and row["retired"] is None:
        says.append(_moved_key(row["key"], target))
        if not target["key"]:
            updates[target["id"]] = {"key": row["key"]}
    return Plan(updates, says=[*says, "what was said stays in the history, and it can be undone"], images=images,
                learns=True)  # fmt: skip


def _moved_key(key: str, target: dict[str, Any]) -> str:
    return f"the key {key} becomes free" if target["key"] else f"the key {key} moves to {target['name']!r}"


def _retire(db: Database, change: Change) -> Plan:
    row = _offered(db, change.class_id)
    rules.keep_enough(db, row["name"], "retire")
    images = _count(db, row["id"])
    says = [
        f"{row['name']!r} is no longer offered",
        *([f"{_keep(images)}; until it is brought back, they neither train nor are exported"] if images else []),
        *([f"the key {row['key']} becomes free"] if row["key"] else []),
        *([f"you can ask {'it' if images == 1 else 'them'} again afterwards"] if images else []),
    ]
    return Plan({row["id"]: {"retired": utc_now()}}, says=says, images=images, learns=True)


def _restore(db: Database, change: Change) -> Plan:
    row = _row(db, change.class_id)
    if row["retired"] is None and row["merged_into"] is None:
        raise AnnotatorError(f"{row['name']!r} is neither retired nor merged; there is nothing to bring back")
    used = {each["key"] for each in classes(db)}
    key = row["key"] if row["key"] and row["key"] not in used else free_key(row["name"], used)
    images = _count_said(db, row["id"]) if row["merged_into"] else _count(db, row["id"])
    updates: dict[str, Any] = {"retired": None, "merged_into": None}
    updates = {column: value for column, value in updates.items() if row[column] != value}
    updates |= {"key": key} if key != row["key"] else {}
    says = [f"{row['name']!r} is offered again {_with_key(key)}", f"{_count_as(images)} {row['name']!r} again"]
    return Plan({row["id"]: updates}, says=says, images=images, learns=True)


def _move(db: Database, change: Change) -> Plan:
    row, rows = _offered(db, change.class_id), classes(db)
    if not 1 <= change.place <= len(rows):
        raise AnnotatorError(f"there is no place {change.place}; choose from 1 to {len(rows)}")
    order = [each["id"] for each in rows if each["id"] != row["id"]]
    order.insert(change.place - 1, row["id"])
    places = dict(db.execute("SELECT id, position FROM classes").fetchall())
    updates = {each: {"position": place} for place, each in enumerate(order, 1) if places[each] != place}
    return Plan(updates, says=[f"{row['name']!r} is number {change.place} of {len(rows)}; keys stay as they are"])


def _ask(db: Database, change: Change) -> Plan:
    row = _row(db, change.class_id)
    images = _images_of(db, row["id"])
    if not images:
        raise AnnotatorError(f"no image counts as {row['name']!r}; there is nothing to ask again")
    says = [
        f"{_images(len(images))} of {row['name']!r}, asked again right after those that are on screens already",
        "until somebody answers, the labels stay as they are",
    ]
    return Plan(says=says, images=len(images), ask=images)


ACTIONS: dict[str, Callable[[Database, Change], Plan]] = {
    "add": _add, "edit": _edit, "merge": _merge, "retire": _retire, "restore": _restore, "move": _move,
    "ask": _ask,
}  # fmt: skip


# ---- how much it touches


def _count(db: Database, class_id: int) -> int:
    """Images that count as this class, retired or not."""
    return int(db.execute(f"SELECT count(*) FROM {_COUNTING} WHERE class_id = ?", [class_id]).fetchone()[0])


def _count_said(db: Database, class_id: int) -> int:
    """Images of which a merged class, or one that was merged into it before, was said last."""
    sql = """WITH RECURSIVE own (id) AS (
            VALUES (?) UNION SELECT classes.id FROM classes JOIN own ON merged_into = own.id)
        SELECT count(DISTINCT answers.image_id) FROM answers JOIN labels USING (id) WHERE labels.class_id IN own"""
    return int(db.execute(sql, [class_id]).fetchone()[0])


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"


def _keep(count: int) -> str:
    return "1 image keeps its label" if count == 1 else f"{count:,} images keep their labels"


def _count_as(count: int) -> str:
    return "1 image counts as" if count == 1 else f"{count:,} images count as"


def _with_key(key: str) -> str:
    return f"with the key {key}" if key else "without a key: all of them are taken"
