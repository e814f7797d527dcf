"""What files suggest for images: predictions of another tool, or labels that people are to look at first."""

from sqlite_utils import Database


def apply(db: Database) -> None:
    db.execute("""CREATE TABLE suggestions (
        image_id INTEGER PRIMARY KEY REFERENCES images (id),
        class_id INTEGER NOT NULL REFERENCES classes (id),
        confidence REAL,                -- 0 to 1; null: the file does not say
        origin TEXT NOT NULL,           -- the name of the file
        created TEXT NOT NULL
    )""")
