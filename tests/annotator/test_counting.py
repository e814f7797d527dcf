"""What is counted seldom: how often, and what others get meanwhile."""

import threading

import pytest

from annotator.pages import counting
from annotator.pages.counting import SHARE, SLOW, seldom


class Clock:
    """Stands still unless it is turned."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


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


def test_what_is_slow_takes_a_twentieth_of_the_time_at_most(db, clock):
    count = counter(clock, 1.0)
    assert [seldom(db, count) for _ in range(3)] == [1, 1, 1]
    clock.now += SHARE - 1.5  # it began a second before the first was found
    assert seldom(db, count) == 1
    clock.now += 1
    assert seldom(db, count) == 2


@pytest.mark.parametrize("seconds", [0.0, 1.0])
def test_while_nothing_changed_nothing_is_counted(db, clock, seconds):
    count = counter(clock, seconds)
    assert [seldom(db, count, "as before") for _ in range(2)] == [1, 1]
    clock.now += 1000
    assert seldom(db, count, "as before") == 1
    assert seldom(db, count, "an answer more") == 2


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
