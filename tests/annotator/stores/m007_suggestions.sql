BEGIN TRANSACTION;
CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);
INSERT INTO "_sqlite_migrations" VALUES(1,'annotator','m001_start','2026-11-28 16:05:24.221308+00:00');
INSERT INTO "_sqlite_migrations" VALUES(2,'annotator','m002_rounds_given_up','2026-11-28 16:05:24.222896+00:00');
INSERT INTO "_sqlite_migrations" VALUES(3,'annotator','m003_people','2026-11-28 16:05:24.229385+00:00');
INSERT INTO "_sqlite_migrations" VALUES(4,'annotator','m004_classes','2026-11-28 16:05:24.239718+00:00');
INSERT INTO "_sqlite_migrations" VALUES(5,'annotator','m005_review','2026-11-28 16:05:24.248374+00:00');
INSERT INTO "_sqlite_migrations" VALUES(6,'annotator','m006_overlap','2026-11-28 16:05:24.250117+00:00');
INSERT INTO "_sqlite_migrations" VALUES(7,'annotator','m007_suggestions','2026-11-28 16:05:24.251998+00:00');
CREATE TABLE class_changes (         -- only ever appended to
        id INTEGER PRIMARY KEY,
        class_id INTEGER NOT NULL REFERENCES classes (id),
        what TEXT NOT NULL,             -- a column of classes, or added
        before TEXT, after TEXT,
        person_id INTEGER REFERENCES people (id),  -- null: the command line
        created TEXT NOT NULL
    );
CREATE TABLE classes (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, key TEXT NOT NULL, position INTEGER NOT NULL DEFAULT 0, colour TEXT NOT NULL DEFAULT '', guidance TEXT NOT NULL DEFAULT '', retired TEXT, merged_into INTEGER REFERENCES classes (id), counts_as INTEGER REFERENCES classes (id));
INSERT INTO "classes" VALUES(1,'cat','1',1,'','',NULL,NULL,NULL);
INSERT INTO "classes" VALUES(2,'dog','2',2,'','',NULL,NULL,NULL);
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
INSERT INTO "counters" VALUES('classes',2);
INSERT INTO "counters" VALUES('class set',2);
INSERT INTO "counters" VALUES('served',3);
INSERT INTO "counters" VALUES('ranking',1);
CREATE TABLE files (
        id INTEGER PRIMARY KEY,
        path BLOB NOT NULL UNIQUE,      -- relative to the project's folder, as the file system's bytes
        name TEXT NOT NULL,             -- the same for people and exports
        image_id INTEGER REFERENCES images (id),
        size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
        problem TEXT,                   -- why no image came of it
        missing INTEGER NOT NULL DEFAULT 0
    );
INSERT INTO "files" VALUES(1,X'7375622F302E706E67','sub/0.png',1,100,1000000000000000000,NULL,0);
INSERT INTO "files" VALUES(2,X'7375622F312E706E67','sub/1.png',2,101,1000000000000000000,NULL,0);
INSERT INTO "files" VALUES(3,X'7375622F322E706E67','sub/2.png',3,102,1000000000000000000,NULL,0);
INSERT INTO "files" VALUES(4,X'7375622F332E706E67','sub/3.png',4,103,1000000000000000000,NULL,0);
INSERT INTO "files" VALUES(5,X'7375622F342E706E67','sub/4.png',5,104,1000000000000000000,NULL,0);
INSERT INTO "files" VALUES(6,X'7375622F352E706E67','sub/5.png',6,105,1000000000000000000,NULL,0);
INSERT INTO "files" VALUES(7,X'62726F6B656EFF2E706E67','broken\xff.png',NULL,3,1000000000000000000,'an empty file',0);
CREATE TABLE images (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        sha256 TEXT NOT NULL UNIQUE,    -- of the file's bytes
        row INTEGER,                    -- in the file of training pixels; null: they have to be made
        width INTEGER, height INTEGER,  -- after the EXIF turn
        shuffle REAL NOT NULL,          -- uniform in [0, 1), from seed and content: random order, and the audit
        audit INTEGER NOT NULL DEFAULT 0,
        aside TEXT,                     -- why it cannot be used
        created TEXT NOT NULL
    );
