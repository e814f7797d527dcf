"""The import process: reads the project's folder once, tells how far it is, and ends.

Run as `python -m annotator.importer INSTANCE`. Labelling goes on meanwhile.
"""

import contextlib
import os
import signal
import sqlite3
import sys
import threading
from contextlib import closing
from pathlib import Path

from annotator.errors import AnnotatorError
from annotator.importing.folder import Busy, Counts, Report, Stop, scan
from annotator.jobs import starter
from annotator.store import db as store
from annotator.store import rounds


def look(instance: Path, stop: Stop, show: Report = lambda done, total: None) -> Counts:
    """Read the folder, and let the pages know how far it is. Raises what `scan` raises, which they show too."""
    with closing(store.connect(instance / store.FILE)) as db:

        def tell(**values: object) -> None:
            with store.write(db):
                rounds.tell(db, "import", **values)

        owner = rounds.this_process()

        def report(done: int, total: int) -> None:
            tell(activity="reading", done=done, total=total, error=None, owner=owner)
            show(done, total)

        try:
            counts = scan(instance, report, stop)
            tell(activity="complete" if counts.complete else "stopped", owner=None)
            return counts
        except Busy:
            raise  # the other one tells
        except (AnnotatorError, sqlite3.OperationalError, OSError) as error:
            with contextlib.suppress(sqlite3.Error):  # the disk that is full may be this one
                tell(activity="crashed", error=_explained(error), owner=None)
            raise


def _explained(error: Exception) -> str:
    return str(error) if isinstance(error, AnnotatorError) else store.explain(error)


def main(instance: Path) -> int:
    """0 when the folder was read, also where single files could not be; 1 when it cannot be read at all."""
    os.nice(5)
    stopping = threading.Event()
    parent = starter()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    try:
        look(instance, lambda: stopping.is_set() or os.getppid() != parent)
    except (AnnotatorError, sqlite3.OperationalError, OSError) as error:
        print(_explained(error), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
