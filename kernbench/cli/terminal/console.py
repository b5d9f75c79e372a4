"""What the command line prints: plans, states, results; live on a terminal, plain lines in a log."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kernbench.cli.terminal.budgets import print_worked_out
from kernbench.cli.terminal.progress import LiveObserver, PlainObserver, TerminalObserver
from kernbench.cli.terminal.searches import is_tuned, print_chosen, print_searches
from kernbench.errors import counted
from kernbench.study.columns import TERMINAL
from kernbench.study.selection import ALL, Selection
from kernbench.study.task import columns_shown
from kernbench.study.time_left import time_left
from kernbench.ulm.scoring.scores import is_silent

if TYPE_CHECKING:
    import optuna

    from kernbench.engine.fleet.runner import Plan, Result
    from kernbench.report.numbers.points import Point
    from kernbench.study.cell import CellState
    from kernbench.study.study import Study

STATE_STYLES = {"done": "green", "failed": "red", "diverged": "red", "lost": "yellow", "running": "cyan"}
SHOWN_CELLS = 40
GAP = 2  # letters between the columns of a table


@contextmanager
def observer(study: "Study | str") -> Iterator[LiveObserver]:
    """Progress for a study, or for several of this name: a live display on a terminal, plain lines otherwise."""
    name = study if isinstance(study, str) else study.key
    console = Console(stderr=True)
    if console.is_terminal:
        live = TerminalObserver(name, console)
        with live.display:
            yield live
    else:
        yield PlainObserver(name)


def print_plan(study: "Study", plan: "Plan") -> None:
    """What `run` would do, for --dry-run."""
    counts = _counts(plan.states)
    cells = f"{counted(len(plan.states), 'cell')}{_selected(plan.only)}{f' ({counts})' if counts else ''}"
    click.echo(f"{study.key}: {cells}; would run {plan.to_run}")
    for line in [] if study.tuning is None else study.tuning.lines():
        click.echo(f"  {line}")
    print_worked_out(study, plan.only)
    for state in plan.states[:SHOWN_CELLS]:
        would = state.cell in plan.queue or state.state == "waiting"
        click.echo(f"  {'run ' if would else 'skip'}  {state.cell}  {state.state}{_detail(state)}")
    _more(len(plan.states))
    _print_differences(plan, dry=True)


def print_outcome(study: "Study", result: "Result", url: str) -> None:
    """How a run ended."""
    from kernbench.study.cell import ENDED

    _print_differences(result.plan)
    if not result.states:
        click.echo(f"{study.key}: no cell{_selected(result.plan.only)}; nothing to run")
        return
    counts = _counts(result.states)
    if all(state.state in ENDED for state in result.states):
        word = "all complete" if result.plan.to_run else "all cells were complete already"
        click.echo(f"{study.key}: {word} ({counts})")
        return
    click.echo(f"{study.key}: {counts}")
    for state in result.states:
        if state.state in ("failed", "lost"):
            click.echo(f"  {state.cell}: {state.detail}")
    held = [state for state in result.states if state.state == "failed" and not state.retry]
    if held:
        click.echo(
            f"  {counted(len(held), 'failed cell')} {_are(held)} tried again only with --retry-failed; "
            "tracebacks are attached to the trials (kernbench dashboard)"
        )
    if result.stopped:
        from kernbench.store.database.url import shown_url

        click.echo(f"stopped; give the same command again to continue (storage {shown_url(url)})")


def print_states(study: "optuna.Study", states: Sequence["CellState"], only: Selection = ALL) -> None:
    """One study for `status`: the cells that are meant."""
    counts = f"{counted(len(states), 'cell')}{_selected(only)}{f' ({_counts(states)})' if states else ''}"
    stdout().print(Text(f"{study.study_name}: {counts}", style="bold"))
    if not states:
        return
    if left := time_left(states):
        click.echo(f"  {left.text}")
    if is_tuned(study):
        print_searches(study, states)
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    shown = [state for place, state in enumerate(states) if place < SHOWN_CELLS or state.state == "running"]
    for state in shown:
        score = "" if state.score is None else f"F1 {state.score:.3f} (validation)"
        if state.score is not None and (is_silent(state.score) if state.plateau is None else state.plateau):
            score += ", plateau: no better than a constant output"
        score = ", ".join(filter(None, [score, state.sizes]))
        style = STATE_STYLES.get(state.state, "")
        table.add_row(" ", Text(state.cell), Text(state.state, style=style), Text(_detail(state).lstrip(": ") or score))
    stdout().print(table)
    _more(len(states), len(shown))


def print_results(study: "Study", url: str, only: Selection = ALL) -> None:
    """The results table of a study: F1 with interval, floor, parameters, time; below it what that covers."""
    from kernbench.report.numbers.comparison import comparisons
    from kernbench.report.numbers.detectors import baseline_levels, classical
    from kernbench.report.numbers.left_out import left_out
    from kernbench.report.numbers.sentences import plateau_text, spread_text
    from kernbench.store.reading.runs import load_runs

    every = load_runs(url, [study.key], only=only)
    if not every:
        return
    comparison = comparisons(every)[0]
    points = comparison.scored
    if not points:
        return
    axes = list(points[0].params)
    lines, tolerance = counted(points[0].f1().shape[1], "test line"), counted(comparison.tolerance, "sample")
    title = f"{study.key}: F1 at {tolerance} on {lines}"
    sizes = {"kernel_size": "K", "channels": "channels"} if any(run.network for run in every) else {}
    names = [*(axis.replace("_", " ") for axis in axes), *sizes.values(), "seeds"]
    names += ["F1", "95 % interval", "blind floor", "skill"]
    names += [*(column.label for column in columns_shown(TERMINAL)), "time"]
    rows = ([*_named(point, axes, sizes), *_row(point)] for point in sorted(points, key=_place))
    print_table(title, names, rows)
    if levels := baseline_levels(classical(comparison), comparison.tolerance):
        scores = ", ".join(f"{name} {f1:.3f}" for name, f1 in levels.items())
        click.echo(f"F1 of classical detectors on the same lines: {scores}")
    click.echo(spread_text(comparison))
    for line in [*plateau_text(points), *left_out(comparison)]:
        click.echo(line)
    print_chosen(every)


def write_report(
    urls: Sequence[str],
    out: Path | None,
    names: Sequence[str] = (),
    families: Sequence[str] = (),
    only: Selection = ALL,
    *,
    always: bool = True,
) -> Path:
    """Write the report on these databases and say where it is.

    Args:
        urls: of databases; one that is named twice counts once.
        out: folder; by default `kernbench-report`, unless that shows other databases.
        names: studies; all by default.
        families: kernel families; all by default.
        only: which cells; all by default.
        always: also where the page there was made from the very same cells.

    Returns:
        Path of the page.

    Raises:
        KernbenchError: there are no cells, one of the databases is not there, or matplotlib cannot be imported;
            nothing was written.
        StorageError: the folder cannot be written, or holds a file of the user that would be replaced.
    """
    from kernbench.host.garbage import put_off
    from kernbench.plotting.loading import check_matplotlib

    with put_off():
        check_matplotlib()
        from kernbench.report.page import html
        from kernbench.report.page.default_folder import default_folder
        from kernbench.report.page.manifest import PAGE, names_in
        from kernbench.store.reading.several import distinct, load_several

    urls = distinct(urls)
    runs = load_several(urls, names, ["test"], families, only)
    folder, why = (out, "") if out is not None else default_folder(urls)
    current = not always and html.is_current(runs, folder)
    if not current:
        html.write_report(runs, folder, names_in(folder, urls))
    about = f"; of cells{_selected(only)} alone" if only else ""
    click.echo(f"report: {folder / PAGE}{' (up to date)' if current else ''}{about}{f'; {why}' if why else ''}")
    return folder / PAGE


def write_matrix(
    urls: Sequence[str],
    out: Path | None,
    names: Sequence[str],
    form: str,
    families: Sequence[str] = (),
    only: Selection = ALL,
) -> None:
    """The table of a paper on these databases: on standard output, or in a file of the folder `out`.

    Raises:
        KernbenchError: as for `write_report`.
    """
    from kernbench.host.garbage import put_off

    with put_off():
        from kernbench.report.page import paper
        from kernbench.report.page.manifest import names_in
        from kernbench.store.reading.several import distinct, load_several

    urls = distinct(urls)
    runs = load_several(urls, names, [], families, only)
    if out is None:
        click.echo(paper.matrix_text(runs, form), nl=False)
    else:
        click.echo(f"report: {paper.write_matrix(runs, form, out, names_in(out, urls))}")


def open_page(page: Path) -> None:
    """Show a page in the user's browser, or say that there is none."""
    import webbrowser

    try:
        shown = webbrowser.open(page.resolve().as_uri())
    except (webbrowser.Error, OSError):
        shown = False
    if not shown:
        click.echo(f"no browser was found; open {page} in one", err=True)


