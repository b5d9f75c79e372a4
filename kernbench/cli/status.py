"""`kernbench status`: what is done, running, waiting and failed, and why."""

import click

from kernbench.cli.options import storage_option


@click.command()
@click.option("--study", "names", multiple=True, help="Only this study; may be given several times.")
@storage_option
def status_command(names: tuple[str, ...], storage: str | None) -> None:
    """Show every cell of the stored studies: done, running, waiting or failed, and why."""
    from kernbench.cli.terminal import console
    from kernbench.store.database.url import resolve_url, shown_url
    from kernbench.store.reading.runs import stored_states, stored_studies

    url = resolve_url(storage)
    studies = stored_studies(url, names)
    if not studies:
        click.echo(f"no studies in {shown_url(url)} yet; try: kernbench run --plugin siren --study k_sweep")
    for study in studies:
        console.print_states(study, stored_states(study))
