"""`kernbench report`: the page with its tables and figures, or the table of a paper."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kernbench.cli import completing
from kernbench.cli.names import FAMILIES, STUDIES, family_names, several, several_option
from kernbench.cli.options import PATH, only_option

if TYPE_CHECKING:
    from kernbench.study.selection import Selection

FORMATS = ("html", "latex", "markdown", "csv")


@click.command()
@click.argument("studies", nargs=-1, metavar="[STUDY]...", callback=several, shell_complete=completing.studies)
@several_option("--study", "names", help=STUDIES)
@several_option("--plugin", "plugins", help=FAMILIES)
@only_option
@click.option(
    "--storage",
    "storages",
    multiple=True,
    help="Database URL, or a folder that `storage export` wrote; may be given several times.  "
    "[KERNBENCH_STORAGE, else sqlite:///kernbench.db]",
)
@click.option(
    "--out", type=PATH, help="Folder to write to.  [kernbench-report; a table of --format goes to standard output]"
)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="html",
    help="html: the page. The others: mean F1 by family and kernel size, for a paper.",
    show_default=True,
)
@click.option("--open", "opened", is_flag=True, help="Show the page in the browser.")
def report_command(
    studies: tuple[str, ...],
    names: tuple[str, ...],
    plugins: tuple[str, ...],
    only: "Selection",
    storages: tuple[str, ...],
    out: Path | None,
    form: str,
    opened: bool,
) -> None:
    """Write one self-contained HTML page with tables (CSV) and figures, from the database and its artifacts.

    Only of these studies, families and cells, if any are named: k_sweep, or k_sweep.v1.quick/siren.
    """
    if opened and form != "html":
        raise click.UsageError("--open shows the page; leave out --format, or --open")
    from kernbench.host.garbage import put_off

    with put_off():
        from kernbench.cli.terminal import console
        from kernbench.store.database.url import resolve_source

    urls = [resolve_source(storage) for storage in storages or (None,)]
    chosen = list(dict.fromkeys((*studies, *names)))
    if form != "html":
        console.write_matrix(urls, out, chosen, form, family_names(plugins), only)
        return
    page = console.write_report(urls, out, chosen, family_names(plugins), only)
    if opened:
        console.open_page(page)
