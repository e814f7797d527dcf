"""Options that several commands have, and what they say of a project."""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from annotator.settings import Asking
from learner.acquisition import for_people
from learner.datasets import FOLDER
from learner.training import METHODS

F = TypeVar("F", bound=Callable[..., Any])
INSTANCE = click.option(
    "--instance", type=click.Path(path_type=Path, file_okay=False), default=Path("instance"), show_default=True,
    help="Folder that holds the project: labels, models, caches.",
)  # fmt: skip


def _where(context: click.Context, parameter: click.Parameter, value: Path | None) -> None:
    """For this process and those that it starts: it decides where files lie, not what is in them."""
    if value:
        os.environ[FOLDER] = str(value.resolve())


DATA_DIR = click.option(
    "--data-dir", type=click.Path(file_okay=False, path_type=Path), expose_value=False, callback=_where,
    help="Where downloaded data sets lie.  [default: ~/.cache/annotator/datasets]",
)  # fmt: skip


def pairs(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """name=value options as a dictionary."""
    for value in values:
        if "=" not in value:
            raise click.BadParameter(f"{value!r} is not of the form name=value")
    return dict(value.split("=", 1) for value in values)


def _whole(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """A path that means the same wherever the learning process runs."""
    return str(Path(value).resolve()) if value else None


def learning_options(function: F) -> F:
    """What and how the learner learns."""
    for option in (
        click.option("--query-size", type=click.IntRange(1), help="Images asked in one round."),
        click.option(
            "--set",
            "loop",
            multiple=True,
            callback=pairs,
            metavar="NAME=VALUE",
            help="Any setting of the loop, or of how people are asked.",
        ),
        click.option(
            "--strategy-set",
            multiple=True,
            callback=pairs,
            metavar="NAME=VALUE",
            help="A setting of the strategy.",
        ),
        click.option(
            "--method-set",
            multiple=True,
            callback=pairs,
            metavar="NAME=VALUE",
            help="A setting of the method.",
        ),
        click.option(
            "--weights",
            type=click.Path(exists=True, dir_okay=False),
            callback=_whole,
            help="File with the weights of a pretrained net, for methods that use one.",
        ),
        click.option("--method", type=click.Choice(list(METHODS)), help="How it learns."),
    ):
        function = option(function)
    return function


def fields_of(cls: type) -> Callable[[F], F]:
    """One option for each field of a dataclass of settings."""

    def add(function: F) -> F:
        for field in reversed(dataclasses.fields(cls)):
            function = _option(field)(function)
        return function

    return add


def _option(field: "dataclasses.Field[Any]") -> Callable[[F], F]:
    help, choices = field.metadata["help"], field.metadata["choices"]
    name = "--" + field.name.replace("_", "-")
    text = help[0].upper() + help[1:] + "."
    if isinstance(field.default, bool):
        return click.option(name, is_flag=True, help=text)
    kind = click.Choice(list(choices)) if choices else None
    return click.option(name, type=kind, default=field.default, multiple=isinstance(field.default, tuple), help=text)


def serving_options(function: F) -> F:
    """Where it listens, and on what."""
    for option in (
        click.option("--no-learner", is_flag=True, help="Leave the learning process to another machine or command."),
        click.option("--no-browser", is_flag=True, help="Do not open a browser."),
        click.option(
            "--host-name", "names", multiple=True, help="A further name by which browsers reach this machine."
        ),
        click.option(
            "--allow-remote", is_flag=True, help="Let other machines in: people then log in, see `annotator user`."
        ),
        click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on."),
        click.option(
            "--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0: any free port."
        ),
        click.option("--strategy", type=click.Choice(for_people()), help="How it chooses what to ask."),
        click.option(
            "--audit-share",
            type=click.FloatRange(0, 0.5),
            help="Share of images that measure and never train.",
        ),
        click.option(
            "--keep-rounds",
            type=click.IntRange(1),
            help="Rounds whose models and predictions stay on disk.  [default: 3]",
        ),
        click.option("--seed", type=click.IntRange(0), help="The seed of everything random."),
        click.option(
            "--overlap",
            type=click.IntRange(1, 100),
            help="People who are asked of an image; none sees what another says.  [default: 1]",
        ),
        click.option(
            "--overlap-share",
            type=click.FloatRange(0, 1),
            help="Share of the images that so many are asked of.  [default: 1]",
        ),
        learning_options,
        INSTANCE,
    ):
        function = option(function)
    return function


def facts(options: dict[str, Any]) -> dict[str, Any]:
    """What the options say of the project; None where they say nothing."""
    loop = dict(options["loop"])
    if options["query_size"]:
        loop["query_size"] = options["query_size"]
    asking = {field.name: loop.pop(field.name) for field in dataclasses.fields(Asking) if field.name in loop}
    chosen = {key: options[key] for key in ("method", "strategy") if options[key]}
    settings = method_settings(options["method_set"], options["weights"])
    if settings:
        chosen["method_settings"] = settings
    if options["strategy_set"]:
        chosen["strategy_settings"] = options["strategy_set"]
    together = {key: options[key] for key in ("overlap", "overlap_share") if options[key] is not None}
    return {
        "together": together,
        "seed": options["seed"],
        "audit_share": options["audit_share"],
        "keep_rounds": options["keep_rounds"],
        "learning": {**chosen, "loop": loop, "asking": asking},
    }


def method_settings(values: dict[str, str], weights: str | None) -> dict[str, str]:
    return values | ({"weights": weights} if weights else {})
