"""Classes change: their order, colour and guidance, what is retired or merged, and who did what."""

from sqlite_utils import Database


def apply(db: Database) -> None:
    for statement in _CLASSES:
        db.execute(statement)


_CLASSES = (
    "ALTER TABLE classes ADD COLUMN position INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE classes ADD COLUMN colour TEXT NOT NULL DEFAULT ''",  # #rrggbb, or nothing
    "ALTER TABLE classes ADD COLUMN guidance TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE classes ADD COLUMN retired TEXT",
    "ALTER TABLE classes ADD COLUMN merged_into INTEGER REFERENCES classes (id)",
    # where a chain of mergers ends; null: it counts as itself
    "ALTER TABLE classes ADD COLUMN counts_as INTEGER REFERENCES classes (id)",
    "UPDATE classes SET position = id",
    """CREATE TABLE class_changes (         -- only ever appended to
        id INTEGER PRIMARY KEY,
        class_id INTEGER NOT NULL REFERENCES classes (id),
        what TEXT NOT NULL,             -- a column of classes, or added
        before TEXT, after TEXT,
        person_id INTEGER REFERENCES people (id),  -- null: the command line
        created TEXT NOT NULL
    )""",
    "DROP VIEW current",
    "DROP VIEW answers",
    # class_id is the class that an answer counts as now; `labels` and `standing` have what was said
    """CREATE VIEW answers AS SELECT id, uuid, image_id, kind,
            coalesce((SELECT counts_as FROM classes WHERE classes.id = a.class_id), class_id) AS class_id,
            undoes, person_id, round, source, strategy, score, probability, model, suggested_id, suggestion_shown,
            via, seconds, late, created
        FROM standing AS a WHERE NOT EXISTS (
            SELECT 1 FROM standing AS b
            WHERE b.image_id = a.image_id AND b.person_id = a.person_id AND b.id > a.id)
        AND NOT (a.source = 'import' AND EXISTS (  -- what a person says replaces what a file said
            SELECT 1 FROM standing AS b
            WHERE b.image_id = a.image_id AND b.source <> 'import' AND b.kind <> 'skip'))
        AND NOT (a.kind = 'label' AND a.class_id IN (SELECT id FROM retired_classes) AND EXISTS (  -- a later word wins
            SELECT 1 FROM standing AS b
            WHERE b.image_id = a.image_id AND b.id > a.id AND b.kind <> 'skip'))""",
    """CREATE VIEW retired_classes AS SELECT a.id FROM classes AS a
        JOIN classes AS b ON b.id = coalesce(a.counts_as, a.id) WHERE b.retired IS NOT NULL""",
    # as before, but a label of a retired class has a status of its own: answered, and no label
    """CREATE VIEW current AS
        SELECT image_id, class_id, latest, CASE
            WHEN status = 'label' AND class_id IN (SELECT id FROM retired_classes) THEN 'retired' ELSE status
            END AS status
        FROM (
            SELECT image_id, class_id, latest, CASE
                WHEN reviewed AND class_id IS NOT NULL THEN 'label' WHEN flags THEN 'flag'
                WHEN class_id IS NOT NULL THEN 'label' WHEN labels THEN 'conflict' WHEN voters THEN 'unsure'
                ELSE 'skip' END AS status
            FROM (
                SELECT *, CASE WHEN labels = voters AND one = other THEN one ELSE (  -- unanimous: nothing to count
                    SELECT b.class_id FROM answers AS b WHERE b.image_id = v.image_id AND b.kind = 'label'
                    GROUP BY b.class_id
                    HAVING CASE WHEN v.reviewed THEN max(b.source = 'review') ELSE 2 * count(*) > v.voters END
                    ORDER BY max(b.id) DESC LIMIT 1) END AS class_id
                FROM (
                    SELECT image_id, max(id) AS latest, sum(kind = 'flag') AS flags, sum(kind = 'label') AS labels,
                        sum(kind IN ('label', 'unsure')) AS voters, min(class_id) AS one, max(class_id) AS other,
                        max(kind = 'label' AND source = 'review') AS reviewed
                    FROM answers GROUP BY image_id
                ) AS v))""",
)
