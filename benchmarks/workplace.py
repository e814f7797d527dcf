"""A large team on a large project: does everybody get their next image at once?

    python benchmarks/workplace.py [--images 100000] [--labels 200000] [--annotators 64] [--seconds 60]

A hundred thousand images, read by the real server; two hundred thousand answers of several people with slips, undos and
conflicts; 64 people who label while a round trains in the learning process. Everybody on this machine, clients and
server together, so that they share its cores. Measures what each request and each page takes, the memory of the
processes and of a browser, import and export; counts images that two people were given at once (none may be). Says
which aims were met, and writes results/workplace.json.
"""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import click
import crowd
import past
from machine import save
from round_trip import check, fsync_ms
from sqlite_utils import Database

from annotator.store import rounds

LABEL_P99, PAGE_P99, EXPORT_SECONDS = 50, 300, 10  # the aims: ms, ms, s


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The real server on any free port, until the end of the block: its process and its port."""
    command = [sys.executable, "-m", "annotator", "serve", str(folder / "photos"), "--classes", ",".join(past.CLASSES)]
    command += ["--instance", str(folder / "instance"), "--port", "0", "--no-browser", "--seed", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with ended(process):
        assert process.stdout is not None
        found = re.search(r":(\d+)/", process.stdout.readline())
        assert found is not None
        yield process, int(found.group(1))


@contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[None]:
    """At the end of the block it is asked to end, and waited for."""
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()


def imported(folder: Path, count: int, side: int) -> dict[str, Any]:
    """Seconds to make and decode the images without us, and until the server has them."""
    started = time.perf_counter()
    past.make_images(folder / "photos", count)
    made = time.perf_counter()
    assert past.decode_all(folder / "photos") == count
    decoded = time.perf_counter()
    times: dict[str, float] = {}
    most = 0.0
    with serving(folder, "--no-learner", "--image-size", str(side)) as (process, port):
        begun = time.perf_counter()
        tab = {"tab": "first", "count": 1}
        while not crowd.post(port, "/api/next", tab)[1]["items"]:
            time.sleep(0.02)
        times["first_image_s"] = time.perf_counter() - begun
        with closing(sqlite3.connect(folder / "instance" / "labels.db", timeout=30)) as db:
            while db.execute("SELECT activity FROM processes WHERE name = 'import'").fetchone()[0] != "complete":
                job = crowd.children(process.pid).get("annotator.importer", 0)
                most = max(most, crowd.memory(job).get("most", 0.0))
                time.sleep(0.1)
        times["import_s"] = time.perf_counter() - begun
        crowd.post(port, "/api/release", {"tab": "first", "images": None})
    found = {"make_s": made - started, "decode_s": decoded - made, **times}
    found["times_decoding"] = found["import_s"] / found["decode_s"]
    return {name: round(value, 2) for name, value in found.items()} | {"importer_mib": most}


def export(instance: Path, out: Path) -> dict[str, Any]:
    """Seconds of `annotator export csv`, its start included, and the rows that came."""
    command = [sys.executable, "-m", "annotator", "export", "csv", "-o", str(out), "--instance", str(instance)]
    started = time.perf_counter()
    before = os.times()
    subprocess.run(command, check=True, capture_output=True)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    with out.open("rb") as file:
        rows = sum(1 for _ in file) - 1
    return {"rows": rows, "seconds": round(time.perf_counter() - started, 2), "cpu_seconds": round(cpu, 2)}


def changed_class(port: int, image: int) -> dict[str, Any]:
    """Seconds to merge a class into another, and of Review while the predictions are still about the old classes."""
    started = time.perf_counter()
    status, said = crowd.post(port, "/api/classes/change", {"action": "merge", "class": 10, "into": 9})
    assert status == 200, said
    took = time.perf_counter() - started
    visitor = crowd.Visitor(port, [image], 0.0)
    visitor.run()
    pages = {name: crowd.percentiles(times) for name, times in visitor.times.items() if "review" in name}
    return {"merge_s": round(took, 2), "errors": visitor.errors, "pages": pages}


def browser(port: int, answers: int) -> dict[str, Any] | None:
    """What the label page holds after a few answers and after so many; None without a browser."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "browser"))
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    try:
        from long_day import measured
    except ImportError:
        return None
    return measured(f"http://127.0.0.1:{port}/", answers)


ONCE = ("--set", "second_look_share=0")  # a second look shows an image once more, and it is meant to


def crowded(folder: Path, plan: dict[str, Any]) -> dict[str, Any]:
    """The people at work beside the learning process."""
    found: dict[str, Any] = {}
    with serving(folder, "--method", plan["method"], "--query-size", "200", *_learning(plan), *ONCE) as (process, port):
        store = folder / "instance" / "labels.db"
        with closing(sqlite3.connect(store, timeout=30)) as db:
            known = past.truth(db)
            _wait_for_a_model(db, plan["patience"])
            watch = crowd.Watch(store)
            watch.start()
            people, seconds = plan["annotators"], plan["seconds"]
            found["human_pace"], one = crowd.work(port, known, people, plan["pause"], seconds)
            found["human_pace_and_pages"], two = crowd.work(port, known, people, plan["pause"], seconds, visited=True)
            found["fsync"] = fsync_ms(folder)
            found["full_speed"], three = crowd.work(port, known, people, 0.0, seconds / 12)
            found["learner"] = watch.shares()
            found["after_a_merge"] = changed_class(port, next(iter(known)))
            found["browser"] = browser(port, plan["browser"]) if plan["browser"] else None
            found["memory_mib"] = {"server": crowd.memory(process.pid)} | {
                name.rpartition(".")[2]: crowd.memory(child) for name, child in crowd.children(process.pid).items()
            }
            sql = "SELECT number, labels, train_seconds, predict_seconds FROM rounds WHERE finished IS NOT NULL"
            found["rounds"] = db.execute(sql).fetchall()
            found["truth"] = _truth(db, [*one, *two, *three])
    return found


