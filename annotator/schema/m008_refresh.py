"""A class that changes makes anew what is kept of its own images, not of all; images that wait are counted at once."""

from sqlite_utils import Database


def apply(db: Database) -> None:
    for statement in _REFRESH:
        db.execute(statement)


# One image at a time: the condition reaches the innermost look into an index, which a list of images does not.
_REFRESH = (
    "CREATE INDEX queue_waiting ON queue (image_id) WHERE asked > ''",
    "CREATE INDEX labels_class ON labels (class_id, image_id) WHERE class_id IS NOT NULL",
    # INSERT INTO refresh makes the states of these images anew; there is nothing to read
    "CREATE VIEW refresh AS SELECT image_id FROM states WHERE 0",
    """CREATE TRIGGER refresh_states INSTEAD OF INSERT ON refresh BEGIN
        DELETE FROM states WHERE image_id = NEW.image_id;
        INSERT INTO states (image_id, status, class_id, latest)
            SELECT image_id, status, CASE WHEN status = 'label' THEN class_id END, latest
            FROM current WHERE image_id = NEW.image_id;
        INSERT OR IGNORE INTO states (image_id) VALUES (NEW.image_id);
        END""",
    "DROP TRIGGER states_follow_classes",
    # of the class itself, and of those that count as it
    """CREATE TRIGGER states_follow_classes AFTER UPDATE OF counts_as, retired ON classes BEGIN
        INSERT INTO refresh SELECT DISTINCT image_id FROM labels
            WHERE class_id IN (SELECT id FROM classes WHERE NEW.id IN (id, counts_as));
        END""",
)
