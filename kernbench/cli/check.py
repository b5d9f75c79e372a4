"""`kernbench check`: the conformance of a plugin."""

import click

from kernbench.cli import completing
from kernbench.errors import counted


@click.command()
@click.argument("plugin", shell_complete=completing.family)
def check_command(plugin: str) -> int:
    """Run the conformance checks on a kernel family, installed or ./file.py:name.

    All of them run, and all failures are shown; a check that needs one that failed is skipped. A note is about what a
    family need not be able to do; none means that nothing was there to check. `run` warns of families that have not
    passed here.
    """
    from kernbench.cli.checked import remember
    from kernbench.host.process_state import changed_by_import
    from kernbench.kernels.conformance import check_family
    from kernbench.registry import families_beside, find

    found = find(plugin)
    results = check_family(found.family, families_beside(found))
    width = max(len(result.name) for result in results)
    for result in results:
        click.echo(f"{result.state:4}  {result.name:{width}}  {result.detail}".rstrip())
    if changed := changed_by_import(f"{found.plugin}@{found.version}", str(found.family.module)):
        click.echo(f"note: importing it changes the {', the '.join(changed)}; kernbench puts that back")
    failed = [result.name for result in results if result.failed]
    if failed:
        skipped = sum(result.state == "skip" for result in results)
        said = f"{len(failed)} of {counted(len(results), 'check')} failed: {', '.join(failed)}"
        click.echo(f"{plugin}: {said}{f'; {skipped} skipped' if skipped else ''}", err=True)
        return 2
    remember(found)
    tried = [result for result in results if result.state != "none"]
    notes = sum(result.state == "note" for result in tried)
    also = [counted(notes, "note")] * bool(notes) + [f"{len(results) - len(tried)} not tried"] * (tried != results)
    said = f" ({', '.join(also)})" if also else ""
    click.echo(f"{plugin}: all {counted(len(tried), 'check')} passed{said}")
    return 0
