"""Founding a project in an instance folder, and serving it until Ctrl+C."""

import logging
import os
import secrets
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from flask import Flask
from sqlite_utils import Database

from annotator import create_app, security
from annotator.errors import AnnotatorError
from annotator.importing.relink import holds_known_image
from annotator.jobs import Supervisor
from annotator.originals import printable
from annotator.settings import learning
from annotator.store import db as store
from annotator.store import overlap, project

TURN = 0.0005  # seconds that a thread computes while others wait; Python's own 0.005 is long for small requests
THREADS = 8  # more take turns from whoever writes: p99 of an answer 117 ms with 16, 62 with 6 (docs/lab-notes.md)


@dataclass(frozen=True)
class Address:
    """Where to listen and who may come."""

    host: str = "127.0.0.1"
    port: int = 8000
    allow_remote: bool = False
    names: tuple[str, ...] = ()  # further names of this machine

    @property
    def is_remote(self) -> bool:
        return self.host not in security.LOOPBACK


def found(instance: Path, name: str, folder: Path, classes: list[str], values: Mapping[str, Any]) -> None:
    """Create the project, or go on with it: new classes are added, settings that were given win.

    Raises AnnotatorError when the instance holds another project.
    """
    with_defaults: dict[str, Any] = {
        "image_size": 64,
        "seed": secrets.randbits(31),
        "audit_share": 0.1,
        "flip": True,
    }
    with_defaults |= {"labels_from_folders": False, "keep_rounds": project.KEEP_ROUNDS, "learning": {}, "together": {}}
    db = store.prepare(instance / store.FILE)
    facts = project.facts(db)
    if facts and (instance / facts["folder"]).resolve() != folder.resolve():
        _relink(db, instance, facts, folder)
    given = {key: value for key, value in values.items() if value is not None}
    chosen = {**with_defaults, **facts, **given}
    chosen["learning"] = _merge(facts.get("learning", {}), given.get("learning", {}))
    chosen["together"] = {**facts.get("together", {}), **given.get("together", {})}
    learning(chosen["learning"])  # raises for a name or setting that does not exist
    _refuse_changes(facts, given)
    with store.write(db):
        if facts:
            project.put(
                db, **{key: chosen[key] for key in ("learning", "labels_from_folders", "keep_rounds", "together")}
            )
            if chosen["together"] != facts.get("together", {}):
                overlap.follow(db)
        else:
            project.create(db, **{"name": printable(os.fsencode(name)), "folder": _stored(folder, instance), **chosen})
        project.add_classes(db, classes)
        if len(project.classes(db)) < 2 and not chosen["labels_from_folders"]:
            raise AnnotatorError("a project needs at least two classes; name them with --classes cat,dog,other")
    db.close()


def _stored(folder: Path, instance: Path) -> str:
    """How a project remembers its folder: inside the instance relative to it, so that both can move together."""
    folder, instance = folder.resolve(), instance.resolve()
    return str(folder.relative_to(instance) if folder.is_relative_to(instance) else folder)


def _relink(db: Database, instance: Path, facts: Mapping[str, Any], folder: Path) -> None:
    """The images may have moved: follow them if the old folder is gone and the new one holds some of them."""
    old = instance / facts["folder"]
    about = f"the instance {instance} holds the project {facts['name']!r} of {old}"
    if old.is_dir():
        raise AnnotatorError(f"{about}; name another folder with --instance")
    if not holds_known_image(db, folder, skip=instance.resolve()):
        raise AnnotatorError(
            f"{about}, which is gone, and {folder} holds none of its images; "
            "name the folder in which they are now, or another one with --instance"
        )
    with store.write(db):
        project.put(db, folder=_stored(folder, instance))
    click.echo(f"The images of {facts['name']!r} are in {folder} now; they are known by their content.", err=True)


def _merge(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Settings given now win over the project's; the settings of another method or strategy go with it."""
    kept = dict(old)
    for name in ("method", "strategy"):
        if name in new and new[name] != old.get(name):
            kept.pop(f"{name}_settings", None)
    merged = {name: {**old.get(name, {}), **new.get(name, {})} for name in ("loop", "asking")}
    return {**kept, **new, **merged}


def _refuse_changes(facts: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """What was decided when the project began stays: pixels, the audit and randomness depend on it."""
    for key in ("image_size", "seed", "audit_share", "flip"):
        if facts and key in given and given[key] != facts[key]:
            option = key.replace("_", "-")
            raise AnnotatorError(
                f"the project was started with {option} {facts[key]}, not {given[key]}; "
                f"leave --{option} away, or start another project with --instance"
            )


def serve(instance: Path, address: Address, *, browser: bool = True, learner: bool = True) -> None:
    """Run server, import and learning process until SIGINT or SIGTERM; then end them all properly."""
    import waitress

    from annotator import door

    token = _token(instance, address)
    hosts = frozenset({address.host, socket.gethostname(), *address.names}) if address.is_remote else frozenset()
    supervisor = Supervisor(instance, learner=learner)
    app = create_app(instance, hosts=hosts, token=token, rescan=supervisor.rescan)
    listener = _listen(address)
    host, port = listener.getsockname()[:2]
    url = f"http://{_printable(host)}:{port}/" + (f"?token={token}" if token else "")
    server = waitress.create_server(
        app, sockets=[listener], threads=THREADS, ident=None, clear_untrusted_proxy_headers=True,
        max_request_body_size=security.MAX_UPLOAD_BYTES,
    )  # fmt: skip
    server.channel_class = door.guarded(app, is_open=token is None)
    logging.getLogger("waitress").setLevel(logging.ERROR)  # neither a short queue nor ending amid a request is news
    sys.setswitchinterval(TURN)
    supervisor.start()
    stopping = threading.Event()
    threading.Thread(target=_prepare, args=[app, instance, stopping], daemon=True).start()
    click.echo(f"annotator is at {url}")
    click.echo("Ctrl+C ends it; the same command goes on where it stopped.")
    sys.stdout.flush()
    if browser:
        threading.Timer(0.3, webbrowser.open, [url]).start()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        server.run()  # returns after SystemExit or KeyboardInterrupt
    finally:
        click.echo("Ending ...")
        stopping.set()
        supervisor.stop()
        server.close()


def _prepare(app: Flask, instance: Path, stopping: threading.Event) -> None:
    """What the first visitor of a page would wait for."""
    from annotator.pages import together

    for name in app.jinja_env.list_templates(["html"]):
        app.jinja_env.get_template(name)
    together.keep_counting(instance, stopping)


def _token(instance: Path, address: Address) -> str | None:
    """None on a loopback address; elsewhere the secret link, if that was asked for."""
    if not address.is_remote:
        return None
    if not address.allow_remote:
        raise AnnotatorError(
            f"{address.host} can be reached from other machines; add --allow-remote "
            "(people then log in: see docs/people.md), or leave --host away"
        )
    return security.private_secret(instance / "token")


def _listen(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address.host, address.port))
    except OSError as error:
        reason = error.strerror or str(error)
        raise AnnotatorError(
            f"cannot listen on {address.host} port {address.port}: {reason}; "
            "name another with --port, or --port 0 for any"
        ) from None
    return listener


def _printable(host: str) -> str:
    """An address for a link: the wildcard address is this machine, IPv6 stands in brackets."""
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    return f"[{host}]" if ":" in host else host
