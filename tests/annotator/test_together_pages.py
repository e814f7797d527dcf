"""Who sees what of people's work: on the People page, on Progress, and in the queue of conflicts."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from test_people import app, come_in, owner, send  # noqa: F401

from annotator.cli import main
from annotator.pages import together
from annotator.store import db as store
from annotator.store import labels, people, project
from annotator.store.labels import Answer


@pytest.fixture
def said(instance: Path) -> None:
    """ann and bob labeled thirty images, and agree on all but three."""
    db = store.connect(instance / store.FILE)
    with store.write(db):
        for name in ("ann", "bob"):
            person = project.person_id(db, name)
            for image in range(1, 31):
                class_id = 1 + (image % 2 != (name == "bob" and image <= 3))
                labels.add(db, Answer(f"{name}{image}", image, "label", person, class_id, seconds=2.0), "t", 0.0)
    db.close()


@pytest.mark.usefixtures("said")
def test_a_reviewer_sees_everybody_and_the_way_to_the_conflicts(app, owner):  # noqa: F811
    page = come_in(app, owner, "rob", "reviewer").get("/people").text
    assert "ann and bob" in page
    assert "90 %" in page
    assert page.count("1,800") == 2  # labels per hour
    assert "/review?status=conflict&amp;work=1" in page
    assert "Decide 3 conflicts" in page
    assert 'name="role"' not in page


@pytest.mark.usefixtures("said")
def test_an_annotator_sees_only_the_own_line(app, owner):  # noqa: F811
    ann = come_in(app, owner, "ann")
    page = ann.get("/people").text
    assert "How you work" in page
    assert '<th scope="row" class="file">ann</th>' in page
    assert "bob" not in page
    assert 'name="role"' not in page
    assert "3 conflicts wait for a reviewer" in ann.get("/progress").text


@pytest.mark.usefixtures("said")
def test_an_administrator_sees_both_who_comes_in_and_how_they_work(owner):  # noqa: F811
    page = owner.get("/people").text
    assert "Make a link" in page
    assert "How they work" in page


@pytest.mark.usefixtures("said")
def test_progress_says_how_far_people_agree_in_words(owner):  # noqa: F811
    page = owner.get("/progress").text
    # 30 images, 27 agreed: 1 - (6 / 60) / (2 * 30 * 30 / (60 * 59)) with 30 labels of each class
    assert "alpha is <b>0.80</b> on 30 images" in page
    assert "people mean the same by the classes" in page


@pytest.mark.usefixtures("said")
def test_the_numbers_follow_the_next_answer(owner, instance):  # noqa: F811
    assert "on 30 images" in owner.get("/progress").text
    db = store.connect(instance / store.FILE)
    with store.write(db):
        for name in ("ann", "bob"):
            labels.add(db, Answer(f"{name}x", 31, "label", people.named(db, name)["id"], 1), "t", 0.0)
    assert "on 31 images" in owner.get("/progress").text
    db.close()


def test_before_anybody_answered_the_pages_say_so(owner):  # noqa: F811
    page = owner.get("/people").text
    assert "Nobody has answered anything yet" in page
    assert "Agreement is not defined yet: no image has labels of two people yet" in page
    assert "Agreement" not in owner.get("/progress").text


def test_a_name_is_shown_as_text(app, owner, instance):  # noqa: F811
    send(owner, "/people", name="<b>x", role="annotator")
    db = store.connect(instance / store.FILE)
    with store.write(db):
        labels.add(db, Answer("h", 1, "skip", people.named(db, "<b>x")["id"]), "t", 0.0)
    db.close()
    page = owner.get("/people").text
    assert "<b>x" not in page
    assert "&lt;b&gt;x" in page


@pytest.mark.usefixtures("said")
def test_the_command_line_lists_pace_and_agreement(instance):
    lines = CliRunner().invoke(main, ["user", "list", "--instance", str(instance)]).output.splitlines()
    (ann,) = (line for line in lines if line.startswith("ann "))
    assert ann.endswith("30 answers  1,800 labels per hour  90 % as most others (74 to 97, n 30)")


def test_of_many_people_the_pairs_with_most_in_common_are_shown(owner, instance):  # noqa: F811
    db = store.connect(instance / store.FILE)
    with store.write(db):
        for number in range(12):  # 66 pairs; p0 and p1 have one image more
            person = project.person_id(db, f"p{number}")
            for image in range(1, 4 if number < 2 else 3):
                labels.add(db, Answer(f"p{number}-{image}", image, "label", person, 1), "t", 0.0)
    db.close()
    page = owner.get("/people").text
    rows = re.findall(r"(p\d+ and p\d+)</th><td class=\"number\">(\d)", page)
    assert rows[0] == ("p0 and p1", "3")
    assert len(rows) == together.PAIRS
    assert "The 50 pairs with most images in common." in page
