"""Progress of one task on standard error: a bar on a terminal, in a log what the command wants there."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

Progress = Callable[[int, int], None]

SECONDS_BETWEEN_LINES = 5.0


def nothing(_label: str) -> Progress:
    """Nothing in a log."""
    return lambda _done, _total: None


def one_line(label: str) -> Progress:
    """One line in a log, when the task begins."""
    click.echo(f"  {label}", err=True)
    return nothing(label)


def now_and_then(label: str) -> Progress:
    """A line in a log every few seconds: how many lines are done."""
    last = time.monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last > SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            click.echo(f"  {label} {done:,} of {total:,} lines", err=True)

    return progress


@contextmanager
def bar(label: str, in_log: Callable[[str], Progress] = nothing) -> Iterator[Progress]:
    """What a task calls as progress(done, total).

    Args:
        label: beside the bar.
        in_log: what stands for the bar where standard error is no terminal, by the label.
    """
    from rich.console import Console
    from rich.progress import Progress as Live

    stderr = Console(stderr=True)
    if not stderr.is_terminal:
        yield in_log(label)
        return
    with Live(console=stderr, transient=True) as live:
        task = live.add_task(label, total=None)
        yield lambda done, total: live.update(task, completed=done, total=total)
