"""Writes a store of today's schema as SQL, with something in every table. Run it before you add a migration:

    python tests/annotator/stores/make.py

The file is named after the newest migration and never changes again: test_migrations.py upgrades each of them.
"""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from annotator.schema import migrations
from annotator.serving import found
from annotator.store import db as store
from annotator.store import files, images, imports, labels, project, queue, rounds, suggestions

NOW = 1_700_000_000.0


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        instance = Path(folder) / "instance"
        (Path(folder) / "photos").mkdir()
        facts = {"seed": 7, "image_size": 8, "audit_share": 0.25, "learning": {"loop": {"query_size": 2}}}
        facts["together"] = {"overlap": 2}
        found(instance, "photos", Path(folder) / "photos", ["cat", "dog"], facts)
        db = store.connect(instance / store.FILE)
        fill(db)
        name = migrations.applied(db)[-1].name
        with closing(sqlite3.connect(instance / store.FILE)) as connection:
            lines = [line.replace(folder, "/elsewhere") for line in connection.iterdump()]
        target = Path(__file__).with_name(f"{name}.sql")
        target.write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(target.name)


def fill(db: store.Database) -> None:
    """Six images, answers of three people with a correction, an undo, a skip, an import; a finished round."""
    with store.write(db):
        for number in range(6):
            content = f"{number:064x}"
            image = images.add(db, content, number, (8, 8), number / 6, audit=number == 5)
            files.put(db, f"sub/{number}.png".encode(), files.Known(image, 100 + number, 10**18, False, None))
        files.put(db, b"broken\xff.png", files.Known(None, 3, 10**18, False, "an empty file"))
        ann, bob = project.person_id(db, "ann"), project.person_id(db, "bob")
        queue.claim(db, "tab", ann, 3, NOW)
        for uuid, image, kind, person, class_id, undoes in (
            ("a1", 1, "label", ann, 1, None), ("a2", 2, "label", ann, 2, None), ("a3", 2, "label", ann, 1, None),
            ("a4", 3, "label", ann, 2, None), ("a5", 3, "undo", ann, None, "a4"), ("b1", 1, "label", bob, 2, None),
            ("b2", 4, "skip", bob, None, None), ("b3", 6, "label", bob, 1, None),
        ):  # fmt: skip
            labels.add(db, labels.Answer(uuid, image, kind, person, class_id, undoes), "tab", NOW)
        imports.add(db, project.facts(db)["id"], 5, 2, 0)
        suggestions.put(db, 4, suggestions.Suggested(2, 0.75, "predictions.csv"))
        rounds.start(db, 1, 3)
        rounds.update(db, 1, finished="2026-01-01T00:00:00.000+00:00", folder="rounds/1", accuracy=0.5)
        rounds.save_state(db, {"seed": 7, "round": 1, "cursor": 8, "query": {"ids": [3, 4], "strategy": "random"}})
        project.count_up(db, "ranking")


if __name__ == "__main__":
    main()
