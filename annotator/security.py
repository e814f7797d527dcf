"""What stands between the pages and everybody else: secret, CSRF, host check, headers. Who may do what: `access`."""

import ipaddress
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from flask import Flask, Response, abort, request
from flask_wtf import CSRFProtect

from annotator import access
from annotator.errors import OtherProject

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
MAX_BODY_BYTES = 64 * 1024
MAX_UPLOAD_BYTES = 64 * 1024 * 1024  # of requests that bring files
UPLOADS = frozenset({"files.upload", "files.upload_form"})  # endpoints of such requests
_POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with no-referrer the forms would say that they come from nowhere
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def private_secret(path: Path) -> str:
    """The random text in a file that only its owner can read; written on first use."""
    try:
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(32))
    except FileExistsError:
        pass
    return path.read_text().strip()


def init_app(app: Flask, *, hosts: frozenset[str], token: str | None) -> None:
    """Put every request behind the checks below."""
    app.config.update(
        SECRET_KEY=private_secret(Path(app.instance_path) / "secret"),
        # one browser may talk to two projects on two ports, and cookies know no ports
        SESSION_COOKIE_NAME=f"annotator-{app.config['PROJECT']['id'][:12]}",
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_HTTPONLY=True,
        MAX_CONTENT_LENGTH=MAX_BODY_BYTES,
        MAX_FORM_MEMORY_SIZE=MAX_BODY_BYTES,
    )

    @app.before_request
    def check_origin() -> None:
        _check_host(hosts)
        _check_origin()
        if request.endpoint in UPLOADS:
            request.max_content_length = MAX_UPLOAD_BYTES

    access.init_app(app, token)
    app.before_request(lambda: _check_project(app.config["PROJECT"]))
    CSRFProtect(app)
    app.after_request(_add_headers)


def _check_host(hosts: frozenset[str]) -> None:
    """Refuse names that are not ours: a page elsewhere can point its own name at this address (DNS rebinding)."""
    name = urlsplit(f"//{request.host}").hostname or ""
    if name in LOOPBACK or name in hosts:
        return
    if hosts and _is_address(name):  # an address cannot be rebound
        return
    abort(403, f"this server does not answer to the name {name!r}; use the address it printed when it started")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _check_origin() -> None:
    """A changing request that says where it comes from must come from here."""
    origin = request.headers.get("Origin")
    if request.method not in ("GET", "HEAD") and origin and origin.partition("://")[2] != request.host:
        abort(403, f"a page of {origin!r} may not change this project; open the project's own page")


def _check_project(project: Mapping[str, str]) -> None:
    """A page left open must not answer here what another project asked: images of both have the same numbers."""
    meant = request.headers.get("X-Annotator-Project", project["id"])
    if request.path.startswith("/api/") and meant != project["id"]:
        raise OtherProject(
            f"this address now belongs to the project {project['name']!r}; start the one of this page here again"
        )


def _add_headers(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    if "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "no-store"
    response.vary.add("Cookie")
    return response
