"""Why a round was given up, if it was."""

from sqlite_utils import Database


def apply(db: Database) -> None:
    db.execute("ALTER TABLE rounds ADD COLUMN error TEXT")
