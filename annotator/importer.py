"""The import process: reads the project's folder once, tells how far it is, and ends.

Run as `python -m annotator.importer INSTANCE`. Labelling goes on meanwhile.
"""

import contextlib
import os
import signal
import sqlite3
import sys
import threading
from pathlib import Path

from annotator.errors import AnnotatorError
from annotator.importing.folder import scan
from annotator.jobs import starter
from annotator.store import db as store
from annotator.store import rounds


def main(instance: Path) -> int:
    """0 when the folder was read, also where single files could not be; 1 when it cannot be read at all."""
    os.nice(5)
    stopping = threading.Event()
    parent = starter()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    db = store.connect(instance / store.FILE)

    def tell(**values: object) -> None:
        with store.write(db):
            rounds.tell(db, "import", **values)

    def report(done: int, total: int) -> None:
        tell(activity="reading", done=done, total=total, error=None)

    try:
        scan(instance, report, lambda: stopping.is_set() or os.getppid() != parent)
        tell(activity="stopped" if stopping.is_set() else "complete")
    except (AnnotatorError, sqlite3.OperationalError, OSError) as error:
        said = str(error) if isinstance(error, AnnotatorError) else store.explain(error)
        print(said, file=sys.stderr)
        with contextlib.suppress(sqlite3.Error):  # the disk that is full may be this one
            tell(activity="crashed", error=said)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
