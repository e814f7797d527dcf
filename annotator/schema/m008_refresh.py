"""Nothing is looked for among all images: those of a class that changes, those that wait, those to draw next."""

from sqlite_utils import Database


def apply(db: Database) -> None:
    for statement in (*_REFRESH, *_DRAWN):
        db.execute(statement)


_REFRESH = (
    "CREATE INDEX images_unread ON images (audit) WHERE row IS NULL",
    "CREATE INDEX files_problem ON files (name) WHERE problem IS NOT NULL",
    "CREATE INDEX queue_waiting ON queue (image_id) WHERE asked > ''",
    "CREATE INDEX labels_person ON labels (person_id)",  # and by its id, newest first
    "CREATE INDEX labels_class ON labels (class_id, image_id) WHERE class_id IS NOT NULL",
    # INSERT INTO refresh makes the states of these images anew; there is nothing to read. One image at a time: its
    # id reaches the innermost look into an index, which a list of images does not
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

# images are drawn in the order of `shuffle`, which is in [0, 1); all that can be drawn lie at the place or behind it
_BACK = """UPDATE drawn SET place = {image}.shuffle
    WHERE source = iif({image}.audit, 'audit', 'tail') AND place > {image}.shuffle"""

_DRAWN = (
    "CREATE TABLE drawn (source TEXT PRIMARY KEY, place REAL NOT NULL)",
    "INSERT INTO drawn (source, place) VALUES ('audit', 0.0), ('tail', 0.0)",
    f"CREATE TRIGGER drawn_new AFTER INSERT ON images BEGIN {_BACK.format(image='NEW')}; END",
    f"CREATE TRIGGER drawn_again AFTER UPDATE OF audit, row, aside ON images BEGIN {_BACK.format(image='NEW')}; END",
    """CREATE TRIGGER drawn_in_vain AFTER DELETE ON queue
        WHEN NOT EXISTS (SELECT 1 FROM labels WHERE image_id = OLD.image_id) BEGIN
        UPDATE drawn SET place = (SELECT min(place, shuffle) FROM images WHERE id = OLD.image_id)
            WHERE source = (SELECT iif(audit, 'audit', 'tail') FROM images WHERE id = OLD.image_id);
        END""",
)
