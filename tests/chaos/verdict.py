"""What the file says afterwards, held against what people were told: plain sqlite3, none of our code."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CONTENTS = ("image_id", "kind", "class_id", "undoes")


@dataclass
class Verdict:
    """Counts; all of `faults` must be zero."""

    acknowledged: int = 0
    present: int = 0
    late: int = 0  # kept as another opinion, as promised
    faults: dict[str, int] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    doubled: set[str] = field(default_factory=set)

    @property
    def found(self) -> dict[str, int]:
        return {name: count for name, count in self.faults.items() if count}


def judge(file: Path, acknowledged: list[dict[str, Any]], given: set[str]) -> Verdict:
    """`acknowledged`: the answers with a yes; `given`: the uuids of all answers that anybody gave."""
    with closing(sqlite3.connect(file)) as db:
        rows = db.execute(f"SELECT uuid, {', '.join(CONTENTS)} FROM labels").fetchall()
        opinions = db.execute(_OVERLAP).fetchone()[0]
        late = db.execute("SELECT count(*) FROM labels WHERE late").fetchone()[0]
        damage = db.execute("PRAGMA integrity_check").fetchall() != [("ok",)]
    stored: dict[str, list[tuple[Any, ...]]] = {}
    for uuid, *contents in rows:
        stored.setdefault(uuid, []).append(tuple(contents))
    told = {answer["uuid"]: _contents(answer) for answer in acknowledged}
    verdict = Verdict(len(told), len(told.keys() & stored.keys()), late)
    verdict.lost = told.keys() - stored.keys()
    verdict.doubled = {uuid for uuid, found in stored.items() if len(found) > 1}
    verdict.faults = {
        "acknowledged and lost": len(verdict.lost),
        "stored twice": len(verdict.doubled),
        "stored with other contents": sum(stored.get(uuid, [said])[0] != said for uuid, said in told.items()),
        "stored and given by nobody": len(stored.keys() - given),
        "given and not stored": len(given - stored.keys()),
        "images to two people": opinions,
        "damaged files": int(damage),
    }
    return verdict


# answers that stand, are not late, and come from different people for one image: overlap is 0; a second look is meant
_OVERLAP = """SELECT count(*) FROM (
    SELECT image_id FROM labels AS a WHERE kind <> 'undo' AND NOT late AND source <> 'second_look'
        AND NOT EXISTS (SELECT 1 FROM labels AS u WHERE u.undoes = a.uuid)
    GROUP BY image_id HAVING count(DISTINCT person_id) > 1)"""


def _contents(answer: dict[str, Any]) -> tuple[Any, ...]:
    return answer["image"], answer["kind"], answer.get("class"), answer.get("undoes")
