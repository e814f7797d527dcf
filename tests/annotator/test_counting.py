"""What is counted seldom: how often, and what others get meanwhile."""

import sqlite3
import threading

import pytest

from annotator.pages import counting
from annotator.pages.counting import SHARE, SLOW, seldom, up_to_date
from annotator.store import db as store
from annotator.store import labels, project, tally
from annotator.store.labels import Answer


class Clock:
    """Stands still unless it is turned."""

    now = 100.0
    waited = 0.0  # of that, by a thread for its turn

    def monotonic(self) -> float:
        return self.now

    def thread_time(self) -> float:
        return self.now - self.waited


@pytest.fixture
def clock(monkeypatch) -> Clock:
    monkeypatch.setattr(counting, "time", clock := Clock())
    return clock


def counter(clock: Clock, seconds: float):
    """Says how often it was called; each call takes so long."""
    calls: list[float] = []

    def count(db) -> int:
        clock.now += seconds
        calls.append(clock.now)
        return len(calls)

    return count


def test_what_is_quick_is_counted_each_time(db, clock):
    count = counter(clock, SLOW / 2)
    assert [seldom(db, count) for _ in range(3)] == [1, 2, 3]


def test_what_is_quick_but_waited_for_its_turn_is_counted_each_time(db, clock):
    count = counter(clock, SLOW / 2)

    def wait(db) -> int:
        clock.now, clock.waited = clock.now + 3, clock.waited + 3
        return count(db)

    assert [seldom(db, wait) for _ in range(3)] == [1, 2, 3]


def test_what_is_slow_takes_a_twentieth_of_the_time_at_most(db, clock):
    count = counter(clock, 1.0)
    assert [seldom(db, count) for _ in range(3)] == [1, 1, 1]
    clock.now += SHARE - 1.5  # it began a second before the first was found
    assert seldom(db, count) == 1
    clock.now += 1
    assert seldom(db, count) == 2


def test_one_counts_and_the_others_take_what_was_before(db, clock):
    begun, go_on, answers = threading.Event(), threading.Event(), iter([1, 2])

    def count(db) -> int:
        clock.now += 1
        answer = next(answers)
        if answer == 2:
            begun.set()
            assert go_on.wait(30)
        return answer

    assert seldom(db, count) == 1
    clock.now += 1000
    first = threading.Thread(target=seldom, args=(db, count))
    first.start()
    assert begun.wait(30)
    assert seldom(db, count) == 1
    go_on.set()
    first.join()
    assert seldom(db, count) == 2


class Answers(tally.Tally):
    """How many there are."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, rows: tally.Rows, sign: int) -> None:
        self.count += sign * rows(f"WITH {tally.SEEN} SELECT count(*) FROM seen")[0][0]


def say(db, image: int) -> None:
    with store.write(db):
        labels.add(db, Answer(f"c{image}", image, "skip", project.person_id(db, "ann")), "tab", 0.0)


def test_what_failed_half_way_is_counted_anew(db, monkeypatch):
    say(db, 1)
    with up_to_date(db, Answers) as found:
        assert found.count == 1
    say(db, 2)
    with monkeypatch.context() as broken:
        broken.setattr(tally, "_rows", lambda db, upto, images=None: lambda sql: db.execute("nonsense"))
        with pytest.raises(sqlite3.OperationalError), up_to_date(db, Answers):
            pass
    with up_to_date(db, Answers) as found:
        assert found.count == 2
