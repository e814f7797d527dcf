"""Who gave an opinion on an image that waits for more; people's seconds and reviewers' decisions lie in order."""

from sqlite_utils import Database


def apply(db: Database) -> None:
    for statement in _QUEUE:
        db.execute(statement)


_QUEUE = (
    # ids of people in order, between commas: ",3,12,"; empty: nobody yet, or anybody may
    "ALTER TABLE queue ADD COLUMN asked TEXT NOT NULL DEFAULT ''",
    "DROP INDEX queue_order",
    "CREATE INDEX queue_order ON queue (source, asked, rank)",
    "CREATE INDEX labels_pace ON labels (person_id, seconds) WHERE kind = 'label' AND seconds IS NOT NULL",
    "CREATE INDEX labels_decided ON labels (image_id) WHERE source = 'review'",
)
