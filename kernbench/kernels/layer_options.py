"""The forms of a convolution layer that any family can take part in."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kernbench.errors import KernbenchError, close_match
from kernbench.kernels.composed import BranchConv, SeparableConv
from kernbench.kernels.layer import KernelConv
from kernbench.kernels.tiled import TiledConv

if TYPE_CHECKING:
    from kernbench.kernels.base import KernelSpec
    from kernbench.kernels.family import KernelFamily

PLAIN, SEPARABLE, BRANCHES, TILED = LAYERS = ("plain", "separable", "branches", "tiled")
TILES = 2  # kernels in rotation where a study does not say


def form_of(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments `layer` and `tiles` of `kernbench.networks.build` from settings of a network.

    Args:
        plan: [network] of a study for one cell; databases of before there were forms do not name any.
    """
    return {"layer": str(plan.get("layer", PLAIN)), "tiles": int(plan.get("tiles", TILES))}


def made_by(form: str, spec: "KernelSpec", tiles: int = TILES) -> "KernelSpec":
    """What a family is asked for by a layer of a form: the layer's own spec, or that of the part that the family makes.

    Raises:
        KernbenchError: no such form, or a number of kernels in rotation for a form that has no rotation.
    """
    if form not in LAYERS:
        raise KernbenchError(f"layer must be one of {', '.join(LAYERS)}, got {form!r}{close_match(str(form), LAYERS)}")
    if form != TILED and tiles != TILES:
        raise KernbenchError(
            f"tiles = {tiles} is of layer = {TILED!r}, got layer = {form!r}: leave out tiles, or take {TILED!r}, whose "
            "tiles = 1 is the plain layer"
        )
    if form == TILED:
        if not isinstance(tiles, int) or isinstance(tiles, bool) or tiles < 1:
            raise KernbenchError(f"tiles must be a whole number >= 1, got {tiles!r}")
        return TiledConv.rotating(spec, tiles)
    return SeparableConv.depthwise(spec) if form == SEPARABLE else spec


def make_layer(
    form: str,
    family: "KernelFamily",
    spec: "KernelSpec",
    hyper: Mapping[str, object] | None = None,
    backend: str = "auto",
    tiles: int = TILES,
) -> KernelConv:
    """A layer with fresh weights, drawn from torch's global random generator, at the gain as drawn.

    Args:
        form: "plain", "separable" (depthwise kernels and a 1x1 convolution), "branches" (beside a small kernel) or
            "tiled" (kernels in rotation).
        family: makes the kernel.
        spec: of the layer.
        hyper: hyper-parameters of the family.
        backend: how to convolve.
        tiles: kernels in rotation of "tiled".

    Raises:
        KernbenchError: no such form, or a hyper-parameter that does not fit.
        PluginError: the family breaks its contract.
    """
    asked = made_by(form, spec, tiles)
    inner = KernelConv(family.build(asked, hyper), asked, bias=form == PLAIN, backend=backend)
    if form == PLAIN:
        return inner
    if form == TILED:
        return TiledConv(inner, spec, tiles)
    return SeparableConv(inner, spec) if form == SEPARABLE else BranchConv(inner, spec)
