"""Whether the device gives the same bits twice."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from kernbench.conv.backends import BACKENDS
from kernbench.doctor.finding import Asked, Checks, Finding
from kernbench.doctor.works import SHAPES, backend, convolved, simulated, trained
from kernbench.host.device import choose_device

_FOREIGN = {"backend fft_conv"}  # of another package; auto never takes it
_ADVICE = "scores of this device repeat to some digits only, and a resumed run is another one; compare several seeds"


def checks(asked: Asked) -> Checks:
    """Repeatability."""
    return {"repeats": lambda: _repeats(choose_device(asked.device))}


def _repeats(device: str) -> Iterator[Finding]:
    works: dict[str, Callable[[], Sequence[Tensor]]] = {
        f"backend {name}": lambda name=name: _all_shapes(name, device)  # type: ignore[misc]
        for name in BACKENDS
    }
    works |= {"training": lambda: trained(device), "simulator": lambda: [simulated(device)]}
    known: dict[str, list[str]] = {"same": [], "differs": [], "failed": []}
    for name, work in works.items():
        known[_compared(work)].append(name)
    same, differ, failed = known.values()
    without = f"; not tried: {', '.join(failed)}" if failed else ""
    if not differ:
        yield Finding("repeats", "ok", f"twice the same bits: {', '.join(same)}{without}")
    else:
        found = f"not the same bits twice: {', '.join(differ)}{without}"
        yield Finding("repeats", "note" if set(differ) <= _FOREIGN else "fail", found, _ADVICE)


def _all_shapes(name: str, device: str) -> list[Tensor]:
    return [each for shape in SHAPES for each in convolved(shape, backend(name), device, torch.float32)]


def _compared(work: Callable[[], Sequence[Tensor]]) -> str:
    """Whether two runs of a work give the same bits: "same", "differs" or "failed"."""
    try:
        pairs = zip(work(), work(), strict=True)
    except Exception:  # the line of that work says why
        return "failed"
    return "same" if all(torch.equal(one, other) for one, other in pairs) else "differs"
