"""What is examined, and what one check has found."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "note", "skip", "fail"]


@dataclass(frozen=True)
class Asked:
    """What the user wants to use.

    Attributes:
        device: as typed: "auto", "cpu", "cuda" or "cuda:1".
        storage: database URL, from `kernbench.store.database.url.resolve_url`.
    """

    device: str
    storage: str


@dataclass(frozen=True)
class Finding:
    """The line of one check.

    Attributes:
        check: its name.
        status: "ok"; "note", which works but could be better; "skip", not tried because of another finding; "fail".
        found: what is so, one line.
        advice: what to do, one line; empty where there is nothing to do.
    """

    check: str
    status: Status
    found: str
    advice: str = ""


# What a module of this package offers by `checks(asked)`: name -> what examines, and finds one thing or several.
Checks = Mapping[str, Callable[[], Iterable[Finding]]]
