"""`kernbench status`: what is done, running, waiting and failed, and why."""

from typing import TYPE_CHECKING

import click

from kernbench.cli.names import FAMILIES, STUDIES, family_names, several_option
from kernbench.cli.options import only_option, storage_option

if TYPE_CHECKING:
    from kernbench.study.selection import Selection


@click.command()
@several_option("--study", "names", help=STUDIES)
@several_option("--plugin", "plugins", help=FAMILIES)
@only_option
@storage_option
def status_command(names: tuple[str, ...], plugins: tuple[str, ...], only: "Selection", storage: str | None) -> None:
    """Show the cells of the stored studies: done, running, waiting or failed, and why."""
    from kernbench.cli.terminal import console
    from kernbench.store.database.url import resolve_url, shown_url
    from kernbench.store.reading.naming import family_of
    from kernbench.store.reading.runs import asked_cells, stored_states, stored_studies

    url = resolve_url(storage)
    families = family_names(plugins)
    studies = stored_studies(url, names, families, some=True)
    if not studies:
        click.echo(f"no studies in {shown_url(url)} yet; try: kernbench run --plugin siren --study k_sweep")
        return
    only.check(cell for study in studies for cell in asked_cells(study))
    for study in studies:
        console.print_states(study, stored_states(study, only), only)
    stored = {family_of(study.study_name) for study in studies}
    for family in families:
        if family not in stored:
            click.echo(f"{family}: no study yet")
