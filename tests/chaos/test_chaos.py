"""The bounded form; `benchmarks/chaos.py` is the full one, and docs/durability.md has its table."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chaos.campaign import KILLS, Campaign, Plan
from chaos.people import Person
from chaos.verdict import judge
from chaos.world import World, until

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds the processes to kill through /proc"),
]
WORST = ("both at once", "between commit and reply", "inside training")


def test_every_acknowledged_answer_survives_every_kind_of_kill(tmp_path):
    with Campaign(Plan(dict.fromkeys(KILLS, 1)), tmp_path) as campaign:
        verdict = campaign.run()
    assert verdict.found == {}
    assert verdict.present == verdict.acknowledged > 100


def test_it_does_so_while_the_clock_jumps_by_hours(tmp_path):
    with Campaign(Plan(dict.fromkeys(WORST, 1), jumping_clock=True, seed=1), tmp_path) as campaign:
        verdict = campaign.run()
    assert verdict.found == {}
    assert verdict.present == verdict.acknowledged > 50
    assert campaign.jumps >= 2


def test_it_does_so_while_the_network_drops_delays_and_doubles_requests(tmp_path):
    with Campaign(Plan(dict.fromkeys(WORST, 1), bad_network=True, seed=2), tmp_path) as campaign:
        verdict = campaign.run()
    assert verdict.found == {}
    assert verdict.present == verdict.acknowledged > 50
    assert min(campaign.proxy.fates.values()) > 0


# ---- the suite itself must be able to fail


def test_an_answer_acknowledged_before_it_is_stored_is_found(tmp_path):
    world = World(tmp_path, images=30)
    (tmp_path / "lie").touch()
    try:
        world.start("--no-learner")
        until(world.answers, "the server answers")
        until(world.is_imported, "the images are read")
        person = Person("liar's victim", world.port, world.truth(), pause=0.01, seed=0)
        person.start()
        until(lambda: len(person.outbox.acknowledged) >= 5, "five answers are acknowledged")
        person.leave()
        assert world.end() == 0
    finally:
        world.clean_up()
    told = [answer for _, answer in person.outbox.acknowledged]
    assert judge(world.file, told, set()).faults["acknowledged and lost"] == len(told)


TOLD = {"uuid": "a", "image": 1, "kind": "label", "class": 2}
ROW = {"uuid": "a", "image_id": 1, "kind": "label", "class_id": 2, "undoes": None, "person_id": 1, "late": 0,
       "source": "query"}  # fmt: skip


def judged(folder: Path, *rows: dict[str, Any]) -> dict[str, int]:
    """The faults of a file with these rows, when one answer was given and acknowledged."""
    with closing(sqlite3.connect(folder / "labels.db")) as db, db:
        db.execute(f"CREATE TABLE labels ({', '.join(ROW)})")
        db.executemany(
            f"INSERT INTO labels VALUES ({', '.join('?' * len(ROW))})", [tuple(row.values()) for row in rows]
        )
    return judge(folder / "labels.db", [TOLD], {"a"}).found


def test_a_file_that_keeps_its_promise_has_no_fault(tmp_path):
    assert judged(tmp_path, ROW) == {}


@pytest.mark.parametrize(
    ("rows", "faults"),
    [
        ([], {"acknowledged and lost", "given and not stored"}),
        ([ROW, ROW], {"stored twice"}),
        ([ROW | {"class_id": 3}], {"stored with other contents"}),
        ([ROW, ROW | {"uuid": "b", "image_id": 2}], {"stored and given by nobody"}),
        ([ROW, ROW | {"uuid": "b", "person_id": 2}], {"stored and given by nobody", "images to two people"}),
        ([ROW, ROW | {"uuid": "b", "person_id": 2, "late": 1}], {"stored and given by nobody"}),
    ],
)
def test_every_broken_promise_is_found(tmp_path, rows, faults):
    assert judged(tmp_path, *rows).keys() == faults
