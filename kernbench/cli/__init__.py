"""Command line: parsing and printing only. Each command's module is imported when it is called."""

import errno
import importlib
import sys
from typing import Any

import click

from kernbench.cli.terminal.errors import complain, quiet_warnings, show
from kernbench.cli.terminal.output import steady_output

_COMMANDS = {
    "run": ("run", "Run the missing cells of studies."),
    "worker": ("worker", "One more worker on a study, from any machine."),
    "slurm": ("slurm", "Write a Slurm array script whose tasks are workers of a study."),
    "status": ("status", "Cells done, running, waiting and failed, and why."),
    "report": ("report", "One self-contained HTML page, with tables and figures; or the table of a paper."),
    "list": ("catalogue", "List plugins, studies, profiles, networks or backends."),
    "describe": ("describe", "Parameters, operations, receptive field and search space of a plugin."),
    "check": ("check", "Conformance of a plugin, installed or a local file."),
    "new-plugin": ("new_plugin", "A package for a kernel family of your own, which works from the start."),
    "evaluate": ("evaluate", "Score trained networks on any lines, or reproduce the published scores."),
    "detect": ("detect", "Detections of a trained network on lines without labels."),
    "data": ("data", "Simulate, import and export data sets, and show the cache."),
    "baselines": ("baselines", "Classical detectors under the protocol of the networks."),
    "bench": ("bench", "Time convolution, simulation, metrics and training side by side with the peers."),
    "analyze": ("analyze", "What trained kernels became, layer by layer; what kernel families can represent."),
    "cells": ("cells", "Train cells again, or drop them from their study; old trials stay."),
    "storage": ("storage", "Copy studies to another database; verify a database and its files; upgrade it."),
    "doctor": ("doctor", "Whether this machine, its device and the storage work, and what to do if not."),
    "dashboard": ("dashboard", "optuna-dashboard on the study database, for reading."),
}
_WORKING = ("run", "worker")  # what they are for is stored in a database
_FULL = (errno.ENOSPC, errno.EDQUOT)


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called, so that --help stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of a day's work."""
        return list(_COMMANDS)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:  # click's own items
        """Commands and options, from the table alone."""
        from click.shell_completion import CompletionItem

        known = _COMMANDS.items()
        named = [CompletionItem(name, help=line) for name, (_, line) in known if name.startswith(incomplete)]
        return named + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Names and help lines, from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_line) for name, (_, help_line) in _COMMANDS.items()])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        if cmd_name not in _COMMANDS:
            return None
        from kernbench.host.entry_points import entry_points_go_on

        ctx.with_resource(entry_points_go_on())
        module, _ = _COMMANDS[cmd_name]
        command = getattr(importlib.import_module(f"kernbench.cli.{module}"), f"{cmd_name.replace('-', '_')}_command")
        assert isinstance(command, click.Command)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:  # click's own triple
        """Offer a close match for an unknown command."""
        from kernbench.errors import close_match

        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"no command {args[0]!r}{close_match(args[0], _COMMANDS)}")
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="kernbench")
def cli() -> None:
    """Which way of parameterizing a convolution kernel works best, and how that changes with kernel size.

    kernbench run --plugin siren --study k_sweep
    """


def main() -> None:
    """Entry point: errors that a user can act on are one line, exit code 2; bugs keep their traceback."""
    quiet_warnings()
    with steady_output() as lost:
        code = _exit_code()
        error = lost()
        sys.exit(code if error is None else _without_output(error, code))


def _exit_code() -> int:
    """Run the command that was typed."""
    from kernbench.errors import KernbenchError

    try:
        code = cli.main(prog_name="kernbench", standalone_mode=False)
    except click.ClickException as error:
        show(error)
        return error.exit_code
    except KernbenchError as error:
        complain(error)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("kernbench: interrupted", err=True)
        return 130
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS) and error.filename:
            click.echo(f"kernbench: {error.filename}: {error.strerror}; ask its owner for the rights", err=True)
            return 2
        if error.errno not in _FULL:
            raise
        place = f"{error.filename} cannot be written" if error.filename else "the output cannot be written"
        click.echo(f"kernbench: {place}: {error.strerror}; free some space and give the command again", err=True)
        return 2
    return code if isinstance(code, int) else 0


def _without_output(error: Exception, code: int) -> int:
    """Exit code of a command whose output went nowhere: its own, unless its output is what it is for."""
    if not isinstance(error, OSError) or error.errno not in _FULL:  # `kernbench list studies | head -1`, or a hang-up
        return code
    said = f"the output cannot be written: {error.strerror}"
    if sys.argv[1:2] and sys.argv[1] in _WORKING:
        click.echo(f"kernbench: warning: {said}", err=True)
        return code
    click.echo(f"kernbench: {said}; free some space and give the command again", err=True)
    return 2
