"""The commands of researchers: simulations, reports, features. One thin function per command, as in cli.py."""

import shlex
import sys
from pathlib import Path

import click
from click.core import ParameterSource

from annotator.options import DATA_DIR, INSTANCE, learning_options, method_settings, pairs
from learner.acquisition import STRATEGIES
from learner.settings import resolve

WITH_STUDY = {"study", "seeds", "data_dir", "out", "force", "engine", "engine_set", "ray_address", "track", "track_uri",
              "quiet", "as_json"}  # fmt: skip  # every other option says what a study file says itself


def _require_none_beside_study() -> None:
    """ClickException for options that were given and that a study would not listen to."""
    context = click.get_current_context()
    given = ["/".join([*parameter.opts, *parameter.secondary_opts]) for parameter in context.command.params
             if parameter.name not in WITH_STUDY
             and context.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE]  # fmt: skip
    if given:
        raise click.ClickException(
            f"{', '.join(given)} would change nothing beside --study; put it into its file, or leave out --study"
        )


@click.command()
@click.option("--study", help="A whole grid: a shipped study by name, or a TOML file; --seeds then takes fewer.")
@click.option(
    "--oracle",
    default="ground-truth",
    show_default=True,
    help="Who answers: ground-truth, noisy:RATE, or noisy:FILE.csv with a confusion matrix.",
)
@click.option("--seconds-per-label", type=click.FloatRange(0), default=0.0, help="What a person needs, for the rows.")
@click.option(
    "--dataset",
    "texts",
    multiple=True,
    default=("digits",),
    help="digits, cifar10, cifar100, svhn, openml:ID, npz:FILE or folder:FOLDER; behind it @modified or @longtail, and "
    "@64 for the size of a folder's images. Again for each.  [default: digits]",
)
@DATA_DIR
@click.option(
    "--flip/--no-flip",
    default=None,
    help="Does a mirrored image keep its class?  [default: as the data set says]",
)
@click.option(
    "--strategy",
    "strategies",
    type=click.Choice(list(STRATEGIES)),
    multiple=True,
    default=("random",),
    help="Again for each.",
)
@click.option("--seeds", type=click.IntRange(1), help="Runs of each strategy, seeds 0, 1, ...  [default: 5]")
@click.option("--budget", type=click.IntRange(2), default=100, show_default=True, help="Labels in total.")
@click.option(
    "-o",
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder; what is finished in it is not run again.  [default: runs/simulate, or runs/STUDY]",
)
@click.option("--force", is_flag=True, help="Run again what is finished.")
@click.option("--engine", default="serial", show_default=True, help="Where cells run: serial, processes or ray.")
@click.option(
    "--engine-set", multiple=True, callback=pairs, metavar="NAME=VALUE", help="A setting of the engine: workers=2."
)
@click.option("--ray-address", help="A Ray cluster; implies --engine ray.")
@click.option("--track", type=click.Choice(["mlflow"]), help="Log every cell to MLflow.")
@click.option("--track-uri", default="", help="Where MLflow keeps it.  [default: as MLflow is configured]")
@click.option("--quiet", is_flag=True, help="No progress bars.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@learning_options
def simulate(
    study: str | None, oracle: str, seconds_per_label: float, texts: tuple[str, ...], flip: bool | None,
    strategies: tuple[str, ...], seeds: int | None, budget: int, out: Path | None, force: bool, engine: str,
    engine_set: dict[str, str], ray_address: str | None, track: str | None, track_uri: str, quiet: bool,
    as_json: bool, method: str | None, weights: str | None, query_size: int | None, loop: dict[str, str],
    method_set: dict[str, str], strategy_set: dict[str, str],
) -> None:  # fmt: skip
    """Run the same loop with the truth as the annotator, and compare strategies."""
    from annotator import simulated, simulating
    from annotator.asked import asked, choices
    from learner.benchmark import study as studies
    from learner.config import LoopSettings

    if study:
        _require_none_beside_study()
        plan = studies.read(study)
        plan = studies.with_seeds(plan, seeds) if seeds else plan
    else:
        settings = resolve(LoopSettings, studies.SIMULATED | {
            "query_size": query_size or 10, "budget": budget, "cold_start": "random"}, loop)  # fmt: skip
        flag = "" if flip is None else "@flip" if flip else "@no-flip"
        plan = asked(
            [text + flag for text in texts], method or "propagate", method_settings(method_set, weights),
            choices(strategies, strategy_set), seeds or 5, settings, oracle, seconds_per_label,
        )  # fmt: skip
    if ray_address:
        engine, engine_set = "ray", engine_set | {"address": ray_address}
    command = f"annotator {shlex.join(sys.argv[1:])}"
    how = simulating.How(engine, engine_set, force, not quiet, command, track or "", {"uri": track_uri})
    folder = out or Path("runs") / (Path(study).stem if study else "simulate")
    try:
        outcome = simulating.simulate(plan, folder, how)
    except KeyboardInterrupt:
        said = "what was not computed again has its old rows" if force else "the same command goes on"
        raise click.ClickException(f"stopped; what is finished stands in {folder}, {said}") from None
    made = simulated.pictures(outcome)
    click.echo(simulated.as_json(outcome) if as_json else simulated.told(outcome))
    if not as_json:
        click.echo(f"{outcome.folder / 'results.jsonl'} and {len(made)} pictures beside it written")


@click.command()
@click.option(
    "--dataset",
    default="digits",
    show_default=True,
    help="digits, cifar10, cifar100, svhn, openml:ID, npz:FILE or folder:FOLDER.",
)
@DATA_DIR
@click.option(
    "--backbone",
    "backbones",
    multiple=True,
    default=("pixels", "pca"),
    help="A net of timm, pca, pixels, autoencoder or dec:CLUSTERS; again for each.  [default: pixels, pca]",
)
@click.option("--sizes", default="", help="Sides in pixels to which a net sees the images brought: 32,224.")
@click.option("--weights", type=click.Path(exists=True, dir_okay=False), default=None, help="File with its weights.")
@click.option("--k", default=10, show_default=True, type=click.IntRange(1), help="Neighbours.")
@click.option("--batch", default=100, show_default=True, type=click.IntRange(1), help="Test images in a batch.")
@click.option(
    "--clusters",
    type=click.Choice(["dbscan", "optics"]),
    multiple=True,
    help="Also what it finds, with the elbow plot and the sizes of clusters.",
)
@click.option("--clusters-set", multiple=True, callback=pairs, metavar="NAME=VALUE", help="A setting of that.")
@click.option("--total", default=10_000, show_default=True, type=click.IntRange(2), help="Training images used.")
@click.option(
    "-o",
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("runs/features"),
    show_default=True,
)
def features(
    dataset: str, backbones: tuple[str, ...], sizes: str, weights: str | None, k: int, batch: int,
    clusters: tuple[str, ...], clusters_set: dict[str, str], total: int, out: Path,
) -> None:  # fmt: skip
    """How good are embeddings? Nearest neighbours and clusters against known classes, and what can be said without."""
    from annotator.measuring import Measuring, measure_all, resolved

    try:
        wanted = [int(size) for size in sizes.split(",") if size]
    except ValueError:
        raise click.BadParameter(f"--sizes {sizes!r} are no whole numbers; 32,224 for example") from None

    def say(name: str) -> None:
        click.echo(f"measuring {name} ...", err=True)

    command = f"annotator {shlex.join(sys.argv[1:])}"
    settings = Measuring(k, batch, total, resolved(clusters, clusters_set), command)
    click.echo(measure_all(dataset, backbones, wanted, settings, weights or "", out, say))


@click.command()
@click.option(
    "--strategy",
    "strategies",
    type=click.Choice(list(STRATEGIES)),
    multiple=True,
    help="Again for each.  [default: random, auto, margin, badge, and the project's own]",
)
@click.option("--seeds", type=click.IntRange(2), default=10, show_default=True, help="Runs of each strategy.")
@click.option("--force", is_flag=True, help="Run again what is finished.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
@INSTANCE
def replay(strategies: tuple[str, ...], seeds: int, force: bool, quiet: bool, instance: Path) -> None:
    """Play the finished project again with its own labels: would another strategy have needed fewer?"""
    from annotator import replaying
    from annotator.simulated import pictures, told
    from annotator.simulating import How

    how = How(force=force, bar=not quiet, command=f"annotator {shlex.join(sys.argv[1:])}")
    found = replaying.replay(instance, strategies, seeds, how)
    pictures(found.outcome)
    click.echo(f"{told(found.outcome)}\n\n{found.verdict}")


@click.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-o", "--out", type=click.Path(file_okay=False, path_type=Path), help="Folder.  [default: RUN/report]")
@click.option(
    "--value",
    type=click.Choice(["accuracy", "balanced_accuracy", "macro_f1"]),
    help="What is compared.  [default: as the run says, else balanced_accuracy under imbalance]",
)
@click.option(
    "--features",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A features.csv of annotator features, to show how good they are.",
)
def report(run: Path, out: Path | None, value: str | None, features: Path | None) -> None:
    """Write what a simulation found: one HTML page, and the same as Markdown, CSV, PNG and SVG."""
    from annotator.progress import bar
    from learner.benchmark.report.page import write

    with bar() as told:
        page = write(run, out or run / "report", value or "", features, told)
    click.echo(f"{page} written")
