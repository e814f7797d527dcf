"""What `current` says, kept for each image, so that a page of a hundred thousand is one look into an index."""

from sqlite_utils import Database


def apply(db: Database) -> None:
    for statement in _STATES:
        db.execute(statement)


# from the view: a migration that changes what it says fills the table anew
_STATE = """INSERT INTO states (image_id, status, class_id, latest)
    SELECT image_id, status, CASE WHEN status = 'label' THEN class_id END, latest FROM current"""

_UNLABELED = "INSERT INTO states (image_id) SELECT id FROM images WHERE id NOT IN (SELECT image_id FROM states)"

_STATES = (
    """CREATE TABLE states (
        image_id INTEGER PRIMARY KEY REFERENCES images (id),
        status TEXT NOT NULL DEFAULT 'unlabeled', class_id INTEGER REFERENCES classes (id),  -- of a label
        latest INTEGER NOT NULL DEFAULT 0  -- the newest answer that stands
    )""",
    _STATE,
    _UNLABELED,
    "CREATE INDEX states_latest ON states (latest)",
    "CREATE INDEX states_status ON states (status, latest)",
    "CREATE INDEX states_class ON states (class_id, latest)",
    "CREATE INDEX files_name ON files (name, image_id)",
    "CREATE INDEX labels_asked ON labels (person_id, image_id, source, round)",
    "CREATE INDEX images_aside ON images (id) WHERE aside IS NOT NULL",
    """CREATE TRIGGER states_begin AFTER INSERT ON images
        BEGIN INSERT OR IGNORE INTO states (image_id) VALUES (NEW.id); END""",
    f"""CREATE TRIGGER states_follow AFTER INSERT ON labels BEGIN
        DELETE FROM states WHERE image_id = NEW.image_id;
        {_STATE} WHERE image_id = NEW.image_id;
        INSERT OR IGNORE INTO states (image_id) VALUES (NEW.image_id);
        END""",
    # what a class counts as decides what its labels say; SQLite looks for these columns only when one is set
    f"""CREATE TRIGGER states_follow_classes AFTER UPDATE OF counts_as, retired ON classes
        BEGIN DELETE FROM states; {_STATE}; {_UNLABELED}; END""",
)
