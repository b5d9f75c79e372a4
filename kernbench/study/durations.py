"""Lengths of time for reading."""

MINUTE = 60


def duration(seconds: float) -> str:
    """A time for reading: two units at most."""
    if seconds < MINUTE - 0.05:
        return f"{seconds:.3g} s"
    if seconds < 10 * MINUTE - 0.5:
        minutes, rest = divmod(round(seconds), MINUTE)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(round(seconds / MINUTE), MINUTE)
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {minutes} min" if hours < 100 else f"{hours} h"