def print_cache(uses: Mapping[str, str] | None = None) -> None:
    """The data cache, for `data info`.

    Args:
        uses: digest -> who uses these lines; None where that is not known.
    """
    from kernbench.ulm.data.recipe import cache_folder, describe_cache

    entries = describe_cache()
    size = sum(entry.size_bytes for entry in entries) / 1e6
    click.echo(f"{cache_folder()}: {counted(len(entries), 'split')}, {size:,.1f} MB")
    last = {entry.digest: entry for entry in entries}
    for entry in entries:
        window = entry.recipe.get("window") or "whole"
        population, seed = entry.recipe.get("population"), entry.recipe.get("seed")
        unusual = "".join(f", {entry.recipe[name]}" for name in ("pulse", "bubbles") if name in entry.recipe)
        facts = f"{counted(entry.lines, 'line')}, window {window}, {population}{unusual}, seed {seed}"
        state = f"DAMAGED ({entry.problem}); it is simulated again when needed" if entry.problem else f"{facts}, intact"
        click.echo(f"  {entry.digest} {entry.split:10}  {entry.size_bytes / 1e6:8.1f} MB  {state}")
        if uses is not None and last[entry.digest] is entry:
            click.echo(f"  {' ' * len(entry.digest)} used by {uses.get(entry.digest, 'no study of the database')}")


