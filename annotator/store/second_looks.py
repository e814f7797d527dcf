"""Second looks: labels that the model doubts are asked once more, whoever gave them, and then never for that reason."""

from typing import Any

from sqlite_utils import Database

from annotator.store import queue

SOURCE, STRATEGY = "second_look", queue.DOUBTS  # of the model's; those that people want again have no strategy

# labeled, by no reviewer, not looked at a second time, and not waiting for another opinion anyway. The audit is a
# measure: nothing is chosen in it
_OPEN = f"""SELECT image_id FROM states s JOIN images i ON i.id = s.image_id
    WHERE status = 'label' AND NOT audit AND aside IS NULL AND NOT EXISTS (SELECT 1 FROM standing a
        WHERE a.image_id = s.image_id AND (source = 'review' OR strategy = '{STRATEGY}'))
        AND NOT EXISTS (SELECT 1 FROM queue WHERE queue.image_id = s.image_id AND asked > '')"""


def open_to_doubt(db: Database) -> list[int]:
    """Images whose labels may be asked once more."""
    return [image for (image,) in db.execute(_OPEN).fetchall()]


def publish(db: Database, picks: list[dict[str, Any]], source: str, now: float) -> None:
    """Replace those that nobody has on the screen. One answered meanwhile does not come. Call inside `write`."""
    queue.forget(db, source, now, f"strategy = '{STRATEGY}'")
    sql = f"""INSERT INTO queue (image_id, source, round, strategy, score, probability, rank)
        SELECT :image_id, :source, :round, :strategy, :score, :probability, :rank
        WHERE EXISTS ({_OPEN} AND s.image_id = :image_id)
        ON CONFLICT (image_id) DO NOTHING"""
    for rank, pick in enumerate(picks):
        db.execute(sql, {**pick, "source": source, "rank": rank})


def labels(db: Database, image_ids: list[int]) -> dict[int, int]:
    """Image id -> the class that stands, of these images: to be told after the second look, never before."""
    chosen = ",".join(str(int(image)) for image in image_ids)
    sql = f"SELECT image_id, class_id FROM states WHERE status = 'label' AND image_id IN ({chosen})"
    return dict(db.execute(sql).fetchall())
