"""People who may come in: roles, passwords and invitations, of which only hashes are kept."""

import hashlib
import secrets
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from sqlite_utils import Database
from werkzeug.security import check_password_hash, generate_password_hash

from annotator.errors import AnnotatorError, NotFound
from annotator.roles import ROLES
from annotator.store.db import utc_now

OWNER = "local"  # whoever sits at the machine, or has the link that the server printed
RESERVED = frozenset({OWNER, "import"})
SHORTEST, LONGEST = 8, 200  # characters of a password
LONGEST_NAME = 60
INVITED = timedelta(days=7)


def everybody(db: Database) -> list[dict[str, Any]]:
    """[{id, name, role, state, invited_until, last}], by name. state: active, invited, gone, none."""
    sql = """SELECT id, name, role, invited_until, CASE WHEN gone IS NOT NULL THEN 'gone'
            WHEN password IS NOT NULL THEN 'active' WHEN invitation IS NOT NULL THEN 'invited' ELSE 'none' END AS state,
            (SELECT created FROM labels WHERE person_id = people.id ORDER BY labels.id DESC LIMIT 1) AS last
        FROM people ORDER BY name"""
    return list(db.query(sql))


def answers(db: Database) -> dict[int, int]:
    """Person -> answers given, by a file too; those taken back later are among them."""
    sql = """SELECT person_id, count(*) FROM labels GROUP BY person_id
        UNION ALL SELECT person_id, -count(*) FROM labels INDEXED BY labels_undoes
            WHERE undoes IS NOT NULL GROUP BY person_id"""
    found = Counter[int]()
    for person, count in db.execute(sql).fetchall():
        found[person] += count
    return found


def get(db: Database, person_id: int) -> dict[str, Any]:
    """The row of a person. Raises NotFound."""
    for row in db.query("SELECT * FROM people WHERE id = ?", [person_id]):
        return dict(row)
    raise NotFound(f"there is no person {person_id} in this project; reload the page")


def named(db: Database, name: str) -> dict[str, Any]:
    """The row of a person. Raises NotFound."""
    for row in db.query("SELECT * FROM people WHERE name = ?", [name]):
        return dict(row)
    raise NotFound(f"there is no person {name!r} in this project; see `annotator user list`")


def add(db: Database, name: str, role: str) -> str:
    """A new person; returns the secret of the invitation. Somebody who only left answers so far becomes a person.

    Call inside `write`. Raises AnnotatorError for a name that is taken or cannot be one.
    """
    name = name.strip()
    _check_name(name)
    _check_role(role)
    for row in db.query("SELECT * FROM people WHERE name = ?", [name]):
        if row["password"] or row["invitation"]:
            raise AnnotatorError(f"there is a person {name!r} already; choose another name, or send a new link")
        db.table("people").update(row["id"], {"role": role, "gone": None})
        return invite(db, row["id"])
    person_id = db.table("people").insert({"name": name, "role": role}).last_pk
    return invite(db, int(person_id or 0))


def _check_name(name: str) -> None:
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise AnnotatorError(f"{name!r:.80} cannot be a name: 1 to {LONGEST_NAME} characters that print")
    if name.casefold() in RESERVED:
        raise AnnotatorError(f"the name {name!r} is used by the tool itself; choose another")


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise AnnotatorError(f"there is no role {role!r}; choose from {', '.join(ROLES)}")


def invite(db: Database, person_id: int) -> str:
    """A new link for a person, once: to choose a password, or to choose another. Call inside `write`."""
    _of_an_account(get(db, person_id))
    secret = secrets.token_urlsafe(32)
    until = (datetime.now(UTC) + INVITED).isoformat(timespec="milliseconds")
    db.table("people").update(person_id, {"invitation": _digest(secret), "invited_until": until, "gone": None})
    return secret


def _of_an_account(row: dict[str, Any]) -> None:
    if row["name"].casefold() in RESERVED:
        raise AnnotatorError(f"{row['name']!r} is used by the tool itself and has no account")


def _digest(secret: str) -> str:
    """Secrets of 256 random bits need no salt and no slow hash."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def invited(db: Database, secret: str) -> dict[str, Any]:
    """Whose open invitation this is. Raises NotFound."""
    sql = "SELECT * FROM people WHERE invitation = ? AND invited_until > ? AND gone IS NULL"
    for row in db.query(sql, [_digest(secret), utc_now()]):
        return dict(row)
    raise NotFound("this invitation was used or is over; ask an administrator for a new link")


def hashed(password: str) -> str:
    """What is kept of a password. It takes a tenth of a second on purpose: call it before `write`, not inside."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise AnnotatorError(f"a password has {SHORTEST} to {LONGEST} characters; this one has {len(password)}")
    return generate_password_hash(password)


def accept(db: Database, secret: str, password: str) -> dict[str, Any]:
    """The invitation is used up for this `hashed` password; returns the person. Call inside `write`."""
    row = invited(db, secret)
    set_password(db, row["id"], password)
    return get(db, row["id"])


def set_password(db: Database, person_id: int, password: str) -> None:
    """`hashed`. Sessions from before are over, and so is an open invitation. Call inside `write`."""
    values = {"password": password, "stamp": secrets.token_hex(8), "invitation": None}
    db.table("people").update(person_id, values)


@cache
def _nobody() -> str:
    """The hash that is checked where there is no such person: as slow as a person's."""
    return generate_password_hash(secrets.token_urlsafe())


def check(db: Database, name: str, password: str) -> dict[str, Any] | None:
    """The person, where name and password fit; it takes as long where nobody is called like this."""
    row: dict[str, Any] = next(db.query("SELECT * FROM people WHERE name = ?", [name.strip()]), {})
    fits = check_password_hash(row.get("password") or _nobody(), password[:LONGEST])
    return row if fits and row.get("password") and row["gone"] is None else None


def set_role(db: Database, person_id: int, role: str) -> None:
    """Call inside `write`."""
    _check_role(role)
    _of_an_account(get(db, person_id))
    db.table("people").update(person_id, {"role": role})


def leave(db: Database, person_id: int) -> None:
    """Nobody comes in as this person any more, at once; the answers stay. A new invitation brings the person back.

    Call inside `write`.
    """
    _of_an_account(get(db, person_id))
    values = {"gone": utc_now(), "invitation": None, "stamp": secrets.token_hex(8)}
    db.table("people").update(person_id, values)
