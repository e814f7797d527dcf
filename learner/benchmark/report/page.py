"""A report as files. Whatever comes out of rows is escaped; the page loads nothing from anywhere."""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from textwrap import fill
from typing import Any

from learner.benchmark.groups import Models, by_model, by_setting, imbalanced
from learner.benchmark.plot import plot_curves, plot_selection, plot_time
from learner.benchmark.report.classes import class_table, features_table
from learner.benchmark.report.tables import Table, model_tables, overall_tables, tables
from learner.benchmark.run import ABOUT, RESULTS, of_last_command, read
from learner.benchmark.statistics import left_out, paired
from learner.benchmark.summary import curves
from learner.errors import LearnerError
from learner.events import Event, Progress

FACTS = "about.json"
FIGURES = ("png", "svg")
WIDTH = 70  # characters of a line above a figure
STYLE = """
:root{color-scheme:light dark;--ink:#1c2733;--quiet:#5c6a78;--paper:#fff;--line:#dfe4ea;--accent:#2563a8}
@media (prefers-color-scheme:dark){:root{--ink:#e4e9ee;--quiet:#9aa7b4;--paper:#14191f;--line:#2c3641;--accent:#7fb3ea}}
body{margin:0 auto;max-width:68rem;padding:2rem 1rem 4rem;background:var(--paper);color:var(--ink);
font:1rem/1.55 system-ui,sans-serif}
h1{margin:0 0 .25rem}h2{margin:3rem 0 .5rem;border-bottom:2px solid var(--accent)}h3{margin:2rem 0 .3rem}
.quiet,figcaption,caption{color:var(--quiet);font-size:.9rem;text-align:left}code{font-size:.9rem;overflow-wrap:anywhere}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.9rem}
th,td{padding:.3rem .8rem .3rem 0;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
th:first-child,td:first-child{text-align:left}figure{margin:1rem 0}
td.heat{background:color-mix(in srgb,var(--accent) calc(60% * var(--heat)),transparent);padding:.3rem .4rem}
figure svg{max-width:100%;height:auto;background:#fff;border-radius:6px}
"""


@dataclass(frozen=True)
class Part:
    """One setting of a run, or models that share data and strategy."""

    prefix: str  # of its files
    name: str
    value: str
    seeds: str
    rows: list[dict[str, Any]]
    tables: list[Table]
    figures: dict[str, str]  # title -> file name without its ending
    by: str = "strategy"

    def seeds_of(self, arm: str) -> str:
        """Seeds of an arm; of all where there is none of this name."""
        own = {int(row["seed"]) for row in self.rows if str(row[self.by]) == arm}
        return " ".join(map(str, sorted(own or {int(row["seed"]) for row in self.rows})))


def write(
    run: Path,
    out: Path,
    value: str = "",
    features: Path | None = None,
    report: Callable[[Event], None] = lambda event: None,
) -> Path:
    """Write the whole report of a run's last command into `out`; returns the page. `report` hears how far it is.

    With `features`, a features.csv, also how good those are. LearnerError where there is nothing to report.
    """
    about = _about(run)
    rows, earlier = of_last_command(read(run / RESULTS), about)
    if not rows:
        others = f" of its last command, only {earlier} of earlier ones" if earlier else ""
        raise LearnerError(
            f"{run} has no {RESULTS} with complete runs{others}; make one with annotator simulate --out {run}"
        )
    about |= {"left_out": _of_earlier(earlier)} if earlier else {}
    out.mkdir(parents=True, exist_ok=True)
    parts = _parts(rows, value or str(about.get("value") or ""), out, str(about.get("command", "")), report)
    whole = overall_tables([(part.rows, part.value) for part in parts if part.by == "strategy"])
    whole += ([features_table(features)] if features else []) + _missing(about)
    csvs = {f"{part.prefix}{table.name}.csv": _with_seeds(table, part) for part in parts for table in part.tables}
    csvs |= {f"{table.name}.csv": table for table in whole}
    for name, table in csvs.items():
        _write_csv(out / name, table)
    (out / "report.md").write_text(markdown(about, parts, whole), encoding="utf-8")
    page = out / "report.html"
    page.write_text(html(about, parts, out, whole), encoding="utf-8")
    figures = [f"{file}.{ending}" for part in parts for file in part.figures.values() for ending in FIGURES]
    _finish(out, _facts_of_files(about, parts) | {"written": sorted([*csvs, *figures])})
    return page