INSERT INTO "images" VALUES(1,'0000000000000000000000000000000000000000000000000000000000000000',0,8,8,0.0,0,NULL,'2026-11-28T16:05:24.265+00:00');
INSERT INTO "images" VALUES(2,'0000000000000000000000000000000000000000000000000000000000000001',1,8,8,1.66666666666666657414e-01,0,NULL,'2026-11-28T16:05:24.266+00:00');
INSERT INTO "images" VALUES(3,'0000000000000000000000000000000000000000000000000000000000000002',2,8,8,3.33333333333333314829e-01,0,NULL,'2026-11-28T16:05:24.266+00:00');
INSERT INTO "images" VALUES(4,'0000000000000000000000000000000000000000000000000000000000000003',3,8,8,0.5,0,NULL,'2026-11-28T16:05:24.266+00:00');
INSERT INTO "images" VALUES(5,'0000000000000000000000000000000000000000000000000000000000000004',4,8,8,6.66666666666666629659e-01,0,NULL,'2026-11-28T16:05:24.266+00:00');
INSERT INTO "images" VALUES(6,'0000000000000000000000000000000000000000000000000000000000000005',5,8,8,8.3333333333333337034e-01,1,NULL,'2026-11-28T16:05:24.266+00:00');
CREATE TABLE labels (             -- append-only: the product's promise
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
    );
INSERT INTO "labels" VALUES(1,'a1',1,'label',1,NULL,1,0,'tail','random',NULL,NULL,NULL,NULL,0,'typed',NULL,0,'2026-11-28T16:05:24.268+00:00');
INSERT INTO "labels" VALUES(2,'a2',2,'label',2,NULL,1,0,'tail','random',NULL,NULL,NULL,NULL,0,'typed',NULL,0,'2026-11-28T16:05:24.271+00:00');
INSERT INTO "labels" VALUES(3,'a3',2,'label',1,NULL,1,0,'tail','random',NULL,NULL,NULL,NULL,0,'typed',NULL,0,'2026-11-28T16:05:24.271+00:00');
INSERT INTO "labels" VALUES(4,'a4',3,'label',2,NULL,1,0,'tail','random',NULL,NULL,NULL,NULL,0,'typed',NULL,0,'2026-11-28T16:05:24.272+00:00');
INSERT INTO "labels" VALUES(5,'a5',3,'undo',NULL,'a4',1,0,'tail','random',NULL,NULL,NULL,NULL,0,'typed',NULL,0,'2026-11-28T16:05:24.272+00:00');
INSERT INTO "labels" VALUES(6,'b1',1,'label',2,NULL,2,0,'tail','random',NULL,NULL,NULL,NULL,0,'typed',NULL,1,'2026-11-28T16:05:24.272+00:00');
INSERT INTO "labels" VALUES(7,'b2',4,'skip',NULL,NULL,2,0,'tail','random',NULL,NULL,NULL,NULL,0,'typed',NULL,1,'2026-11-28T16:05:24.273+00:00');
INSERT INTO "labels" VALUES(8,'b3',6,'label',1,NULL,2,NULL,'audit',NULL,NULL,NULL,NULL,NULL,0,'typed',NULL,1,'2026-11-28T16:05:24.273+00:00');
INSERT INTO "labels" VALUES(9,'141b51aa-0ecf-58a6-8606-28bffa95e62a',5,'label',2,NULL,3,NULL,'import',NULL,NULL,NULL,NULL,NULL,0,'import',NULL,0,'2026-11-28T16:05:24.274+00:00');
CREATE TABLE loop_state (id INTEGER PRIMARY KEY CHECK (id = 1), value TEXT NOT NULL);
INSERT INTO "loop_state" VALUES(1,'{"seed": 7, "round": 1, "cursor": 8, "query": {"ids": [3, 4], "strategy": "random"}}');
CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, role TEXT NOT NULL DEFAULT 'annotator', password TEXT, invitation TEXT, invited_until TEXT, stamp TEXT NOT NULL DEFAULT '', gone TEXT);
INSERT INTO "people" VALUES(1,'ann','annotator',NULL,NULL,NULL,'',NULL);
INSERT INTO "people" VALUES(2,'bob','annotator',NULL,NULL,NULL,'',NULL);
INSERT INTO "people" VALUES(3,'import','annotator',NULL,NULL,NULL,'',NULL);
CREATE TABLE processes (          -- one row each for the learning process and the import
        name TEXT PRIMARY KEY,
        owner TEXT, heartbeat REAL,     -- the lease: who, and when last seen
        activity TEXT, done INTEGER NOT NULL DEFAULT 0, total INTEGER NOT NULL DEFAULT 0,
        paused INTEGER NOT NULL DEFAULT 0, restarts INTEGER NOT NULL DEFAULT 0,
        error TEXT
    );
