"""The checks that any kernel family must pass, each with a short stable name; run by `kernbench check`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch

from kernbench.errors import first_line
from kernbench.host.process_state import kept
from kernbench.kernels.checking.inclusions import inclusions
from kernbench.kernels.checking.kernels import SEED
from kernbench.kernels.checks import CHECKS, needs
from kernbench.kernels.family import KernelFamily
from kernbench.kernels.finding import Finding, Note, NotTried


@dataclass(frozen=True)
class CheckResult:
    """What one check found.

    Attributes:
        name: stable short name, such as "shape".
        state: "ok"; "note", what a family need not be able to do, and is not; "none", nothing was there to check;
            "skip", not tried because a check that it needs failed; "FAIL".
        detail: what was measured, what is wrong, or which check failed before; one line.
    """

    name: str
    state: Literal["ok", "note", "none", "skip", "FAIL"]
    detail: str

    @property
    def passed(self) -> bool:
        """Whether the family keeps that part of the contract, as far as it was tried."""
        return self.state in ("ok", "note", "none")

    @property
    def failed(self) -> bool:
        """Whether it breaks that part of the contract."""
        return self.state == "FAIL"


def check_family(family: KernelFamily, known: Mapping[str, KernelFamily] | None = None) -> list[CheckResult]:
    """Check a kernel family against the contract.

    The global random state is left as it was; a plugin may raise anything without stopping the others.

    Args:
        family: as offered by a plugin.
        known: name -> family of all that a user can name beside it: what it declares to contain must be one of them.
            Left out, names are not looked up.

    Returns:
        One result per check, in their order. A check that could only repeat one that failed is skipped; all others run.
    """
    checks: dict[str, Callable[[KernelFamily], str]] = {**CHECKS, "inclusions": partial(inclusions, known=known)}
    found: dict[str, CheckResult] = {}
    blocked: dict[str, str] = {}
    with torch.random.fork_rng(devices=[]):
        for name in checks:
            _add(name, family, checks, found, blocked)
    return [found[name] for name in CHECKS]


def _add(
    name: str,
    family: KernelFamily,
    checks: Mapping[str, Callable[[KernelFamily], str]],
    found: dict[str, CheckResult],
    blocked: dict[str, str],
) -> None:
    """Run a check after those that it needs, unless one of them is blocked: `blocked` says by which check."""
    if name in found:
        return
    for need in needs(name):
        _add(need, family, checks, found, blocked)
        if need in blocked:
            blocked[name] = blocked[need]
            found[name] = CheckResult(name, "skip", f"{blocked[need]} failed")
            return
    torch.manual_seed(SEED)
    found[name], blocks = _run(name, checks[name], family)
    if blocks:
        blocked[name] = name


def _run(name: str, check: Callable[[KernelFamily], str], family: KernelFamily) -> tuple[CheckResult, bool]:
    """What a check found, and whether that blocks those that need it."""
    try:
        with kept():
            return CheckResult(name, "ok", check(family)), False
    except Note as note:
        return CheckResult(name, "note", str(note)), False
    except NotTried as reason:
        return CheckResult(name, "none", str(reason)), False
    except Finding as finding:
        return CheckResult(name, "FAIL", str(finding)), finding.blocks
    except (Exception, SystemExit) as error:  # whatever a plugin does is a finding about the plugin
        return CheckResult(name, "FAIL", first_line(error)), True
