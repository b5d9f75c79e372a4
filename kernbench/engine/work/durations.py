"""Lengths of time as a user writes and reads them: 45s, 30m, 3h30m, 2d."""

import re

from kernbench.errors import KernbenchError

_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_FORM = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")


def seconds_of(text: str, option: str) -> float:
    """Seconds of a duration.

    Args:
        text: days, hours, minutes and seconds in this order, some of them: "3h30m"; a plain number is seconds.
        option: name, for the message.

    Raises:
        KernbenchError: not a duration, or none at all.
    """
    found = _FORM.fullmatch(text.strip())
    numbers = [int(part or 0) for part in found.groups()] if found and text.isascii() else [0]
    seconds = sum(number * unit for number, unit in zip(numbers, _UNITS.values(), strict=False))
    if seconds <= 0:
        raise KernbenchError(f"{option}: expected a duration such as 45s, 30m, 2h or 3h30m, got {text!r}")
    return float(seconds)


def in_words(seconds: float) -> str:
    """The same length as a user would write it; fractions are kept below a minute."""
    if seconds < 60:
        return f"{seconds:g}s"
    words, left = "", round(seconds)
    for name, unit in _UNITS.items():
        count, left = divmod(left, unit)
        words += f"{count}{name}" if count else ""
    return words
