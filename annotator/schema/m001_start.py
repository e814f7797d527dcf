"""Project, classes, images and their files, people, labels, queue, rounds, and what the processes do."""

from sqlite_utils import Database


def apply(db: Database) -> None:
    for statement in (*_PROJECT, *_IMAGES, *_LABELS, *_ANSWERS, *_QUEUE, *_ROUNDS):
        db.execute(statement)


_PROJECT = (
    "CREATE TABLE project (key TEXT PRIMARY KEY, value TEXT NOT NULL)",  # value: JSON
    "CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL)",
    "CREATE TABLE classes (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, key TEXT NOT NULL)",
    "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
)

_IMAGES = (
    """CREATE TABLE images (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        sha256 TEXT NOT NULL UNIQUE,    -- of the file's bytes
        row INTEGER,                    -- in the file of training pixels; null: they have to be made
        width INTEGER, height INTEGER,  -- after the EXIF turn
        shuffle REAL NOT NULL,          -- uniform in [0, 1), from seed and content: random order, and the audit
        audit INTEGER NOT NULL DEFAULT 0,
        aside TEXT,                     -- why it cannot be used
        created TEXT NOT NULL
    )""",
    "CREATE INDEX images_shuffle ON images (shuffle)",
    "CREATE INDEX images_audit ON images (shuffle) WHERE audit = 1",
    """CREATE TABLE files (
        id INTEGER PRIMARY KEY,
        path BLOB NOT NULL UNIQUE,      -- relative to the project's folder, as the file system's bytes
        name TEXT NOT NULL,             -- the same for people and exports
        image_id INTEGER REFERENCES images (id),
        size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
        problem TEXT,                   -- why no image came of it
        missing INTEGER NOT NULL DEFAULT 0
    )""",
    "CREATE INDEX files_image ON files (image_id)",
)

_LABELS = (
    """CREATE TABLE labels (             -- append-only: the product's promise
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        uuid TEXT NOT NULL UNIQUE,      -- given by the browser
        image_id INTEGER NOT NULL REFERENCES images (id),
        kind TEXT NOT NULL CHECK (kind IN ('label', 'skip', 'unsure', 'flag', 'undo')),
        class_id INTEGER REFERENCES classes (id),
        undoes TEXT,                    -- uuid of the answer taken back
        person_id INTEGER NOT NULL REFERENCES people (id),
        round INTEGER, source TEXT NOT NULL, strategy TEXT,
        score REAL, probability REAL,   -- of the image being selected; null where undefined
        model INTEGER,                  -- round of the model that suggested
        suggested_id INTEGER REFERENCES classes (id),
        suggestion_shown INTEGER NOT NULL DEFAULT 0,
        via TEXT NOT NULL,              -- typed, accepted, bulk, import
        seconds REAL,                   -- from seeing the image to the answer
        late INTEGER NOT NULL DEFAULT 0,  -- arrived when its lease was somebody else's or over
        created TEXT NOT NULL,
        CHECK ((kind = 'label') = (class_id IS NOT NULL)),
        CHECK ((kind = 'undo') = (undoes IS NOT NULL))
    )""",
    "CREATE INDEX labels_image ON labels (image_id, person_id)",
    "CREATE INDEX labels_undoes ON labels (undoes) WHERE undoes IS NOT NULL",
    """CREATE TRIGGER labels_are_never_deleted BEFORE DELETE ON labels
        BEGIN SELECT RAISE(ABORT, 'labels are append-only'); END""",
    """CREATE TRIGGER labels_are_never_changed BEFORE UPDATE ON labels
        BEGIN SELECT RAISE(ABORT, 'labels are append-only'); END""",
)

_ANSWERS = (
    # standing: not an undo, and not undone. answers: each person's latest standing one for each image
    """CREATE VIEW standing AS SELECT * FROM labels AS a WHERE kind <> 'undo'
        AND NOT EXISTS (SELECT 1 FROM labels AS u WHERE u.undoes = a.uuid)""",
    """CREATE VIEW answers AS SELECT * FROM standing AS a WHERE NOT EXISTS (
        SELECT 1 FROM standing AS b
        WHERE b.image_id = a.image_id AND b.person_id = a.person_id AND b.id > a.id)
        AND NOT (a.source = 'import' AND EXISTS (  -- what a person says replaces what a file said
            SELECT 1 FROM standing AS b
            WHERE b.image_id = a.image_id AND b.source <> 'import' AND b.kind <> 'skip'))""",
    # what the people together say of an image: a reviewer's word, else the strict majority's
    """CREATE VIEW current AS
        SELECT image_id, class_id, latest, CASE
            WHEN reviewed AND class_id IS NOT NULL THEN 'label' WHEN flags THEN 'flag'
            WHEN class_id IS NOT NULL THEN 'label' WHEN labels THEN 'conflict' WHEN voters THEN 'unsure' ELSE 'skip'
            END AS status
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
            ) AS v)""",
)

_QUEUE = (
    """CREATE TABLE queue (
        id INTEGER PRIMARY KEY,
        image_id INTEGER NOT NULL UNIQUE REFERENCES images (id),
        source TEXT NOT NULL, round INTEGER NOT NULL, strategy TEXT,
        score REAL, probability REAL,
        rank INTEGER NOT NULL,          -- order of asking within a source
        tab TEXT, person_id INTEGER,
        leased_until REAL               -- seconds since 1970
    )""",
    "CREATE INDEX queue_order ON queue (source, rank)",
    "CREATE INDEX queue_tab ON queue (tab) WHERE tab IS NOT NULL",
)

_ROUNDS = (
    "CREATE TABLE loop_state (id INTEGER PRIMARY KEY CHECK (id = 1), value TEXT NOT NULL)",
    """CREATE TABLE rounds (
        number INTEGER PRIMARY KEY,
        started TEXT NOT NULL, finished TEXT,
        method TEXT, strategy TEXT, labels INTEGER NOT NULL,
        accuracy REAL, low REAL, high REAL, balanced_accuracy REAL, exam TEXT, exam_size INTEGER,
        train_seconds REAL, predict_seconds REAL, select_seconds REAL,
        settings TEXT,                  -- JSON
        folder TEXT                     -- of the model and its predictions, relative to the instance
    )""",
    """CREATE TABLE processes (          -- one row each for the learning process and the import
        name TEXT PRIMARY KEY,
        owner TEXT, heartbeat REAL,     -- the lease: who, and when last seen
        activity TEXT, done INTEGER NOT NULL DEFAULT 0, total INTEGER NOT NULL DEFAULT 0,
        paused INTEGER NOT NULL DEFAULT 0, restarts INTEGER NOT NULL DEFAULT 0,
        error TEXT
    )""",
    "INSERT INTO processes (name, activity) VALUES ('learner', 'not started'), ('import', 'not started')",
)
