"""The tables, as migrations: one function per change, never edited after release."""

from sqlite_utils import Database, Migrations

migrations = Migrations("annotator")


@migrations()
def m001_start(db: Database) -> None:
    """Project, classes, images and their files, people, labels, queue, rounds, and what the processes do."""
    db.conn.executescript if False else None
    for statement in _START:
        db.execute(statement)


_START = (
    "CREATE TABLE project (key TEXT PRIMARY KEY, value TEXT NOT NULL)",  # value: JSON
    "CREATE TABLE classes (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, key TEXT)",
    """CREATE TABLE images (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        sha256 TEXT NOT NULL UNIQUE,    -- of the file's bytes
        row INTEGER,                    -- in the file of training pixels; null: set aside
        width INTEGER, height INTEGER,  -- after the EXIF turn
        shuffle REAL NOT NULL,          -- uniform in [0, 1), from seed and content: random order, and the audit
        audit INTEGER NOT NULL DEFAULT 0,
        aside TEXT,                     -- why it cannot be used
        created TEXT NOT NULL
    )""",
    "CREATE INDEX images_shuffle ON images (shuffle)",
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
    "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
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
        suggested_id INTEGER REFERENCES classes (id), suggestion_shown INTEGER NOT NULL DEFAULT 0,
        via TEXT NOT NULL,              -- typed, accepted, bulk, import
        seconds REAL,                   -- from seeing the image to the answer
        late INTEGER NOT NULL DEFAULT 0,  -- arrived after its lease had expired
        created TEXT NOT NULL,
        CHECK ((kind = 'label') = (class_id IS NOT NULL)), CHECK ((kind = 'undo') = (undoes IS NOT NULL))
    )""",
    "CREATE INDEX labels_image ON labels (image_id, person_id)",
    "CREATE INDEX labels_undoes ON labels (undoes) WHERE undoes IS NOT NULL",
    """CREATE TRIGGER labels_keep BEFORE DELETE ON labels
        BEGIN SELECT RAISE(ABORT, 'labels are append-only'); END""",
    """CREATE TRIGGER labels_stay BEFORE UPDATE ON labels
        BEGIN SELECT RAISE(ABORT, 'labels are append-only'); END""",
    """CREATE VIEW answers AS            -- each person's latest standing answer to each image
        SELECT * FROM labels AS a WHERE kind <> 'undo'
        AND NOT EXISTS (SELECT 1 FROM labels AS u WHERE u.undoes = a.uuid)
        AND NOT EXISTS (
            SELECT 1 FROM labels AS b WHERE b.image_id = a.image_id AND b.person_id = a.person_id AND b.id > a.id
            AND b.kind <> 'undo' AND NOT EXISTS (SELECT 1 FROM labels AS u WHERE u.undoes = b.uuid))""",
    """CREATE VIEW current AS            -- what the people together say of each answered image
        SELECT image_id, votes.class_id, latest,
            CASE WHEN flags THEN 'flag' WHEN votes.class_id IS NOT NULL THEN 'label'
                 WHEN voters > labeled AND labeled = 0 THEN 'unsure' WHEN labeled THEN 'conflict' ELSE 'skip' END AS status
        FROM (
            SELECT a.image_id, max(a.id) AS latest, sum(a.kind = 'flag') AS flags, sum(a.kind = 'label') AS labeled,
                sum(a.kind IN ('label', 'unsure')) AS voters,
                (SELECT c.class_id FROM answers AS c WHERE c.image_id = a.image_id AND c.kind = 'label'
                 GROUP BY c.class_id HAVING 2 * count(*) > sum(0) + (
                    SELECT count(*) FROM answers AS d WHERE d.image_id = a.image_id AND d.kind IN ('label', 'unsure'))
                ) AS class_id
            FROM answers AS a GROUP BY a.image_id
        ) AS votes""",
    """CREATE TABLE queue (
        id INTEGER PRIMARY KEY,
        image_id INTEGER NOT NULL UNIQUE REFERENCES images (id),
        source TEXT NOT NULL, round INTEGER NOT NULL, strategy TEXT,
        score REAL, probability REAL,
        rank INTEGER NOT NULL,          -- order of asking within a source
        tab TEXT, person_id INTEGER, leased_until REAL  -- seconds since 1970
    )""",
    "CREATE INDEX queue_order ON queue (source, rank)",
    "CREATE INDEX queue_tab ON queue (tab) WHERE tab IS NOT NULL",
    """CREATE TABLE rounds (
        number INTEGER PRIMARY KEY,
        started TEXT NOT NULL, finished TEXT,
        method TEXT NOT NULL, strategy TEXT NOT NULL,
        labels INTEGER NOT NULL, per_class TEXT,     -- JSON: class name -> count
        accuracy REAL, low REAL, high REAL, balanced_accuracy REAL, exam TEXT, exam_size INTEGER,
        train_seconds REAL, predict_seconds REAL, select_seconds REAL,
        settings TEXT,                  -- JSON
        folder TEXT                     -- of the model and the predictions, relative to the instance
    )""",
    "CREATE TABLE loop_state (id INTEGER PRIMARY KEY CHECK (id = 1), value TEXT NOT NULL)",
    """CREATE TABLE processes (           -- one row each for the learning process and the import
        name TEXT PRIMARY KEY,
        owner TEXT, heartbeat REAL,     -- the lease: who, and when last seen
        activity TEXT, done INTEGER, total INTEGER,
        paused INTEGER NOT NULL DEFAULT 0, restarts INTEGER NOT NULL DEFAULT 0,
        error TEXT
    )""",
    "INSERT INTO processes (name, activity) VALUES ('learner', 'not started'), ('import', 'not started')",
    "CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL)",
)
