"""Roles, passwords and invitations. Of secrets only hashes are kept."""

from sqlite_utils import Database


def apply(db: Database) -> None:
    for column in _ACCOUNTS:
        db.execute(f"ALTER TABLE people ADD COLUMN {column}")


_ACCOUNTS = (
    "role TEXT NOT NULL DEFAULT 'annotator'",
    "password TEXT",                  # scrypt; null: nobody can log in with it
    "invitation TEXT",                # SHA-256 of what stands in the link; null: none is open
    "invited_until TEXT",
    "stamp TEXT NOT NULL DEFAULT ''",  # changes with the password: sessions from before are over
    "gone TEXT",                      # since when this person may not come in
)  # fmt: skip
