"""`annotator doctor`: looks at everything a project depends on and says what to do. Changes nothing."""

import json
import os
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, NamedTuple

from sqlite_utils import Database

from annotator import disk, predictions
from annotator.errors import AnnotatorError
from annotator.schema import migrations
from annotator.store import db as store
from annotator.store import images as image_store
from annotator.store import overview, rounds, states
from annotator.store import project as project_store

SCARCE_DISK = 1 << 30  # bytes
SCARCE_MEMORY = 1 << 30
_OF_A_ROUND = ("model.safetensors", "model.json", predictions.FILE)


class Finding(NamedTuple):
    """What one check found. `problem` needs somebody to act, `note` is only worth knowing."""

    check: str
    level: Literal["ok", "note", "problem"]
    text: str
    advice: str = ""


def examine(instance: Path) -> list[Finding]:
    """Every check, in order. Never raises because of what it finds; AnnotatorError when there is no project."""
    path = instance / store.FILE
    if not path.exists():
        raise AnnotatorError(f"no project at {instance}; name its folder with --instance")
    findings = []
    try:
        with closing(_open(path)) as connection:
            db = Database(connection)
            for look in (_schema, _integrity, _append_only, _images, _aside, _duplicates, _processes, _models, _states):
                findings += _safely(look, db, instance)
    except sqlite3.Error as error:
        findings.append(_damaged(str(error)))
    for check in (_permissions, _leftovers, _disk_space, _memory, _graphics_card):
        findings += _safely(check, instance)
    if is_healthy(findings):  # it trains nothing, but it needs the project whole
        findings += _safely(_features, instance)
    return findings


def _open(path: Path) -> sqlite3.Connection:
    """For reading; on a disk that cannot be written SQLite reads only what promises not to change."""
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=store.BUSY_SECONDS)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.OperationalError:
        connection.close()
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
    return connection


def _safely(check: Callable[..., Iterator[Finding]], *arguments: Any) -> list[Finding]:
    """What a check finds; that it could not look is a finding too."""
    try:
        return list(check(*arguments))
    except sqlite3.Error as error:
        return [_damaged(str(error))]
    except (OSError, AnnotatorError, KeyError) as error:
        return [Finding(check.__name__.strip("_").replace("_", " "), "problem", str(error))]


def _damaged(said: str) -> Finding:
    advice = (
        "stop the server; keep a copy of labels.db and labels.db-wal; then `annotator restore` the latest backup "
        "into a new instance, or recover what is readable with `sqlite3 labels.db .recover`"
    )
    return Finding("integrity", "problem", f"{store.FILE} is damaged: {said}", advice)


def _schema(db: Database, instance: Path) -> Iterator[Finding]:
    store.refuse_newer(db, instance / store.FILE)
    pending = [migration.name for migration in migrations.pending(db)]
    if pending:
        yield Finding("schema", "note", f"older than this version ({', '.join(pending)} missing)",
                      "`annotator serve` upgrades it, after a backup into backups/")  # fmt: skip
    else:
        yield Finding("schema", "ok", migrations.applied(db)[-1].name)


def _integrity(db: Database, instance: Path) -> Iterator[Finding]:
    rows = [row[0] for row in db.execute("PRAGMA integrity_check(5)").fetchall()]
    broken = db.execute("PRAGMA foreign_key_check").fetchall()
    if rows != ["ok"]:
        yield _damaged("; ".join(rows))
    elif broken:
        yield _damaged(f"{len(broken)} rows of {broken[0][0]} name something that is not there")
    else:
        answers = db.execute("SELECT count(*) FROM labels").fetchone()[0]
        yield Finding("integrity", "ok", f"{store.FILE} is sound and holds {answers} answers")


def _append_only(db: Database, instance: Path) -> Iterator[Finding]:
    """The triggers that keep answers from being changed are there, as the first migration made them."""
    with closing(sqlite3.connect(":memory:")) as fresh:
        migrations.apply(Database(fresh))
        expected = set(fresh.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))
    found = set(db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall())
    if missing := expected - found:
        names = ", ".join(sorted(name for name, _ in missing))
        yield Finding("append-only", "problem", f"the triggers {names} were removed or changed",
                      "somebody changed the file by hand: compare its labels with a backup")  # fmt: skip
    else:
        yield Finding("append-only", "ok", "answers can be neither changed nor deleted")


