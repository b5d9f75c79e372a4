"""`kernbench check`: the conformance of a plugin."""

import click

from kernbench.cli import completing
from kernbench.errors import counted


@click.command()
@click.argument("plugin", shell_complete=completing.family)
def check_command(plugin: str) -> int:
    """Run the conformance checks on a kernel family, installed or ./file.py:name."""
    from kernbench.host.process_state import changed_by_import
    from kernbench.kernels.conformance import check_family
    from kernbench.registry import find

    found = find(plugin)
    results = check_family(found.family)
    width = max(len(result.name) for result in results)
    for result in results:
        click.echo(f"{'ok  ' if result.passed else 'FAIL'}  {result.name:{width}}  {result.detail}".rstrip())
    if changed := changed_by_import(f"{found.plugin}@{found.version}", str(found.family.module)):
        click.echo(f"note: importing it changes the {', the '.join(changed)}; kernbench puts that back")
    failed = [result.name for result in results if not result.passed]
    if failed:
        click.echo(f"{plugin}: {len(failed)} of {counted(len(results), 'check')} failed: {', '.join(failed)}", err=True)
        return 2
    click.echo(f"{plugin}: all {counted(len(results), 'check')} passed")
    return 0
