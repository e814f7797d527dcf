"""The tables, as migrations: one function per change, never edited after release."""

from sqlite_utils import Database, Migrations

migrations = Migrations("annotator")


@migrations()
def m001_start(db: Database) -> None:
    """Project, classes, images and their files, people, labels, queue, rounds, and what the processes do."""
    for statement in (*_PROJECT, *_IMAGES, *_LABELS, *_ANSWERS, *_QUEUE, *_ROUNDS):
        db.execute(statement)


@migrations()
def m002_rounds_given_up(db: Database) -> None:
    """Why a round was given up, if it was."""
    db.execute("ALTER TABLE rounds ADD COLUMN error TEXT")


@migrations()
def m003_people(db: Database) -> None:
    """Roles, passwords and invitations. Of secrets only hashes are kept."""
    for column in _ACCOUNTS:
        db.execute(f"ALTER TABLE people ADD COLUMN {column}")


_ACCOUNTS = (
    "role TEXT NOT NULL DEFAULT 'annotator'",
    "password TEXT",                  # scrypt; null: nobody can log in with it
    "invitation TEXT",                # SHA-256 of what stands in the link; null: none is open
    "invited_until TEXT",
    "stamp TEXT NOT NULL DEFAULT ''",  # changes with the password: sessions from before are over
    "gone TEXT",                      # since when this person may not come in
)  # fmt: skip


@migrations()
def m004_classes(db: Database) -> None:
    """Classes change: their order, colour and guidance, what is retired or merged, and who did what."""
    for statement in _CLASSES:
        db.execute(statement)


@migrations()
def m005_review(db: Database) -> None:
    """What `current` says, kept for each image, so that a page of a hundred thousand is one look into an index."""
    for statement in _STATES:
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