def _states(db: Database, instance: Path) -> Iterator[Finding]:
    if migrations.pending(db):
        return  # an older file may have no such table; the upgrade fills it
    if wrong := states.wrong(db):
        said = f"{len(wrong)} images are kept as something else than their answers say, for example image {wrong[0]}"
        yield Finding("states", "problem", said, states.REPAIR)
    else:
        yield Finding("states", "ok", "every image is kept as what its answers say")


def _images(db: Database, instance: Path) -> Iterator[Finding]:
    folder = instance / project_store.facts(db)["folder"]
    gone, all_files = db.execute(
        "SELECT coalesce(sum(missing), 0), count(*) FROM files WHERE image_id IS NOT NULL"
    ).fetchone()
    if not folder.is_dir():
        yield Finding("images", "problem", f"the folder {folder} is not there",
                      "connect its drive, or `annotator serve NEW-FOLDER`: images are known by content")  # fmt: skip
    elif gone:
        yield Finding("images", "note", f"{gone} of {all_files} files are no longer in {folder}",
                      "their labels stay; put the files back anywhere in it, they are known by content")  # fmt: skip
    else:
        yield Finding("images", "ok", f"{all_files} files in {folder}")


def _aside(db: Database, instance: Path) -> Iterator[Finding]:
    count = image_store.counts(db)["aside"]
    if not count:
        yield Finding("set aside", "ok", "no file was set aside")
        return
    first = image_store.set_aside(db, limit=1)[0]
    yield Finding("set aside", "note", f"{count} files cannot be used, for example {first['name']}: {first['reason']}",
                  "the Files page lists all of them with the reason")  # fmt: skip


def _duplicates(db: Database, instance: Path) -> Iterator[Finding]:
    sql = "SELECT count(*), count(DISTINCT image_id) FROM files WHERE image_id IS NOT NULL AND NOT missing"
    all_files, contents = db.execute(sql).fetchone()
    if all_files == contents:
        yield Finding("duplicates", "ok", "no two files have the same content")
        return
    first = overview.duplicates(db, limit=1)[0]
    yield Finding("duplicates", "note",
                  f"{all_files - contents} files repeat others, for example {first['name']} is {first['same_as']}",
                  "each content is asked once, and exported for every file")  # fmt: skip


def _processes(db: Database, instance: Path) -> Iterator[Finding]:
    for name, title in (("learner", "the learning process"), ("import", "the import")):
        row = rounds.process(db, name)
        if row["error"]:
            yield Finding(name, "problem", f"{title}: {row['error']}", f"more in {name}.log in the instance folder")
        else:
            yield Finding(name, "ok", f"{title}: {row['activity']}")


def _models(db: Database, instance: Path) -> Iterator[Finding]:
    """Each round's folder has its row, each row its model and predictions."""
    named = {row["folder"] for row in rounds.finished(db) if row["folder"]}
    torn = {
        folder: missing for folder in sorted(named)
        if (missing := [name for name in _OF_A_ROUND if not (instance / folder / name).exists()])
    }  # fmt: skip
    for folder, missing in torn.items():
        yield Finding("models", "problem", f"{folder} lacks {', '.join(missing)}",
                      "the next round makes a new model; label a few more images")  # fmt: skip
    orphans = sorted({f"rounds/{path.name}" for path in (instance / "rounds").glob("*")} - named)
    if orphans:
        yield Finding("models", "note", f"{len(orphans)} folders belong to no finished round ({orphans[0]})",
                      "a round may be running; else the next start of the learning process removes them")  # fmt: skip
    if not torn and not orphans:
        yield Finding("models", "ok", f"{len(named)} kept")


