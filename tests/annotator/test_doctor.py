"""What can be wrong with a project is found, named and comes with advice; what is fine is not complained of."""

import json
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from annotator import disk, doctor, seeing
from annotator.cli import main
from annotator.store import db as store
from annotator.store import rounds, states
from learner.data import ImageSet
from learner.features import quality


def change(instance: Path, sql: str) -> None:
    with closing(sqlite3.connect(instance / store.FILE)) as db:
        db.executescript(sql)


def tear(instance: Path) -> None:
    """The labels lose their second half."""
    change(instance, "PRAGMA wal_checkpoint(TRUNCATE)")
    path = instance / store.FILE
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def complain(instance: Path) -> None:
    db = store.connect(instance / store.FILE)
    with store.write(db):
        rounds.tell(db, "learner", error="the round was given up: out of memory")
    db.close()


FAULTS = {  # what is done to an instance -> (check, level, said)
    "torn labels": (tear, "integrity", "problem", "labels.db is damaged"),
    "no labels file": (lambda i: (i / store.FILE).write_bytes(b"hello" * 300), "integrity", "problem", "damaged"),
    "a trigger gone": (
        lambda i: change(i, "DROP TRIGGER labels_are_never_deleted"), "append-only", "problem", "never_deleted",
    ),
    "a row that names nothing": (
        lambda i: change(i, "DELETE FROM images WHERE id = (SELECT image_id FROM labels LIMIT 1)"),
        "integrity", "problem", "name something that is not there",
    ),
    "an image kept as another class": (
        lambda i: change(i, "UPDATE states SET class_id = 3 - class_id WHERE status = 'label'"),
        "states", "problem", "images are kept as something else",
    ),
    "no images": (lambda i: shutil.rmtree(i.parent / "photos"), "images", "problem", "is not there"),
    "half of a model": (
        lambda i: next(i.glob("rounds/*/model.json")).unlink(), "models", "problem", "lacks model.json",
    ),
    "a round without a row": (lambda i: (i / "rounds" / "77").mkdir(), "models", "note", "belong to no finished round"),
    "a half-written file": (
        lambda i: (i / "cache" / "x.part").write_bytes(b"x"), "leftovers", "note", "1 half-written files",
    ),
    "an error of the learner": (complain, "learner", "problem", "out of memory"),
    "labels for everybody": (lambda i: (i / store.FILE).chmod(0o644), "permissions", "note", "chmod 600 labels.db"),
    "a newer schema": (
        lambda i: change(i, "INSERT INTO _sqlite_migrations (migration_set, name) VALUES ('annotator', 'm999')"),
        "schema", "problem", "newer version",
    ),
    "a file aside": (
        lambda i: change(i, "UPDATE files SET problem = 'an empty file', image_id = NULL WHERE id = 1"),
        "set aside", "note", "an empty file",
    ),
}  # fmt: skip


def test_a_healthy_project_has_nothing_to_complain_of(learned):
    findings = doctor.examine(learned)
    assert [f for f in findings if f.level != "ok" and f.check not in ("GPU", "memory", "disk space")] == []
    checks = ("schema", "integrity", "append-only", "images", "set aside", "duplicates", "learner", "import")
    checks += ("models", "states")
    assert {*checks, "permissions", "leftovers", "disk space", "memory", "GPU"} == {f.check for f in findings}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_named_with_advice(learned, fault):
    spoil, check, level, said = FAULTS[fault]
    spoil(learned)
    (finding,) = [f for f in doctor.examine(learned) if f.check == check]
    assert finding.level == level
    assert said in f"{finding.text} {finding.advice}"
    assert finding.advice or "upgrade annotator" in finding.text


@pytest.mark.parametrize(("what", "check"), [("disk.free", "disk space"), ("doctor._free_memory", "memory")])
def test_scarcity_is_a_problem(learned, monkeypatch, what, check):
    monkeypatch.setattr(f"annotator.{what}", lambda *_: 1000)
    assert [f.level for f in doctor.examine(learned) if f.check == check] == ["problem"]


def test_looking_changes_nothing(learned):
    def state() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in sorted(learned.rglob("*")) if path.is_file()}

    change(learned, "PRAGMA wal_checkpoint(TRUNCATE)")
    before = state()
    doctor.examine(learned)
    kept = {path: content for path, content in state().items() if path.suffix not in (".db-wal", ".db-shm")}
    assert {path: before.get(path) for path in kept} == kept


def test_the_command_says_it_to_people_and_to_programs(learned):
    def run(*options: str):
        return CliRunner().invoke(main, ["doctor", "--instance", str(learned), *options])

    assert run().exit_code == 0
    assert "integrity: labels.db is sound and holds 10 answers" in run().output
    shutil.rmtree(learned.parent / "photos")
    assert run().exit_code == 1
    found = json.loads(run("--json").output)
    assert not found["ok"]
    assert {"check": "images", "level": "problem"}.items() <= found["findings"][3].items()


def test_the_disk_used_is_that_of_the_files(learned):
    whole = sum(path.stat().st_size for path in learned.rglob("*") if path.is_file())
    used = disk.usage(learned)
    assert sum(used.values()) == whole
    assert used["models"] == sum(path.stat().st_size for path in (learned / "rounds").rglob("*") if path.is_file())
    assert used["labels"] >= (learned / store.FILE).stat().st_size


def test_features_that_tell_images_apart_worse_than_others_at_hand_are_said(instance, monkeypatch):
    known = {"pca": 0.4, "timm:net": 0.9}
    monkeypatch.setattr(seeing, "FEW", 10)
    monkeypatch.setattr(seeing.weights, "at_hand", lambda: "net")
    monkeypatch.setattr(ImageSet, "is_small", False)
    monkeypatch.setattr(
        seeing, "extractor", lambda images, features: ":".join(filter(None, (features.name, features.argument)))
    )
    monkeypatch.setattr(seeing, "altered", lambda images, text, few: quality.Altered(known[text], 0))
    (found,) = [finding for finding in doctor.examine(instance) if finding.check == "features"]
    assert found.level == "note"
    assert found.text == "altered images are known again in 40% by pca, in 90% by timm:net"
    assert "set features to timm:net" in found.advice
    known["timm:net"] = 0.45
    (found,) = [finding for finding in doctor.examine(instance) if finding.check == "features"]
    assert (found.level, found.text) == ("ok", "altered images are known again in 40% by pca")


def test_looking_at_features_changes_nothing(instance, monkeypatch):
    monkeypatch.setattr(seeing, "FEW", 10)
    before = {path: path.stat().st_mtime_ns for path in instance.rglob("*") if not path.name.endswith("-shm")}
    assert seeing.compare(instance).known > 0
    assert {path: path.stat().st_mtime_ns for path in instance.rglob("*") if not path.name.endswith("-shm")} == before


@pytest.mark.parametrize(
    "harm", ["DELETE FROM states", "UPDATE states SET status = 'skip'", "UPDATE states SET latest = 1"]
)
def test_the_advice_repairs_what_is_kept_of_the_images(learned, harm):
    change(learned, harm)
    db = store.connect(learned / store.FILE)
    assert states.wrong(db)
    change(learned, re.search("\\'(INSERT .*)\\'", states.REPAIR).group(1))
    assert states.wrong(db) == []
    db.close()