def _truth(db: sqlite3.Connection, everybody: list[Any]) -> dict[str, int]:
    """As `check`, of the answers of these people: images were answered by several in the past."""
    sql = """SELECT count(*) FROM (SELECT 1 FROM labels WHERE id > (
        SELECT max(id) FROM labels WHERE uuid LIKE 'past-%') GROUP BY image_id HAVING count(*) > 1)"""
    answered = {"images_answered_twice": db.execute(sql).fetchone()[0]}
    return check(db, everybody) | answered | {"images_given_twice": crowd.given_twice(everybody)}


def _learning(plan: dict[str, Any]) -> list[str]:
    """A small net, so that rounds follow each other."""
    if plan["method"] != "basic":
        return []
    values = ("depth=10", "width=1", f"steps={plan['steps']}")
    return [word for value in values for word in ("--method-set", value)]


def _wait_for_a_model(db: sqlite3.Connection, patience: float) -> None:
    """The first round is over, so that there are predictions; or so many seconds are."""
    end = time.monotonic() + patience
    while time.monotonic() < end and not rounds.finished(Database(db)):
        time.sleep(0.2)


def aims(result: dict[str, Any]) -> dict[str, bool]:
    """Which were met."""
    work = result["work"]
    pages = [*work["human_pace_and_pages"]["pages"].values(), *work["after_a_merge"]["pages"].values()]
    given = work["truth"]["images_given_twice"] + work["truth"]["images_answered_twice"]
    return {
        f"label p99 < {LABEL_P99} ms": bool(work["human_pace"]["label"]["p99_ms"] < LABEL_P99),
        f"label p99 < {LABEL_P99} ms while pages are looked at":
            bool(work["human_pace_and_pages"]["label"]["p99_ms"] < LABEL_P99),
        f"every page p99 < {PAGE_P99} ms": bool(max(page["p99_ms"] for page in pages) < PAGE_P99),
        f"export < {EXPORT_SECONDS} s": result["export_of_bare_labels"]["seconds"] < EXPORT_SECONDS,
        "no image to two people": given == 0,
        "no answer lost, doubled or refused": not any(
            work["truth"][key] for key in ("lost", "stored_twice", "locked_errors")
        ),
    }  # fmt: skip


@click.command()
@click.option("--images", default=100_000, show_default=True)
@click.option("--labels", default=200_000, show_default=True, help="Answers that are there already.")
@click.option("--annotators", default=64, show_default=True)
@click.option(
    "--seconds", default=120.0, show_default=True, help="At human pace, twice; a twelfth of it at full speed."
)
@click.option("--pause", default=1.0, show_default=True, help="Mean seconds of a person for an image (exponential).")
@click.option("--method", default="basic", show_default=True, help="What trains meanwhile.")
@click.option("--image-size", default=32, show_default=True, help="At which it trains, in pixels.")
@click.option("--steps", default=300, show_default=True, help="Of the training of `basic`.")
@click.option("--patience", default=300.0, show_default=True, help="Seconds to wait for the first model.")
@click.option("--browser", default=500, show_default=True, help="Answers in a real browser; 0: none.")
@click.option("--save-as", default="workplace", show_default=True, help="Name of the file in results/; empty: none.")
def main(images: int, labels: int, image_size: int, save_as: str, **plan: Any) -> None:
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir=Path.cwd()) as name:
        folder = Path(name)
        (folder / "photos").mkdir()
        result: dict[str, Any] = {"images": images, **plan, "load": os.getloadavg()}
        result["import"] = _told("import", imported(folder, images, image_size))
        with closing(sqlite3.connect(folder / "instance" / "labels.db")) as db:
            known = past.truth(db)
            started = time.perf_counter()
            result["labels"] = past.say(folder / "instance", known, labels)
            result["labels_written_s"] = round(time.perf_counter() - started, 1)
            result["past"] = _told("past", past.kinds(db))
        result["work"] = _told("work", crowded(folder, plan))
        result["export"] = _told("export", export(folder / "instance", folder / "labels.csv"))
        past.bare(folder / "bare", labels).close()
        result["export_of_bare_labels"] = _told("bare export", export(folder / "bare", folder / "bare.csv"))
    result["aims"] = _told("aims", aims(result))
    if save_as:
        click.echo(save(save_as, result))


def _told(name: str, found: Any) -> Any:
    click.echo(f"{name}: {json.dumps(found, indent=1)}")
    return found


if __name__ == "__main__":
    main()