def _finish(out: Path, facts: Mapping[str, Any]) -> None:
    """Write about.json, and remove what only the report before had: it is of other cells."""
    for name in _written(out) - {*facts["written"]}:
        (out / name).unlink(missing_ok=True)
    (out / FACTS).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def _written(out: Path) -> set[str]:
    """Tables and figures that about.json names in this very folder; none where it cannot be read."""
    try:
        names = json.loads((out / FACTS).read_text(encoding="utf-8"))["written"]
        return {name for name in names if Path(name).name == name and Path(name).suffix[1:] in ("csv", *FIGURES)}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _parts(
    rows: list[dict[str, Any]], value: str, out: Path, command: str, report: Callable[[Event], None]
) -> list[Part]:
    """Models side by side, then each setting; judged by `value`, else by what suits the data."""
    models, settings = by_model(rows), by_setting(rows)
    parts: list[Part] = []
    for number, (name, found) in enumerate(models.items(), 1):
        report(Progress("drawing", len(parts), len(models) + len(settings)))
        parts.append(_of_models(f"models-{number}-", name, found, value or main_value(found.rows), out, command))
    for number, (name, own) in enumerate(settings.items(), 1):
        report(Progress("drawing", len(parts), len(models) + len(settings)))
        parts.append(_part(f"{number}-", name, own, value or main_value(own), out, command))
    report(Progress("drawing", len(parts), len(parts)))
    return parts


def main_value(rows: Sequence[Mapping[str, Any]]) -> str:
    """What a setting is judged by: balanced accuracy under imbalance."""
    return "balanced_accuracy" if imbalanced(rows) else "accuracy"


def _of_earlier(number: int) -> str:
    """What the folder has beside the cells of its last command."""
    several = f"{number} finished runs" if number > 1 else "1 finished run"
    return (
        f"Left out: {several} of earlier commands in {RESULTS}; a command that names all of them shows them together."
    )


