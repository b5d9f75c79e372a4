"""Command line: parsing and printing only. Each command's module is imported when it is called."""

import importlib
import os
import sys
import warnings
from typing import Any

import click

_COMMANDS = {
    "run": ("run", "Run the missing cells of a study."),
    "worker": ("worker", "One more worker on a study, from any machine."),
    "slurm": ("slurm", "Write a Slurm array script whose tasks are workers of a study."),
    "status": ("status", "Cells done, running, waiting and failed, and why."),
    "report": ("report", "One self-contained HTML page, with tables and figures."),
    "list": ("catalogue", "List plugins, studies, profiles, networks or backends."),
    "describe": ("describe", "Parameters, operations, receptive field and search space of a plugin."),
    "check": ("check", "Conformance of a plugin, installed or a local file."),
    "evaluate": ("evaluate", "Score trained networks on any lines, or reproduce the published scores."),
    "data": ("data", "Simulate, import and export data sets, and show the cache."),
    "baselines": ("baselines", "Classical detectors under the protocol of the networks."),
    "bench": ("bench", "Time convolution, simulation, metrics and training side by side with the peers."),
    "storage": ("storage", "Copy studies to another database; verify a database and its files."),
    "dashboard": ("dashboard", "optuna-dashboard on the study database, for reading."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called, so that --help stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of a day's work."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, or a stand-in with its help line while only the list is shown."""
        if cmd_name not in _COMMANDS:
            return None
        module, help_line = _COMMANDS[cmd_name]
        if ctx.resilient_parsing or _only_help(ctx):
            return click.Command(cmd_name, help=help_line, short_help=help_line)
        command = getattr(importlib.import_module(f"kernbench.cli.{module}"), f"{cmd_name}_command")
        assert isinstance(command, click.Command)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:  # click's own triple
        """Offer a close match for an unknown command."""
        from kernbench.errors import close_match

        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"no command {args[0]!r}{close_match(args[0], _COMMANDS)}")
        return super().resolve_command(ctx, args)


def _only_help(ctx: click.Context) -> bool:
    return not ctx.meta.get("kernbench.dispatch", False)


class _DispatchingGroup(LazyGroup):
    def invoke(self, ctx: click.Context) -> Any:  # whatever the command returns
        ctx.meta["kernbench.dispatch"] = True
        return super().invoke(ctx)


@click.group(cls=_DispatchingGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="kernbench")
def cli() -> None:
    """Which way of parameterizing a convolution kernel works best, and how that changes with kernel size.

    kernbench run --plugin siren --study k_sweep
    """


def main() -> None:
    """Entry point: errors that a user can act on are one line, exit code 2; bugs keep their traceback."""
    from kernbench.errors import KernbenchError

    _quiet_warnings()
    try:
        code = cli.main(prog_name="kernbench", standalone_mode=False)
    except click.ClickException as error:
        _show(error)
        sys.exit(error.exit_code)
    except KernbenchError as error:
        click.echo(f"kernbench: {' '.join(str(error).split())}", err=True)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("kernbench: interrupted", err=True)
        sys.exit(130)
    except BrokenPipeError:  # `kernbench list studies | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    sys.exit(code if isinstance(code, int) else 0)


def _show(error: click.ClickException) -> None:
    """A mistyped command as one line, like every other error; `kernbench` alone shows its help."""
    if type(error).__name__ == "NoArgsIsHelpError":  # its message is the help page
        error.show()
        return
    message = _wanted(error) or " ".join(error.format_message().split())
    context = getattr(error, "ctx", None)
    command = "kernbench" if context is None else context.command_path
    click.echo(f"kernbench: {message.rstrip('.')}; see {command} --help", err=True)


def _wanted(error: click.ClickException) -> str:
    """What a number or a choice should have been, in the words of our own refusals; empty for all else."""
    if not isinstance(error, click.BadParameter) or error.param is None:
        return ""
    missing, option = isinstance(error, click.MissingParameter), isinstance(error.param, click.Option)
    got, known, _ = error.message.partition(" is not ")  # click keeps the value in its sentence only
    expected = _expected(error.param.type)
    if not expected or (option if missing else not known):
        return ""
    name = error.param.opts[0] if option else error.param.name
    return f"{name}: expected {expected}, got {'nothing' if missing else got}{_near(got, error.param.type)}"


def _expected(kind: "click.ParamType[Any]") -> str:
    if isinstance(kind, click.Choice):
        return f"one of {', '.join(map(str, kind.choices))}"
    if not isinstance(kind, click.types.IntParamType | click.types.FloatParamType):
        return ""
    low, high = getattr(kind, "min", None), getattr(kind, "max", None)
    bounds = [f">= {low}" if low is not None else "", f"<= {high}" if high is not None else ""]
    words = "a whole number" if isinstance(kind, click.types.IntParamType) else "a number"
    return f"{words} {' and '.join(filter(None, bounds))}".rstrip()


def _near(got: str, kind: "click.ParamType[Any]") -> str:
    from kernbench.errors import close_match

    return close_match(got.strip("'"), map(str, kind.choices)) if isinstance(kind, click.Choice) else ""


def _quiet_warnings() -> None:
    """Our own warnings as one line each; Optuna's "experimental" is no news to a user."""
    usual = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *rest: Any) -> None:
        if category.__name__ == "KernbenchWarning":
            click.echo(f"kernbench: warning: {message}", err=True)
        elif category.__name__ != "ExperimentalWarning":
            usual(message, category, *rest)

    warnings.showwarning = show  # type: ignore[assignment]  # same arguments, the rest passed on as they come
