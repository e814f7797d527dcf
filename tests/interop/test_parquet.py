"""Labels out of Parquet files that pyarrow wrote."""

import pyarrow
import pyarrow.parquet
import pytest
from places import opening

from annotator.errors import AnnotatorError
from annotator.importing import parquet
from annotator.importing.labels import import_labels
from annotator.importing.rows import Asked
from annotator.importing.taking import Wish

pytestmark = pytest.mark.interop


@pytest.fixture
def place(tmp_path):
    with opening(tmp_path) as make:
        yield make("0.png", "1.png", "2.png")


def take(place, suggestions=False, **columns):
    path = place.root / "labels.parquet"
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    _, outcome, left_out, _ = import_labels(place.instance, path, Asked(), Wish("", suggestions=suggestions))
    return outcome, left_out


def test_rows_become_labels_and_bad_ones_are_refused_by_their_number(place, monkeypatch):
    monkeypatch.setattr(parquet, "BATCH", 2)
    names = ["0.png", "x.png", None, "1.png", "2.png"]
    outcome, left_out = take(place, file_path=names, label=["cat", "cat", "cat", None, "Cat"], more=[b"x"] * 5)
    assert (outcome.added, outcome.empty, [row.line for row in left_out]) == (2, 1, [2, 3])
    sql = (
        "SELECT files.name, classes.name FROM current JOIN files USING (image_id) JOIN classes ON classes.id = class_id"
    )
    assert dict(place.db.execute(sql).fetchall()) == {"0.png": "cat", "2.png": "Cat"}


def test_what_is_no_parquet_or_has_no_class_is_one_clear_line(place):
    with pytest.raises(AnnotatorError, match="name one of path, x with --class-column"):
        take(place, path=["0.png"], x=["cat"])
    path = place.root / "broken.parquet"
    path.write_bytes(b"PAR1" + b"x" * 100)
    with pytest.raises(AnnotatorError, match=r"broken\.parquet is not a Parquet file"):
        import_labels(place.instance, path, Asked(), Wish(""))


def test_predictions_become_suggestions_with_their_confidence(place):
    columns = {"path": ["0.png", "1.png", "2.png"], "class": ["cat", "Cat", "cat"], "confidence": [0.75, None, 1.5]}
    outcome, left_out = take(place, suggestions=True, **columns)
    assert (outcome.added, [row.line for row in left_out]) == (2, [3])
    sql = "SELECT files.name, confidence FROM suggestions JOIN files USING (image_id)"
    assert dict(place.db.execute(sql).fetchall()) == {"0.png": 0.75, "1.png": None}
