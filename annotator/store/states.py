"""States: what `current` says, kept for each image by triggers. Here is only whether it is."""

from sqlite_utils import Database

REPAIR = (
    "the answers are whole; stop the server, then in the instance folder "
    "`sqlite3 labels.db 'INSERT INTO refresh SELECT id FROM images'` makes the table anew"
)


def wrong(db: Database) -> list[int]:
    """The images of which the table says something else than the view, or nothing."""
    sql = """SELECT images.id FROM images LEFT JOIN states ON states.image_id = images.id
        LEFT JOIN current ON current.image_id = images.id
        WHERE states.status IS NOT coalesce(current.status, 'unlabeled')
        OR states.latest IS NOT coalesce(current.latest, 0)
        OR states.class_id IS NOT iif(current.status = 'label', current.class_id, NULL) ORDER BY images.id"""
    return [image for (image,) in db.execute(sql).fetchall()]