def _about(run: Path) -> dict[str, Any]:
    try:
        found = json.loads((run / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    return found if isinstance(found, dict) else {"title": run.resolve().name}


def _facts_of_files(about: Mapping[str, Any], parts: Sequence[Part]) -> dict[str, Any]:
    """about.json: what the files are of that begin with 1-, 2- ..."""
    facts = {key: about.get(key, "") for key in ("title", "question", "command", "created")}
    settings = {
        part.prefix: {
            "setting": part.name, "value": part.value, "seeds": sorted({row["seed"] for row in part.rows}),
            "tables": {table.name: f"{table.title}. {table.note}" for table in part.tables},
        }
        for part in parts
    }  # fmt: skip
    return facts | {"files": settings}


def _part(prefix: str, name: str, rows: list[dict[str, Any]], value: str, out: Path, command: str) -> Part:
    rows, seeds, others = paired(rows)
    said = _seeds(seeds, others)
    found = {str(key[0]): points for key, points in curves(rows, value=value).items()}
    figures = {"Learning curves": f"{prefix}curves", "What was asked": f"{prefix}selection"}
    timed = any(row.get("human_seconds") for row in rows)
    figures |= {"Over time": f"{prefix}time"} if timed else {}
    title = heading(f"{name}, {said}", command)
    plot_curves(found, _files(out, f"{prefix}curves"), title, value)
    plot_selection(rows, _files(out, f"{prefix}selection"), f"what was asked: {title}")
    if timed:
        plot_time(rows, _files(out, f"{prefix}time"), title, value)
    return Part(prefix, name, value, said, rows, [*tables(rows, value), class_table(rows)], figures)


def _of_models(prefix: str, name: str, models: Models, value: str, out: Path, command: str) -> Part:
    """A line for each model; what it reaches with all labels lies across."""
    rows, seeds, others = paired(models.rows, "model")
    said = _seeds(seeds, others, "model")
    few = [row for row in rows if not row.get("all")] or rows
    found = {str(key[0]): points for key, points in curves(few, ("model",), value).items()}
    full = {str(key[0]): points for key, points in curves(models.full, ("model",), value).items()}
    levels = {model: sum(p.mean * p.n for p in points) / sum(p.n for p in points) for model, points in full.items()}
    title = heading(f"{name}, {said}", command)
    plot_curves(found, _files(out, f"{prefix}curves"), title, value, levels)
    figures = {"One line a model": f"{prefix}curves"}
    return Part(prefix, f"Models: {name}", value, said, rows, model_tables(rows, value), figures, "model")


def _files(out: Path, name: str) -> list[Path]:
    """Of a figure, one of each kind."""
    return [out / f"{name}.{ending}" for ending in FIGURES]


def _seeds(shared: Sequence[int], others: Sequence[int], by: str = "strategy") -> str:
    """What is compared, and which seeds are not."""
    if not shared:
        every = "strategies" if by == "strategy" else f"{by}s"
        return f"{len(others)} seeds, none of which all {every} have: no tests"
    few = "a single seed: no intervals, no tests"
    said = f"{len(shared)} seeds, {shared[0]} to {shared[-1]}" if len(shared) > 1 else few
    return f"{said}; left out: {left_out(others, by)}" if others else said


def heading(said: str, command: str) -> str:
    """Of a figure that may be seen alone; a dollar would begin a formula."""
    return "\n".join(fill(line, WIDTH, break_on_hyphens=False) for line in (said, command) if line).replace("$", r"\$")


def _with_seeds(table: Table, part: Part) -> Table:
    """Each line ends in the seeds that it is of."""
    lines = tuple((*line, part.seeds_of(line[0])) for line in table.rows)
    return replace(table, columns=(*table.columns, "seeds"), rows=lines)


def _write_csv(path: Path, table: Table) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([table.columns, *table.rows])


def _missing(about: Mapping[str, Any]) -> list[Table]:
    listed = about.get("missing") or ()
    items = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    lacking = tuple((str(item.get("cell", "")), str(item.get("reason", ""))) for item in items)
    return [Table("missing", "Not measured", ("run", "why"), lacking)] if lacking else []


def markdown(about: Mapping[str, Any], parts: Sequence[Part], whole: Sequence[Table]) -> str:
    """The report for a page that shows Markdown."""
    lines = [f"# {about.get('title', '')}", "", *_facts(about), ""]
    for part in parts:
        lines += [f"## {part.name}", "", f"{part.value.replace('_', ' ')}, {part.seeds}.", ""]
        lines += [f"![{title}]({file}.png)\n" for title, file in part.figures.items()]
        for table in part.tables:
            lines += [f"### {table.title}", "", *_markdown(table), "", table.note, ""]
    for table in whole:
        lines += [f"## {table.title}", "", *_markdown(table), "", table.note, ""]
    return "\n".join(lines)


def _markdown(table: Table) -> list[str]:
    rows = [table.columns, tuple("---" for _ in table.columns), *table.rows]
    return ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in rows]


def _facts(about: Mapping[str, Any]) -> list[str]:
    """What stands beside every number."""
    said = [str(about[key]) for key in ("question", "created", "left_out") if about.get(key)]
    return said + ([f"`{about['command']}`"] if about.get("command") else [])


def html(about: Mapping[str, Any], parts: Sequence[Part], out: Path, whole: Sequence[Table]) -> str:
    """The whole page."""
    title = escape(str(about.get("title", "")))
    facts = "".join(f"<p class=quiet>{escape(fact.strip('`'))}</p>" for fact in _facts(about))
    body = "".join(_section(part, str(about.get("command", "")), out) for part in parts)
    body += "".join(f"<h2>{escape(table.title)}</h2>{_html(table)}" for table in whole)
    return (
        f'<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width">'
        f"<title>{title}</title><style>{STYLE}</style><h1>{title}</h1>{facts}{body}</html>\n"
    )


def _section(part: Part, command: str, out: Path) -> str:
    said = f"{part.value.replace('_', ' ')}, {part.seeds}"
    caption = escape(f"{said}; {command}" if command else said)
    figures = "".join(
        f"<figure>{_inline(out / f'{file}.svg', title)}<figcaption>{escape(title)}: {caption}</figcaption></figure>"
        for title, file in part.figures.items()
    )
    found = "".join(f"<h3>{escape(table.title)}</h3>{_html(table, caption)}" for table in part.tables)
    return f"<h2>{escape(part.name)}</h2><p class=quiet>{escape(said)}</p>{figures}{found}"


def _inline(path: Path, title: str) -> str:
    """An SVG without what stands before its element, with a name for those who cannot see it."""
    text = path.read_text(encoding="utf-8")
    return text[text.index("<svg") :].replace("<svg", f'<svg role="img" aria-label="{escape(title)}"', 1)


def _html(table: Table, caption: str = "") -> str:
    head = "".join(f"<th scope=col>{escape(column)}</th>" for column in table.columns)
    heats = table.heat or ((),) * len(table.rows)
    rows = "".join(f"<tr>{_cells(row, heat)}</tr>" for row, heat in zip(table.rows, heats, strict=True))
    note = f"{escape(table.note)} {caption[:1].upper()}{caption[1:]}".strip()
    return (
        f'<div class=scroll tabindex=0 role=region aria-label="{escape(table.title)}"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div><p class=quiet>{note}</p>"
    )


def _cells(row: Sequence[str], heat: Sequence[float]) -> str:
    """The last ones shaded by their heat; the number says the same."""
    plain = len(row) - len(heat)
    shaded = [f"<td class=heat style=--heat:{of:.2f}>" for of in heat]
    return "".join(f"{tag}{escape(cell)}</td>" for tag, cell in zip(["<td>"] * plain + shaded, row, strict=True))
