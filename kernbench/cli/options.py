"""Options and signals that several commands share, and values as they are typed."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from kernbench.cli import completing

if TYPE_CHECKING:
    from kernbench.engine.work.time_limit import Limit
    from kernbench.study.selection import Selection


def _selection(_context: click.Context, _option: click.Parameter, given: Sequence[str]) -> "Selection":
    from kernbench.study.selection import read_selection

    return read_selection(given)


PATH = click.Path(path_type=Path)
storage_option = click.option("--storage", help="Database URL [KERNBENCH_STORAGE, else sqlite:///kernbench.db].")
device_option = click.option("--device", default="auto", help="auto, cpu or cuda[:i].", show_default=True)
only_option = click.option(
    "--only",
    multiple=True,
    callback=_selection,
    metavar="NAME=VALUE",
    help="Only these cells: kernel_size=65, kernel_size=65,129, kernel_size=17..129, seed=0; repeatable.",
)
profile_option = click.option(
    "--profile", shell_complete=completing.profile, help="Scale; quick without a CUDA device, else thesis."
)


def limit_of(text: str | None, margin: str | None = None) -> "Limit | None":
    """The limit of one attempt at a cell.

    Args:
        text: of --cell-limit, None without one.
        margin: of --cell-margin.

    Raises:
        KernbenchError: not a duration.
    """
    from kernbench.engine.work.durations import seconds_of
    from kernbench.engine.work.time_limit import Limit, margin_of

    if text is None:
        return None
    seconds = seconds_of(text, "--cell-limit")
    return Limit(seconds, margin_of(seconds) if margin is None else seconds_of(margin, "--cell-margin"))


@contextmanager
def sigterm_is_no_error() -> Iterator[None]:
    """Exit code 0 where SIGTERM comes before or after there is a cell to give back."""

    def leave(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(0)

    old = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, old)