INSERT INTO "processes" VALUES('learner',NULL,NULL,'not started',0,0,0,0,NULL);
INSERT INTO "processes" VALUES('import',NULL,NULL,'not started',0,0,0,0,NULL);
CREATE TABLE project (key TEXT PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO "project" VALUES('id','"a6aa1709ca07494bad5d2d9204854c11"');
INSERT INTO "project" VALUES('name','"photos"');
INSERT INTO "project" VALUES('folder','"/elsewhere/photos"');
INSERT INTO "project" VALUES('image_size','8');
INSERT INTO "project" VALUES('seed','7');
INSERT INTO "project" VALUES('audit_share','0.25');
INSERT INTO "project" VALUES('flip','true');
INSERT INTO "project" VALUES('labels_from_folders','false');
INSERT INTO "project" VALUES('keep_rounds','3');
INSERT INTO "project" VALUES('learning','{"loop": {"query_size": 2}, "asking": {}}');
INSERT INTO "project" VALUES('together','{"overlap": 2}');
CREATE TABLE queue (
        id INTEGER PRIMARY KEY,
        image_id INTEGER NOT NULL UNIQUE REFERENCES images (id),
        source TEXT NOT NULL, round INTEGER NOT NULL, strategy TEXT,
        score REAL, probability REAL,
        rank INTEGER NOT NULL,          -- order of asking within a source
        tab TEXT, person_id INTEGER,
        leased_until REAL               -- seconds since 1970
    , asked TEXT NOT NULL DEFAULT '');
INSERT INTO "queue" VALUES(2,2,'tail',0,'random',NULL,NULL,2,NULL,1,1700000060.0,',1,');
INSERT INTO "queue" VALUES(3,3,'tail',0,'random',NULL,NULL,-1,'tab',1,1700000060.0,'');
INSERT INTO "queue" VALUES(4,4,'tail',0,'random',NULL,NULL,4,NULL,NULL,NULL,',2,');
INSERT INTO "queue" VALUES(6,6,'audit',0,NULL,NULL,NULL,-1,NULL,NULL,NULL,',2,');
CREATE TABLE rounds (
        number INTEGER PRIMARY KEY,
        started TEXT NOT NULL, finished TEXT,
        method TEXT, strategy TEXT, labels INTEGER NOT NULL,
        accuracy REAL, low REAL, high REAL, balanced_accuracy REAL, exam TEXT, exam_size INTEGER,
        train_seconds REAL, predict_seconds REAL, select_seconds REAL,
        settings TEXT,                  -- JSON
        folder TEXT                     -- of the model and its predictions, relative to the instance
    , error TEXT);
INSERT INTO "rounds" VALUES(1,'2026-11-28T16:05:24.276+00:00','2026-01-01T00:00:00.000+00:00',NULL,NULL,3,0.5,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'rounds/1',NULL);
CREATE TABLE states (
        image_id INTEGER PRIMARY KEY REFERENCES images (id),
        status TEXT NOT NULL DEFAULT 'unlabeled', class_id INTEGER REFERENCES classes (id),  -- of a label
        latest INTEGER NOT NULL DEFAULT 0  -- the newest answer that stands
    );
INSERT INTO "states" VALUES(1,'conflict',NULL,6);
INSERT INTO "states" VALUES(2,'label',1,3);
INSERT INTO "states" VALUES(3,'unlabeled',NULL,0);
INSERT INTO "states" VALUES(4,'skip',NULL,7);
INSERT INTO "states" VALUES(5,'label',2,9);
INSERT INTO "states" VALUES(6,'label',1,8);
CREATE TABLE suggestions (
        image_id INTEGER PRIMARY KEY REFERENCES images (id),
        class_id INTEGER NOT NULL REFERENCES classes (id),
        confidence REAL,                -- 0 to 1; null: the file does not say
        origin TEXT NOT NULL,           -- the name of the file
        created TEXT NOT NULL
    );
INSERT INTO "suggestions" VALUES(4,2,0.75,'predictions.csv','2026-11-28T16:05:24.276+00:00');
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");
CREATE INDEX images_shuffle ON images (shuffle);
CREATE INDEX images_audit ON images (shuffle) WHERE audit = 1;
CREATE INDEX files_image ON files (image_id);
CREATE INDEX labels_image ON labels (image_id, person_id);
CREATE INDEX labels_undoes ON labels (undoes) WHERE undoes IS NOT NULL;
CREATE TRIGGER labels_are_never_deleted BEFORE DELETE ON labels
        BEGIN SELECT RAISE(ABORT, 'labels are append-only'); END;
CREATE TRIGGER labels_are_never_changed BEFORE UPDATE ON labels
        BEGIN SELECT RAISE(ABORT, 'labels are append-only'); END;
CREATE VIEW standing AS SELECT * FROM labels AS a WHERE kind <> 'undo'
        AND NOT EXISTS (SELECT 1 FROM labels AS u WHERE u.undoes = a.uuid);
CREATE INDEX queue_tab ON queue (tab) WHERE tab IS NOT NULL;
CREATE VIEW answers AS SELECT id, uuid, image_id, kind,
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
            WHERE b.image_id = a.image_id AND b.id > a.id AND b.kind <> 'skip'));
