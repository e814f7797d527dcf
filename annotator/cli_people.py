"""`annotator user`: the people of a project, from the command line. One thin function per command, as in cli.py."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from sqlite_utils import Database

from annotator.options import INSTANCE
from annotator.roles import ROLES

_ROLE = click.Choice(ROLES)
NAME = click.argument("name")


@contextmanager
def _people(instance: Path) -> Iterator[Database]:
    from annotator.store import db as store

    db = store.upgrade(instance / store.FILE)
    try:
        with store.write(db):
            yield db
    finally:
        db.close()


def _say_link(name: str, secret: str) -> None:
    click.echo(f"Send this to {name} only, behind the address of the server; it works once, for seven days:")
    click.echo(f"/invitation/{secret}")


@click.group()
def user() -> None:
    """Who may come in where the server is open to other machines (serve --host --allow-remote), and as what."""


@user.command()
@NAME
@click.option("--role", type=_ROLE, default=ROLES[0], show_default=True)
@INSTANCE
def add(name: str, role: str, instance: Path) -> None:
    """Invite NAME: prints a link to choose a password with."""
    from annotator.store import people

    with _people(instance) as db:
        secret = people.add(db, name, role)
    _say_link(name, secret)


@user.command()
@NAME
@INSTANCE
def invite(name: str, instance: Path) -> None:
    """A new link for NAME: the password was forgotten, the invitation ran out, or NAME comes back."""
    from annotator.store import people

    with _people(instance) as db:
        secret = people.invite(db, people.named(db, name)["id"])
    _say_link(name, secret)


@user.command()
@NAME
@click.argument("role", type=_ROLE)
@INSTANCE
def role(name: str, role: str, instance: Path) -> None:
    """Give NAME another ROLE, from the next request on."""
    from annotator.store import people

    with _people(instance) as db:
        people.set_role(db, people.named(db, name)["id"], role)


@user.command()
@NAME
@INSTANCE
def close(name: str, instance: Path) -> None:
    """Close the account of NAME, at once. The answers stay."""
    from annotator.store import people

    with _people(instance) as db:
        people.leave(db, people.named(db, name)["id"])


@user.command("list")
@INSTANCE
def everybody(instance: Path) -> None:
    """Names, roles, states, answers, and how far the labels are those of most others who saw the image."""
    from annotator.pages import together
    from annotator.store import people

    with _people(instance) as db:
        rows, said = people.everybody(db), people.answers(db)
        quality = {row["name"]: row for row in together.quality(db)}
    for row in rows:
        line = f"{row['name']:24} {row['role']:14} {row['state']:8} {said.get(row['id'], 0):>8} answers"
        click.echo(line + _quality(quality.get(row["name"], {})))


def _quality(row: dict[str, Any]) -> str:
    """What is known of it."""
    pace = f"  {row['per_hour']:,.0f} labels per hour" if row.get("per_hour") else ""
    others = row.get("others")
    if not others:
        return pace
    low, high = 100 * others["low"], 100 * others["high"]
    return f"{pace}  {100 * others['value']:.0f} % as most others ({low:.0f} to {high:.0f}, n {others['of']:,})"