def _permissions(instance: Path) -> Iterator[Finding]:
    """Secrets and labels are their owner's alone."""
    open_to_others = [
        name for name in (store.FILE, "secret", "token")
        if (instance / name).exists() and stat.S_IMODE((instance / name).stat().st_mode) & 0o077
    ]  # fmt: skip
    if open_to_others and os.name == "posix":
        yield Finding("permissions", "note", f"others on this machine can read {', '.join(open_to_others)}",
                      f"chmod 600 {' '.join(open_to_others)} in {instance}")  # fmt: skip
    else:
        yield Finding("permissions", "ok", "labels and secrets are readable by their owner only")


def _leftovers(instance: Path) -> Iterator[Finding]:
    """Half-written files never count; here they are only counted."""
    found = [path for path in instance.rglob("*.part*") if "rounds" not in path.parts]
    if found:
        size = sum(path.lstat().st_size for path in found if path.is_file())
        yield Finding("leftovers", "note", f"{len(found)} half-written files take {size >> 20} MiB",
                      "they never count; remove them while the server is down")  # fmt: skip
    else:
        yield Finding("leftovers", "ok", "no half-written files")


def _disk_space(instance: Path) -> Iterator[Finding]:
    left, used = disk.free(instance), sum(disk.usage(instance).values())
    text = f"{left >> 20:,} MiB left, the project takes {used >> 20:,} MiB"
    if left < SCARCE_DISK:
        yield Finding("disk space", "problem", text, "free some space: a full disk stops answers from being stored")
    else:
        yield Finding("disk space", "ok", text)


def _memory(instance: Path) -> Iterator[Finding]:
    left = _free_memory()
    if left is None:
        yield Finding("memory", "note", "this system does not say how much memory is free")
    elif left < SCARCE_MEMORY:
        yield Finding("memory", "problem", f"{left >> 20:,} MiB free",
                      "close other programs: a round needs about a gibibyte, more for many images")  # fmt: skip
    else:
        yield Finding("memory", "ok", f"{left >> 20:,} MiB free")


def _free_memory() -> int | None:
    """Bytes that programs can still have; None where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    values = dict(line.split(":", 1) for line in lines)
    return int(values["MemAvailable"].split()[0]) * 1024


def _graphics_card(instance: Path) -> Iterator[Finding]:
    import torch

    if torch.cuda.is_available():
        left, total = torch.cuda.mem_get_info()
        name = torch.cuda.get_device_name()
        yield Finding("GPU", "ok", f"{name}, {left >> 20:,} of {total >> 20:,} MiB free")
    elif shutil.which("nvidia-smi"):
        yield Finding("GPU", "note", f"there is a driver, but torch {torch.__version__} does not see a GPU",
                      "install the CUDA build of torch that fits the driver")  # fmt: skip
    else:
        yield Finding("GPU", "ok", "none; the CPU learns")


def _features(instance: Path) -> Iterator[Finding]:
    """Are there features at hand that tell these images apart better than those that choose now?"""
    from annotator.seeing import compare

    seen = compare(instance)
    if seen is None:
        return
    said = f"altered images are known again in {seen.known:.0%} by {seen.features}"
    if seen.better:
        text = f"{said}, in {seen.better_known:.0%} by {seen.better}"
        advice = f"choosing works better with features that tell images apart: set features to {seen.better}"
        yield Finding("features", "note", text, advice)
    else:
        yield Finding("features", "ok", said)


def report(findings: list[Finding]) -> str:
    """For people: a line for each check, and below it what to do."""
    marks = {"ok": "ok     ", "note": "note   ", "problem": "PROBLEM"}
    lines = []
    for finding in findings:
        lines.append(f"{marks[finding.level]}  {finding.check}: {finding.text}")
        if finding.advice:
            lines.append(f"         -> {finding.advice}")
    return "\n".join(lines)


def as_json(findings: list[Finding]) -> str:
    return json.dumps({"ok": is_healthy(findings), "findings": [f._asdict() for f in findings]}, indent=2)


def is_healthy(findings: list[Finding]) -> bool:
    """Nothing that somebody has to do."""
    return all(finding.level != "problem" for finding in findings)
