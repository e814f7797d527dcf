"""What is counted seldom: how often, and what others get meanwhile."""

import threading
import time

import pytest

from annotator.pages.counting import SHARE, seldom


class Slow:
    """Counts its calls, each of so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.calls = seconds, 0

    def __call__(self, db) -> int:
        self.calls += 1
        time.sleep(self.seconds)
        return self.calls


def test_what_is_quick_is_counted_each_time(db):
    count = Slow(0)
    assert [seldom(db, count) for _ in range(3)] == [1, 2, 3]


def test_what_is_slow_takes_a_twentieth_of_the_time_at_most(db):
    count = Slow(0.03)
    assert [seldom(db, count) for _ in range(3)] == [1, 1, 1]
    time.sleep(0.031 * SHARE)
    assert seldom(db, count) == 2


@pytest.mark.parametrize("seconds", [0, 0.03])
def test_while_nothing_changed_nothing_is_counted(db, seconds):
    count = Slow(seconds)
    assert [seldom(db, count, "as before") for _ in range(2)] == [1, 1]
    time.sleep((seconds + 0.001) * SHARE)
    assert seldom(db, count, "as before") == 1
    assert seldom(db, count, "an answer more") == 2


def test_one_counts_and_the_others_take_what_was_before(db):
    count = Slow(0.03)
    seldom(db, count)
    time.sleep(0.031 * SHARE)
    count.seconds = 0.5
    first = threading.Thread(target=seldom, args=(db, count))
    first.start()
    time.sleep(0.1)
    assert seldom(db, count) == 1
    first.join()
    assert seldom(db, count) == 2
