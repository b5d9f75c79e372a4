"""The checks that any kernel family must pass, each with a short stable name; run by `kernbench check`."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from kernbench.errors import first_line
from kernbench.host.process_state import kept
from kernbench.kernels.checks import CHECKS, ESSENTIAL, SEED
from kernbench.kernels.family import KernelFamily
from kernbench.kernels.finding import Finding


@dataclass(frozen=True)
class CheckResult:
    """What one check found.

    Attributes:
        name: stable short name, such as "shape".
        passed: whether the family keeps that part of the contract.
        detail: what was measured, or what is wrong; one line.
    """

    name: str
    passed: bool
    detail: str


def check_family(family: KernelFamily) -> list[CheckResult]:
    """Check a kernel family against the contract.

    The global random state is left as it was; a plugin may raise anything without stopping the others.

    Args:
        family: as offered by a plugin.

    Returns:
        One result per check, in order. A failure that makes the later checks meaningless ends the list.
    """
    results = []
    with torch.random.fork_rng(devices=[]):
        for name, check in CHECKS.items():
            torch.manual_seed(SEED)
            results.append(_run(name, check, family))
            if name in ESSENTIAL and not results[-1].passed:
                break
    return results


def _run(name: str, check: Callable[[KernelFamily], str], family: KernelFamily) -> CheckResult:
    try:
        with kept():
            return CheckResult(name, True, check(family))
    except Finding as finding:
        return CheckResult(name, False, str(finding))
    except (Exception, SystemExit) as error:  # whatever a plugin does is a finding about the plugin
        return CheckResult(name, False, first_line(error))
