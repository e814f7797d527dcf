"""Who may do what: one table, and the check that every request passes."""

import secrets
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from flask import Flask, abort, current_app, redirect, request, session
from flask.typing import ResponseReturnValue
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_login import LoginManager, UserMixin, current_user, login_user

from annotator.errors import NotFound, NotYours, OtherPerson
from annotator.pages import shared
from annotator.roles import ROLES
from annotator.store import people

EVERYBODY = ""  # strangers too
# endpoint -> the least role that may call it. What is not listed is refused to all.
LEAST = {
    "static": EVERYBODY,
    "account.login": EVERYBODY,
    "account.invitation": EVERYBODY,
    "account.page": "annotator",
    "account.password": "annotator",
    "account.logout": "annotator",
    "label.page": "annotator",
    "label.csrf": "annotator",
    "label.next_images": "annotator",
    "label.label": "annotator",
    "label.release": "annotator",
    "label.heartbeat": "annotator",
    "label.history": "annotator",
    "label.class_examples": "annotator",
    "image.show": "annotator",
    "progress.page": "annotator",
    "progress.progress": "annotator",
    "progress.current_status": "annotator",
    "people.page": "annotator",
    "classes.current": "annotator",
    "files.page": "reviewer",
    "review.page": "reviewer",
    "review.image": "reviewer",
    "files.rescan": "administrator",
    "files.upload": "administrator",
    "files.rescan_form": "administrator",
    "files.upload_form": "administrator",
    "classes.page": "administrator",
    "classes.everything": "administrator",
    "classes.preview": "administrator",
    "classes.change": "administrator",
    "progress.pause": "administrator",
    "settings.page": "administrator",
    "settings.save": "administrator",
    "export.page": "administrator",
    "export.preview": "administrator",
    "export.download": "administrator",
    "people.add": "administrator",
    "people.role": "administrator",
    "people.invite": "administrator",
    "people.leave": "administrator",
}
TRIES = "10 per minute; 100 per hour"  # of a password or an invitation, from one address
WHO = "this project is private; log in, or open the link that the server printed when it started"


@dataclass(frozen=True)
class Person(UserMixin):  # type: ignore[misc]
    """Who is asking."""

    name: str
    role: str
    id: int | None = None  # of an account
    stamp: str = ""

    def get_id(self) -> str:
        """What the session remembers; the stamp ends sessions from before the password was changed."""
        return f"{self.id}:{self.stamp}"

    @property
    def mark(self) -> str:
        """What pages send along: an answer must not be stored under another name."""
        return str(self.id or people.OWNER)

    def may(self, endpoint: str) -> bool:
        least = LEAST.get(endpoint)
        return least == EVERYBODY or (least is not None and ROLES.index(self.role) >= ROLES.index(least))


OWNER = Person(people.OWNER, ROLES[-1])


def init_app(app: Flask, token: str | None) -> None:
    """Put every request behind `_check`. `token`: of the owner's link; None: only this machine can reach the server."""
    manager = LoginManager(app)
    manager.user_loader(lambda text: None if token is None else _remembered(text))
    manager.request_loader(lambda request: OWNER if token is None or session.get("token") == token else None)
    app.extensions["tries"] = Limiter(get_remote_address, app=app, storage_uri="memory://")
    app.before_request(lambda: _open_link(token))
    app.before_request(_check)


def _remembered(text: str) -> Person | None:
    """The person of a session, unless the password was changed or the person has left."""
    number, _, stamp = text.partition(":")
    try:
        row = people.get(shared.database(), int(number))
    except (ValueError, NotFound):
        return None
    valid = row["gone"] is None and secrets.compare_digest(row["stamp"], stamp)
    return _person(row) if valid else None


def _person(row: dict[str, Any]) -> Person:
    return Person(row["name"], row["role"], row["id"], row["stamp"])


def enter(row: dict[str, Any]) -> None:
    """This browser belongs to that person from now on; what another had here is forgotten."""
    session.clear()
    session.permanent = True
    login_user(_person(row))


def tries() -> Any:
    """A context that refuses with 429 whoever guesses too often."""
    return current_app.extensions["tries"].limit(TRIES)


def _open_link(token: str | None) -> ResponseReturnValue | None:
    """The link with the token makes a browser the owner's."""
    given = request.args.get("token", "")
    if token is None or not secrets.compare_digest(given.encode(), token.encode()):
        return None
    session.clear()
    session["token"] = token
    return redirect(request.path)  # the token leaves the address bar


def _check() -> None:
    """401 for strangers, 403 for those whose role does not reach, 410 for a page of somebody else."""
    endpoint = request.endpoint or ""
    if LEAST.get(endpoint) == EVERYBODY:
        return
    if not current_user.is_authenticated:
        abort(HTTPStatus.UNAUTHORIZED, WHO)
    if endpoint and not current_user.may(endpoint):
        least = LEAST.get(endpoint, "nobody")
        raise NotYours(f"your role is {current_user.role}; this is for the role {least} and above")
    if request.headers.get("X-Annotator-Person", current_user.mark) != current_user.mark:
        raise OtherPerson(f"this browser now belongs to {current_user.name!r}; log in as the one who opened this page")
