"""The people page: who takes part, as what, how each works, and the links that let them in."""

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from annotator.errors import AnnotatorError
from annotator.pages import shared, together
from annotator.pages.counting import seldom
from annotator.roles import ROLES
from annotator.store import db as store
from annotator.store import people

blueprint = Blueprint("people", __name__)
_ID = "int(max=9007199254740992)"


@blueprint.get("/people")
def page() -> ResponseReturnValue:
    return _page()


@blueprint.post("/people", provide_automatic_options=False)  # those of the page, which more people may call
def add() -> ResponseReturnValue:
    """A new person, and the link to send; it is shown this once, because only its hash is kept."""
    name, db = request.form.get("name", "")[:100], shared.database()
    try:
        with store.write(db):
            secret = people.add(db, name, request.form.get("role", ""))
    except AnnotatorError as error:
        return _page(said=str(error)), error.status
    return _page(name=name.strip(), secret=secret)


@blueprint.post(f"/people/<{_ID}:person>/invite")
def invite(person: int) -> ResponseReturnValue:
    """A new link: for a password that was forgotten, an invitation that ran out, somebody who comes back."""
    db = shared.database()
    with store.write(db):
        secret = people.invite(db, person)
    return _page(name=people.get(db, person)["name"], secret=secret)


@blueprint.post(f"/people/<{_ID}:person>/role")
def role(person: int) -> ResponseReturnValue:
    with store.write(shared.database()) as db:
        people.set_role(db, person, request.form.get("role", ""))
    return redirect(url_for("people.page"))


@blueprint.post(f"/people/<{_ID}:person>/leave")
def leave(person: int) -> ResponseReturnValue:
    with store.write(shared.database()) as db:
        people.leave(db, person)
    return redirect(url_for("people.page"))


def _page(name: str = "", secret: str = "", said: str = "") -> str:
    """Annotators see their own line, reviewers everybody's, administrators who may come in too."""
    db = shared.database()
    shown: dict[str, Any] = {"roles": ROLES, "invited": name, "said": said}
    shown["link"] = url_for("account.invitation", secret=secret, _external=True) if secret else ""
    if current_user.may("people.add"):
        counts = seldom(db, people.answers)
        rows = [row | {"answers": counts.get(row["id"], 0)} for row in people.everybody(db)]
        shown["rows"] = [row for row in rows if row["name"] != "import"]
    if current_user.may("review.page"):
        shown |= {"quality": together.quality(db), "pairs": together.pairs(db), "agreed": together.agreed(db)}
        shown["most_pairs"] = together.PAIRS
    else:
        shown["quality"] = together.quality(db, current_user.name)
    return render_template("people/index.html", **shown)
