"""`kernbench report`: the page, its tables and its figures."""

from pathlib import Path

import click

from kernbench.cli.options import storage_option


@click.command()
@click.option("--study", "names", multiple=True, help="Only this study; may be given several times.")
@storage_option
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write to.  [kernbench-report]")
def report_command(names: tuple[str, ...], storage: str | None, out: Path | None) -> None:
    """Write one self-contained HTML page with tables (CSV) and figures, from the database and its artifacts."""
    from kernbench.host.garbage import put_off

    with put_off():
        from kernbench.cli.terminal import console
        from kernbench.store.database.url import resolve_url

    console.write_report(resolve_url(storage), out, names)
