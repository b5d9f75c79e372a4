"""`kernbench dashboard`: optuna-dashboard on loopback, for reading only."""

import click

from kernbench.cli.options import storage_option


@click.command()
@storage_option
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 picks a free one.")
def dashboard_command(storage: str | None, port: int) -> None:
    """Open optuna-dashboard on the study database, on this machine only (127.0.0.1), for reading only."""
    from kernbench.report.dashboard.serving import serve
    from kernbench.store.database.url import resolve_url

    def ready(address: str) -> None:
        click.echo(f"dashboard on {address}  (Ctrl-C stops it)")

    serve(resolve_url(storage), port, ready, lambda line: click.echo(f"kernbench: {line}", err=True))
