"""Coming in and going out: log in, take an invitation, change the password, log out."""

from flask import Blueprint, abort, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, logout_user

from annotator import access
from annotator.errors import AnnotatorError
from annotator.pages import shared
from annotator.store import db as store
from annotator.store import people

blueprint = Blueprint("account", __name__)
_WRONG = "name and password do not fit; ask an administrator for a new link if you forgot the password"


@blueprint.route("/login", methods=["GET", "POST"])
def login() -> ResponseReturnValue:
    """The form; with name and password: in, or the form again with 401."""
    if request.method != "POST":
        return render_template("account/login.html", said="")
    with access.tries():
        row = people.check(shared.database(), _text("name"), _text("password"))
    if row is None:
        return render_template("account/login.html", said=_WRONG), 401
    access.enter(row)
    return redirect(url_for("label.page"))


@blueprint.route("/invitation/<secret>", methods=["GET", "POST"])
def invitation(secret: str) -> ResponseReturnValue:
    """A link works once: whoever opens it chooses a password and is in."""
    db = shared.database()
    with access.tries():
        row = people.invited(db, secret)
    if request.method != "POST":
        return render_template("account/invitation.html", invited=row["name"], said="")
    try:
        password = people.hashed(_text("password"))
        with store.write(db):
            row = people.accept(db, secret, password)
    except AnnotatorError as error:
        return render_template("account/invitation.html", invited=row["name"], said=str(error)), error.status
    access.enter(row)
    return redirect(url_for("label.page"))


@blueprint.get("/account")
def page() -> ResponseReturnValue:
    return render_template("account/index.html", said="")


@blueprint.post("/account/password")
def password() -> ResponseReturnValue:
    """Another password, for whoever knows the one of now; other browsers have to log in again."""
    if current_user.id is None:
        abort(404, "whoever comes by the link of the server has no password")
    db = shared.database()
    with access.tries():
        row = people.check(db, current_user.name, _text("old"))
    if row is None:
        return render_template("account/index.html", said="the password of now is another one"), 400
    try:
        password = people.hashed(_text("password"))
        with store.write(db):
            people.set_password(db, row["id"], password)
    except AnnotatorError as error:
        return render_template("account/index.html", said=str(error)), error.status
    access.enter(people.get(db, row["id"]))
    return render_template("account/index.html", said="The password is changed.")


@blueprint.post("/logout")
def logout() -> ResponseReturnValue:
    logout_user()
    session.clear()
    return redirect(url_for("account.login"))


def _text(name: str) -> str:
    """A field of a form; longer than any of ours is cut."""
    return request.form.get(name, "")[: people.LONGEST + 1]
