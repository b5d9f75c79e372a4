"""The conformance check of what a family does to its process; kernbench puts it back, other programs do not."""

from kernbench.host.process_state import kept
from kernbench.kernels.base import KernelSpec
from kernbench.kernels.family import KernelFamily
from kernbench.kernels.finding import Finding


def leaves_the_process_alone(family: KernelFamily) -> str:
    """Build a module and call it once.

    Raises:
        Finding: that changed the working folder, a default of torch, warnings or signal handlers; says which.
    """
    spec = KernelSpec(4, 3, kernel_size=17)
    made, hyper = family.load(), family.resolve()
    with kept() as by_building:
        module = made(spec, **hyper)
    with kept() as by_calling:
        module(spec.grid())
    found = {"__init__": by_building, "forward": by_calling}
    if any(found.values()):
        said = "; ".join(f"{where} changes the {', the '.join(changed)}" for where, changed in found.items() if changed)
        raise Finding(f"{said}; leave them as they are")
    return "changes nothing outside itself"