def _named(point: "Point", axes: Iterable[str], sizes: Iterable[str]) -> list[str]:
    """Values of a point on the axes, and sizes of its network that were worked out."""
    network = point.scored[0].network
    return [*(str(point.params.get(axis, "")) for axis in axes), *(str(network.get(name, "")) for name in sizes)]


def _row(point: "Point") -> list[str]:
    interval, floor = point.interval, max(point.floors())
    assert interval is not None
    return [
        str(interval.seeds),
        f"{interval.mean:.3f}",
        "" if math.isnan(interval.low) else f"{interval.low:.3f} to {interval.high:.3f}",
        "" if math.isnan(floor) else f"{floor:.3f}",
        "" if math.isnan(floor) else f"{point.skill:+.2f}",
        *(column.text(point.scored[0].values.get(column.name)) for column in columns_shown(TERMINAL)),
        f"{point.mean('seconds'):.0f} s",
    ]


def _place(point: "Point") -> list[tuple[float, str]]:
    """Numbers by size, then texts."""
    values = point.params.values()
    return [(float(v), "") if isinstance(v, int | float) else (math.inf, str(v)) for v in values]


def print_table(title: str | None, names: Sequence[str], rows: Iterable[Sequence[str]], left: int = 0) -> None:
    """A table on standard output.

    Args:
        title: above it; None for none.
        names: of the columns.
        rows: a text for each column; nothing in them is markup.
        left: so many columns are set to the left, the others to the right.
    """
    content, out = [list(map(Text, row)) for row in rows], stdout()
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0))
    widths = [max([cell_len(name), *(row[place].cell_len for row in content)]) for place, name in enumerate(names)]
    narrow = sum(widths) + GAP * (len(names) - 1) > out.width
    for place, name in enumerate(names):
        # on a narrow terminal headings take several lines; numbers never do
        heading = Text(name.replace(" ", "\n") if narrow else name)
        table.add_column(heading, justify="left" if place < left else "right", no_wrap=True)
    for row in content:
        table.add_row(*row)
    if title:
        out.print(Text(title, style="italic"), soft_wrap=True)  # of a table, it would be as narrow as the table
    out.print(table)


def stdout() -> Console:
    """Standard output; a log is wide enough for every table."""
    console = Console()
    return console if console.is_terminal else Console(width=140)


def _counts(states: Sequence["CellState"]) -> str:
    kinds = Counter(state.state for state in states)
    return ", ".join(f"{count} {kind}" for kind, count in kinds.items())


def _selected(only: Selection) -> str:
    return f" with {only.text}" if only else ""


def _detail(state: "CellState") -> str:
    return f": {state.detail}" if state.detail else ""


def _more(count: int, shown: int = SHOWN_CELLS) -> None:
    if count > shown:
        click.echo(f"  ... and {count - shown} more")


def _are(cells: Sequence[object]) -> str:
    return "is" if len(cells) == 1 else "are"


def _print_differences(plan: "Plan", dry: bool = False) -> None:
    if plan.added:
        done = "would be" if dry else "was" if len(plan.added) == 1 else "were"
        click.echo(f"  {counted(len(plan.added), 'new cell')} {done} added to the stored study")
    if plan.left_out:
        many = counted(len(plan.left_out), "stored cell")
        click.echo(f"  {many} {_are(plan.left_out)} no longer in the study file, and kept")
