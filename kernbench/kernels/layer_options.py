"""The forms of a convolution layer that any family can take part in."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kernbench.errors import KernbenchError, close_match
from kernbench.kernels.composed import BranchConv, SeparableConv
from kernbench.kernels.layer import KernelConv

if TYPE_CHECKING:
    from kernbench.kernels.base import KernelSpec
    from kernbench.kernels.family import KernelFamily

PLAIN, SEPARABLE, BRANCHES = LAYERS = ("plain", "separable", "branches")


def made_by(form: str, spec: "KernelSpec") -> "KernelSpec":
    """What a family is asked for by a layer of a form: the layer's own spec, or that of its depthwise part.

    Raises:
        KernbenchError: no such form.
    """
    if form not in LAYERS:
        raise KernbenchError(f"layer must be one of {', '.join(LAYERS)}, got {form!r}{close_match(str(form), LAYERS)}")
    return SeparableConv.depthwise(spec) if form == SEPARABLE else spec


def make_layer(
    form: str,
    family: "KernelFamily",
    spec: "KernelSpec",
    hyper: Mapping[str, object] | None = None,
    backend: str = "auto",
) -> KernelConv:
    """A layer with fresh weights, drawn from torch's global random generator, at the gain as drawn.

    Args:
        form: "plain", "separable" (depthwise kernels and a 1x1 convolution) or "branches" (beside a small kernel).
        family: makes the kernel.
        spec: of the layer.
        hyper: hyper-parameters of the family.
        backend: how to convolve.

    Raises:
        KernbenchError: no such form, or a hyper-parameter that does not fit.
        PluginError: the family breaks its contract.
    """
    asked = made_by(form, spec)
    inner = KernelConv(family.build(asked, hyper), asked, bias=form == PLAIN, backend=backend)
    if form == PLAIN:
        return inner
    return SeparableConv(inner, spec) if form == SEPARABLE else BranchConv(inner, spec)
