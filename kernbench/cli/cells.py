"""`kernbench cells`: put cells back, to be trained again, or drop them from their study."""

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from kernbench.cli import completing
from kernbench.cli.names import FAMILIES, family_names, several, several_option
from kernbench.cli.options import only_option, storage_option
from kernbench.errors import counted

if TYPE_CHECKING:
    from kernbench.store.maintenance.superseding import Chosen, Superseded
    from kernbench.study.cell import CellState
    from kernbench.study.selection import Selection

DONE = {
    "redo": "put back; the next `kernbench run` trains {them} again, and until then {they} {are} in no mean",
    "drop": "dropped; a later `kernbench run` of the study asks for {them} again",
}
ASKED = {"redo": "put back, to be trained again", "drop": "dropped from the study"}
LEFT = {"running": "is running", "lost": "is left over by a worker that is gone; the next run takes it up"}
TO_COME = ("waiting", "missing")


@click.group(name="cells")
def cells_command() -> None:
    """Train cells of a study again, or drop them from it. Old trials stay; a new result replaces the scores."""


def _arguments(command: Callable[..., Any]) -> Callable[..., Any]:
    """What both commands are given."""
    for option in (
        click.option("--yes", is_flag=True, help="Do not ask."),
        storage_option,
        only_option,
        several_option("--plugin", "plugins", help=FAMILIES),
        click.argument(
            "studies", nargs=-1, required=True, metavar="STUDY...", callback=several, shell_complete=completing.studies
        ),
    ):
        command = option(command)
    return command


@cells_command.command()
@_arguments
def redo(studies: tuple[str, ...], **given: Any) -> int:
    """Put cells of STUDY back, so that the next run trains them again, from the start.

    Without --only all cells of the study that have ended. Running cells are never touched. The old trials stay, marked
    as superseded; a draw of a tuned study keeps its values.
    """
    return _change("redo", studies, **given)


@cells_command.command()
@_arguments
def drop(studies: tuple[str, ...], **given: Any) -> int:
    """Take cells out of STUDY: they are neither run nor reported. A later run of the study asks for them again.

    Without --only all cells of the study. Running cells are never touched. The old trials stay, marked as superseded.
    """
    return _change("drop", studies, **given)


def _change(
    what: str, names: tuple[str, ...], plugins: tuple[str, ...], only: "Selection", storage: str | None, yes: bool
) -> int:
    from kernbench.store.database.url import resolve_url
    from kernbench.store.maintenance.superseding import choose_cells, supersede
    from kernbench.store.reading.runs import asked_cells, stored_studies

    url = resolve_url(storage)
    found = stored_studies(url, names, family_names(plugins))
    only.check(cell for study in found for cell in asked_cells(study))
    chosen = [choose_cells(study, only, what) for study in found]
    count = sum(len(each.cells) for each in chosen)
    if count and not yes and not _is_terminal():
        raise click.UsageError(
            f"{counted(count, 'cell')} would be {ASKED[what]}, and there is no terminal to ask on; give --yes"
        )
    for each in chosen:
        _print_chosen(each, what)
    if not count:
        click.echo(f"no cell to {what}")
        return 0
    if not yes and not _confirmed(count, names, what, whole=not only):
        click.echo("nothing was changed")
        return 1
    done = supersede(url, [each for each in chosen if each.cells], what, lambda line: click.echo(line, err=True))
    _print_done(done, what)
    return 0


def _print_done(done: "Superseded", what: str) -> None:
    for study, cells in done.cells.items():
        them, they, are = ("it", "it", "is") if len(cells) == 1 else ("them", "they", "are")
        if cells:
            click.echo(f"{study}: {_counted(cells)} {DONE[what].format(them=them, they=they, are=are)}")
    for study, cells in done.left.items():
        if cells:
            click.echo(f"{study}: left as it is, because it has changed meanwhile: {'; '.join(cells)}")


def _is_terminal() -> bool:
    return sys.stdin.isatty()


def _confirmed(count: int, names: Sequence[str], what: str, *, whole: bool) -> bool:
    """Ask; for whole studies, which is more than one may have meant, by their names."""
    cells = "this cell" if count == 1 else counted(count, "cell")
    if not whole:
        return click.confirm(f"{what} {cells}?")
    typed = click.prompt(f"{what} {cells}, all of {', '.join(names)}? Type the name to confirm", default="")
    return [name.strip() for name in typed.split(",")] == list(names)


def _print_chosen(chosen: "Chosen", what: str) -> None:
    from kernbench.cli.terminal.console import SHOWN_CELLS

    click.echo(f"{chosen.study}: {_counted(chosen.cells)} to be {ASKED[what]}")
    for state in chosen.cells[:SHOWN_CELLS]:
        click.echo(f"  {state.cell}  {_state_text(state)}")
    if len(chosen.cells) > SHOWN_CELLS:
        click.echo(f"  ... and {len(chosen.cells) - SHOWN_CELLS} more")
    for state in [state for state in chosen.left if state.state in LEFT][:SHOWN_CELLS]:
        click.echo(f"  {state.cell}  {LEFT[state.state]}; it is left as it is")
    if waiting := [state for state in chosen.left if state.state in TO_COME]:
        click.echo(f"  {_counted(waiting)} not trained yet, which the next run trains anyway")


def _state_text(state: "CellState") -> str:
    score = "" if state.score is None else f", F1 {state.score:.3f} (validation)"
    return f"{state.state}{score}{f': {state.detail}' if state.detail else ''}"


def _counted(cells: Sequence[object]) -> str:
    return counted(len(cells), "cell")
