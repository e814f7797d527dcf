"""The command line: one thin function per command. Nothing heavy is imported before it is needed."""

import json
import sqlite3
import sys
from pathlib import Path
from typing import Any

import click

from annotator import __version__
from annotator.cli_people import user
from annotator.cli_research import features, replay, report, simulate
from annotator.errors import AnnotatorError
from annotator.export import FORMATS, Report
from annotator.export.filters import Filters
from annotator.importing import SOURCES
from annotator.options import INSTANCE, facts, fields_of, pairs, serving_options
from learner.errors import LearnerError
from learner.registry import lookup
from learner.settings import resolve


class OneLine(click.Group):
    """Turns our errors into one line and exit code 1."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except (AnnotatorError, LearnerError) as error:
            raise click.ClickException(str(error)) from None
        except BrokenPipeError:
            raise  # the reader of our output left: click knows what to do
        except (sqlite3.Error, OSError) as error:
            from annotator.store.db import explain

            raise click.ClickException(explain(error)) from error


@click.group(cls=OneLine, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="annotator")
def main() -> None:
    """A good image classifier out of few labels: the model asks, people answer with a key press."""


@main.command()
@serving_options
def demo(instance: Path, **options: Any) -> None:
    """Label 1,797 handwritten digits that come with a dependency. Opens the browser; nothing to configure."""
    from annotator.demo import CLASSES, IMAGE_SIZE, write_digits
    from annotator.serving import found

    folder = instance / "digits"
    found(instance, "digits", folder, CLASSES, facts(options) | {"image_size": IMAGE_SIZE, "flip": False})
    write_digits(folder)
    _serve(instance, options)


@main.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--classes", default="", help="Class names, separated by commas.")
@click.option("--labels-from-folders", is_flag=True, default=None, help="Take the names of folders as labels.")
@click.option(
    "--image-size",
    type=click.IntRange(8, 512),
    help="Side in pixels at which the learner sees images.  [default: 64]",
)
@click.option(
    "--flip/--no-flip",
    default=None,
    help="Does a mirrored image keep its class? Text and digits: no.  [default: yes]",
)
@serving_options
def serve(folder: Path, instance: Path, classes: str, **options: Any) -> None:
    """Label the images of FOLDER, at any depth. The same command goes on where it stopped."""
    from annotator.serving import found

    names = [name.strip() for name in classes.split(",")] if classes else []
    keys = ("image_size", "flip", "labels_from_folders")
    given = facts(options) | {key: options[key] for key in keys}
    found(instance, folder.resolve().name, folder, names, given)
    _serve(instance, options)


def _serve(instance: Path, options: dict[str, Any]) -> None:
    from annotator.serving import Address, serve

    address = Address(options["host"], options["port"], options["allow_remote"], options["names"])
    serve(instance, address, browser=not options["no_browser"], learner=not options["no_learner"])


@main.command()
@INSTANCE
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def status(instance: Path, as_json: bool) -> None:
    """Where the project stands: labels, rounds, accuracy, what the learner does."""
    from annotator import disk
    from annotator.pages.status import progress
    from annotator.reporting import status_text
    from annotator.store import db as store

    found = progress(store.upgrade(instance / store.FILE)) | {"disk": disk.usage(instance)}
    click.echo(json.dumps(found, indent=2) if as_json else status_text(found))


@main.command()
@INSTANCE
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def doctor(instance: Path, as_json: bool) -> None:
    """Check the labels, files, disk and memory, and say what to do. Exit code 1 when something needs doing."""
    from annotator import doctor as checks

    findings = checks.examine(instance)
    click.echo(checks.as_json(findings) if as_json else checks.report(findings))
    sys.exit(0 if checks.is_healthy(findings) else 1)


@main.command()
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, dir_okay=False), help="The file.  [default: by project and time]"
)
@click.option("--images", is_flag=True, help="The images too, not only the labels and the model.")
@INSTANCE
def backup(out: Path | None, images: bool, instance: Path) -> None:
    """Write the project into one ZIP file, also while people label."""
    from annotator import backup as module

    target = out or module.default_name(instance)
    made = module.backup(instance, target, images=images)
    click.echo(f"{target}: {made.answers} answers" + (f", {made.images} images" if images else ""))
    for name, reason in made.skipped:
        click.echo(f"left out {name}: {reason}", err=True)


@main.command()
@click.argument("archive", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@INSTANCE
def restore(archive: Path, instance: Path) -> None:
    """Unpack a backup into a new instance folder, checked against its manifest."""
    from annotator.backup import IMAGES
    from annotator.backup import restore as unpack

    manifest = unpack(archive, instance)
    folder = instance / IMAGES if manifest["images"] else "FOLDER"
    click.echo(f"{instance}: {manifest['answers']} answers of {manifest['created']}, checked")
    click.echo(f"go on with: annotator serve {folder} --instance {instance}")


@main.command()
@click.argument("format", type=click.Choice(list(FORMATS)))
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Where to write.  [default: by format]")
@click.option("--set", "values", multiple=True, callback=pairs, metavar="NAME=VALUE", help="A setting of the format.")
@click.option("--onnx", is_flag=True, help="With the model: model.onnx too, the same as --set onnx=yes.")
@click.option("--manifest", is_flag=True, help="Write beside it, as JSON, where each label came from.")
@fields_of(Filters)
@INSTANCE
def export(
    format: str, out: Path | None, values: dict[str, str], onnx: bool, manifest: bool, instance: Path, **filters: Any
) -> None:
    """Take the labeled subset, or the model, away."""
    from annotator.export.running import run
    from annotator.store import db as store

    row = lookup("format", FORMATS, format)
    target = out or Path(row.out)
    db = store.upgrade(instance / store.FILE)
    taken, values = resolve(Filters, filters), values | ({"onnx": "yes"} if onnx else {})
    _say(target, run(instance, db, format, target, resolve(row.settings, values), taken, with_manifest=manifest))


def _say(out: Path, report: Report) -> None:
    """What was written, and on stderr what was left out and why."""
    click.echo(f"{out}: {report.written} written")
    for name, reason in report.skipped:
        click.echo(f"left out {name}: {reason}", err=True)


@main.command("import")
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--as", "meaning", type=click.Choice(("labels", "suggestions")), default="labels", show_default=True,
    help="Suggestions are shown to people and are no labels.",
)  # fmt: skip
@click.option("--format", "kind", type=click.Choice(list(SOURCES)), help="What it is.  [default: by name and content]")
@click.option("--path-column", default="", help="The column of paths.  [default: by its usual names]")
@click.option("--class-column", default="", help="The column of classes.  [default: by its usual names]")
@click.option("--person-column", default="", help="The column of people.  [default: by its usual names]")
@click.option("--person", default="import", show_default=True, help="Whose labels these are where a row names nobody.")
@click.option("--new-classes", is_flag=True, help="Add the classes that the project does not have.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A CSV file for every row that is left out, with the reason.",
)
@INSTANCE
def import_labels(source: Path, kind: str | None, report: Path | None, instance: Path, **options: Any) -> None:
    """Take labels or suggestions from SOURCE: a file as in docs/importing.md. The same file twice changes nothing."""
    from annotator.importing import labels
    from annotator.importing.rows import Asked
    from annotator.importing.taking import Wish
    from annotator.reporting import import_text

    asked = Asked(options["path_column"], options["class_column"], options["person_column"])
    is_suggestion = options["meaning"] == "suggestions"
    wish = Wish(kind or "", options["person"], options["new_classes"], options["dry_run"], is_suggestion)
    name, outcome, first, is_complete = labels.import_labels(instance, source, asked, wish, report)
    click.echo(import_text(name, outcome, first, wish))
    if not is_complete:
        click.echo("Not all images are read yet: run it again when `annotator status` shows them all.", err=True)


@main.command()
@INSTANCE
def rescan(instance: Path) -> None:
    """Look for new, changed and removed images in the project's folder, also while the server runs."""
    from annotator import importer
    from annotator.store import db as store

    store.upgrade(instance / store.FILE).close()
    counts = importer.look(instance, lambda: False)
    found = f"{counts.images} images that can be asked, {counts.new} of them new, {counts.aside} set aside"
    click.echo(f"{counts.files} files: {found}")


@main.command()
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), default=Path("predictions.csv"), show_default=True)
@click.option(
    "--model",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="An exported model.  [default: the project's]",
)
@INSTANCE
def predict(folder: Path | None, out: Path, model: Path | None, instance: Path) -> None:
    """Classify the images of FOLDER, or of the project's whole pool, with confidence, into a CSV file."""
    from annotator.predicting import predict_folder, predict_pool

    _say(out, predict_folder(folder, out, model or instance) if folder else predict_pool(instance, out))


for command in (user, simulate, report, replay, features):
    main.add_command(command)


if __name__ == "__main__":
    sys.exit(main())