CREATE VIEW retired_classes AS SELECT a.id FROM classes AS a
        JOIN classes AS b ON b.id = coalesce(a.counts_as, a.id) WHERE b.retired IS NOT NULL;
CREATE VIEW current AS
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
                ) AS v));
CREATE INDEX states_latest ON states (latest);
CREATE INDEX states_status ON states (status, latest);
CREATE INDEX states_class ON states (class_id, latest);
CREATE INDEX files_name ON files (name, image_id);
CREATE INDEX labels_asked ON labels (person_id, image_id, source, round);
CREATE INDEX images_aside ON images (id) WHERE aside IS NOT NULL;
CREATE TRIGGER states_begin AFTER INSERT ON images
        BEGIN INSERT OR IGNORE INTO states (image_id) VALUES (NEW.id); END;
CREATE TRIGGER states_follow AFTER INSERT ON labels BEGIN
        DELETE FROM states WHERE image_id = NEW.image_id;
        INSERT INTO states (image_id, status, class_id, latest)
    SELECT image_id, status, CASE WHEN status = 'label' THEN class_id END, latest FROM current WHERE image_id = NEW.image_id;
        INSERT OR IGNORE INTO states (image_id) VALUES (NEW.image_id);
        END;
CREATE TRIGGER states_follow_classes AFTER UPDATE OF counts_as, retired ON classes
        BEGIN DELETE FROM states; INSERT INTO states (image_id, status, class_id, latest)
    SELECT image_id, status, CASE WHEN status = 'label' THEN class_id END, latest FROM current; INSERT INTO states (image_id) SELECT id FROM images WHERE id NOT IN (SELECT image_id FROM states); END;
CREATE INDEX queue_order ON queue (source, asked, rank);
CREATE INDEX labels_pace ON labels (person_id, seconds) WHERE kind = 'label' AND seconds IS NOT NULL;
CREATE INDEX labels_decided ON labels (image_id) WHERE source = 'review';
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('classes',2);
INSERT INTO "sqlite_sequence" VALUES('images',6);
INSERT INTO "sqlite_sequence" VALUES('labels',9);
COMMIT;
