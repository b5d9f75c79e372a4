"""Errors and warnings on the terminal: one line each, with what was expected."""

import sys
import warnings
from typing import Any

import click


def show(error: click.ClickException) -> None:
    """A mistyped command as one line, like every other error; `kernbench` alone shows its help."""
    if type(error).__name__ == "NoArgsIsHelpError":  # its message is the help page
        error.show()
        return
    message = _wanted(error) or " ".join(error.format_message().split())
    context = getattr(error, "ctx", None)
    command = "kernbench" if context is None else context.command_path
    click.echo(f"kernbench: {message.rstrip('.')}; see {command} --help", err=True)


def complain(error: Exception) -> None:
    """An error of ours as one line."""
    click.echo(f"kernbench: {' '.join(str(error).split())}", err=True)


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


def quiet_warnings() -> None:
    """Our own warnings as one line each; Optuna's "experimental" is no news to a user.

    None of them is an error, whatever PYTHONWARNINGS says: a library's notice must not end the work of a night.
    """
    if any(option.startswith("error") for option in sys.warnoptions):
        kept = [each for each in warnings.filters if each[0] != "error"]
        warnings.resetwarnings()
        warnings.filters.extend(kept)  # type: ignore[attr-defined]  # a list, which the stubs hide
    usual = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *rest: Any) -> None:
        if category.__name__ == "KernbenchWarning":
            click.echo(f"kernbench: warning: {message}", err=True)
        elif category.__name__ != "ExperimentalWarning":
            usual(message, category, *rest)

    warnings.showwarning = show  # type: ignore[assignment]  # same arguments, the rest passed on as they come
