"""All checks in order. Each is imported when its turn comes, so that a broken library is a finding and no crash."""

import importlib
from collections.abc import Iterator
from dataclasses import replace

from kernbench.doctor.finding import Asked, Checks, Finding
from kernbench.errors import KernbenchError, first_line, one_line

DEVICE = "device"
GROUPS = ("packages", "machine", "plugins", "backends", "training", "simulator", "repeats", "speed", "cache", "storage")
ON_DEVICE = ("backends", "training", "simulator", "repeats", "speed")
_UNEXPECTED = "another line may explain it; if none does, report this one"


def examine(asked: Asked) -> Iterator[Finding]:
    """Findings, each as soon as it is known; a check that raises is a finding, and the others go on.

    Args:
        asked: what to examine.

    Yields:
        One finding a check or more, with text of one line each.
    """
    usable = True
    for group in GROUPS:
        if group in ON_DEVICE and not usable:
            yield Finding(group, "skip", f"device {asked.device} cannot be used")
            continue
        for finding in _of_group(group, asked):
            usable = usable and not (finding.check == DEVICE and finding.status == "fail")
            found, advice = (one_line(text, 1000) for text in (finding.found, finding.advice))
            yield replace(finding, found=found, advice=advice)


def _of_group(group: str, asked: Asked) -> Iterator[Finding]:
    try:
        checks: Checks = importlib.import_module(f"kernbench.doctor.{group}").checks(asked)
    except (Exception, SystemExit) as error:
        yield _ended(group, error)
        return
    for name, check in checks.items():
        try:
            yield from check()
        except (Exception, SystemExit) as error:
            yield _ended(name, error)


def _ended(check: str, error: BaseException) -> Finding:
    said = str(error) if isinstance(error, KernbenchError) else first_line(error)
    return Finding(check, "fail", said, _UNEXPECTED)
