"""Time limits as they are typed."""

from kernbench.engine.work.durations import seconds_of
from kernbench.engine.work.time_limit import Limit, margin_of


def limit_of(text: str | None, margin: str | None = None) -> Limit | None:
    """The limit of one attempt at a cell.

    Args:
        text: of --cell-limit, None without one.
        margin: of --cell-margin.

    Raises:
        KernbenchError: not a duration.
    """
    if text is None:
        return None
    seconds = seconds_of(text, "--cell-limit")
    return Limit(seconds, margin_of(seconds) if margin is None else seconds_of(margin, "--cell-margin"))
