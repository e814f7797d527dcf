"""A clock that the suite can turn: Python imports this file first of all, in the server and in its processes.

The file named by CHAOS_CLOCK holds the seconds by which the wall clock is wrong. The monotonic clock stays right.
"""

import datetime
import mmap
import os
import struct
import time
from pathlib import Path

if "CHAOS_CLOCK" in os.environ:
    with Path(os.environ["CHAOS_CLOCK"]).open("rb") as file:
        error = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
    true_time = time.time

    def turned_time() -> float:
        return true_time() + struct.unpack("d", error[:])[0]

    class TurnedDatetime(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> "TurnedDatetime":
            return cls.fromtimestamp(turned_time(), tz)

    time.time = turned_time
    datetime.datetime = TurnedDatetime
