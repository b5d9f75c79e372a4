"""A trained network at another sampling rate: its kernels at the same physical lags, nothing trained again."""

import copy
import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from kernbench.analysis.spectrum import energy_above
from kernbench.errors import KernbenchError
from kernbench.host.autocast import without_autocast
from kernbench.kernels.base import LagGrid
from kernbench.kernels.composed import BranchConv, ComposedConv
from kernbench.kernels.layer import KernelConv
from kernbench.kernels.tap_filter import filter_reach, filter_weights
from kernbench.networks.network import Network
from kernbench.networks.sided import CENTERED

HALF_OF_NYQUIST = 0.25  # cycles per tap step: above it lies what one more halving of the rate would fold


@dataclass(frozen=True)
class LayerChange:
    """What another sampling rate does to the kernels of one layer.

    Attributes:
        taps: at that rate.
        spacing: tap step over that of training; 1 where the taps are kept.
        dilation: samples of that rate between neighbouring taps.
        dc_drift: change of the kernels' sums over their size, both as root of the summed squares; NaN if all were 0.
        high_energy: share of the energy above 0.25 cycles per tap step; NaN if all are 0.
    """

    taps: int
    spacing: float
    dilation: int
    dc_drift: float
    high_energy: float


class LayerAtRate(KernelConv):
    """A layer for signals of another rate, with the parameters of the layer that it was made from.

    Where taps can be kept they are: one tap is a weight of one sample at any rate; a dilated layer (dilation > 1)
    moves them apart, and at a lower rate together if they stay on samples. Otherwise the kernel is evaluated on a finer
    or coarser grid: as its family defines it there, or by a filter from its taps of training.

    Args:
        layer: as trained.
        up: samples of the new rate for each sample of training.
        down: the same the other way round; one of the two is 1.
        resampled: whether by the filter, see `kernbench.kernels.tap_filter`.

    Attributes:
        spec: taps and dilation at this rate; extent and sample_rate stay those of training.
    """

    def __init__(self, layer: KernelConv, up: int, down: int, resampled: bool = False) -> None:
        nn.Module.__init__(self)  # the layer has been checked, and keeps its bias
        self.kernel_module = _twin(layer.kernel_module)
        self.backend = layer.backend
        self.register_parameter("amplitude", layer.amplitude)
        self.register_parameter("bias", layer.bias)
        self._cache = None
        self.raw_gain, self.gain = layer.raw_gain, layer.gain
        self._trained, trained = layer.spec, layer.spec
        self._resampled = resampled
        alone = trained.kernel_size == 1  # a weight of one sample: no integral over lags, whose step would count
        kept = alone or (trained.dilation % down == 0 and (trained.dilation > 1 or up == 1))
        self._refine, self._coarsen = (1, 1) if kept else (up, down)
        taps = trained.grid(self._refine, coarsen=self._coarsen).lags.numel()
        self._tails = self._tails_of_filter() if resampled else (0, 0)
        dilation = trained.dilation * up // down if kept and not alone else trained.dilation
        self.spec = replace(trained, kernel_size=taps + sum(self._tails), dilation=dilation)

    @property
    def spacing(self) -> float:
        """Tap step over that of training."""
        return self._coarsen / self._refine

    def _make(self, grid: LagGrid | None = None) -> Tensor:
        if grid is not None:
            return super()._make(grid)
        own = self._trained.grid(self._refine, self.dtype, self.device, self._coarsen)
        if not self._resampled or own.spacing == 1:
            return super()._make(own)
        trained = super()._make(self._trained.grid(dtype=self.dtype, device=self.device))
        with without_autocast(trained.device):
            return trained @ self._filter().to(trained)

    def _tails_of_filter(self) -> tuple[int, int]:
        """Taps by which the filter makes the kernel longer before its first and after its last lag.

        A one-sided kernel keeps its end at lag 0, and what the filter puts beyond it is left out.
        """
        if self.spacing == 1:
            return 0, 0
        reach, side = filter_reach(self.spacing), self._trained.side
        return (0 if side == "anticausal" else reach, 0 if side == "causal" else reach)

    def _filter(self) -> Tensor:
        """Taps of training -> taps at this rate, weighted by the tap step; made on the CPU, in float64."""
        trained, own = (
            self._trained.grid(refine, torch.float64, "cpu", coarsen)
            for refine, coarsen in ((1, 1), (self._refine, self._coarsen))
        )
        return own.spacing * filter_weights(trained, own, *self._tails)


def at_rate(network: nn.Module, factor: float, *, resampled: bool = False) -> Network:
    """A network for lines of another sampling rate, in evaluation mode, sharing all parameters with the given one.

    Its layers convolve with the kernels at the same physical lags, see `LayerAtRate`; padding and receptive field
    follow from them. A later change of a parameter changes both.

    Args:
        network: layers in a row, as every network whose architecture has no `build` of its own.
        factor: new rate over that of training: a whole number, or 1 over one. 1 gives the same outputs, bit for bit.
        resampled: whether taps at other lags come from a filter over those of training, which is the same for every
            family; else the family is asked for them.

    Returns:
        Lines (N, 1, L) of the other rate -> scores (N, 1, L); its `kernel_layers()` are those at that rate.

    Raises:
        KernbenchError: another factor, or a network with a module of its own, whose other parts are not known.
    """
    ratio = Fraction(factor).limit_denominator(1000) if math.isfinite(factor) and factor > 0 else Fraction(0)
    up, down = ratio.numerator, ratio.denominator
    if 1 not in (up, down) or up == 0 or not math.isclose(ratio, factor, rel_tol=1e-9):
        raise KernbenchError(
            f"another sampling rate must be a whole multiple or part of that of training, got {factor:g}"
        )
    if type(network) is not Network:
        raise KernbenchError(
            f"{type(network).__name__} cannot be moved to another sampling rate: expected layers in a row "
            "(kernbench.networks.Network), got a module of its own; score it at the rate of its training"
        )
    moved: Network = _twin(network, (up, down, resampled))
    layers = [layer.spec for layer in moved.kernel_layers()]
    reach = sum(layer.dilation * (layer.kernel_size - 1) for layer in layers)
    moved.padding, moved.receptive_field = (reach // 2 if moved.side == CENTERED else reach), reach + 1
    return moved.eval()


def layer_changes(network: Network, moved: Network) -> list[LayerChange]:
    """What happened to each layer, input side first.

    Args:
        network: as trained.
        moved: of `at_rate`.
    """
    pairs = zip(network.kernel_layers(), moved.kernel_layers(), strict=True)
    return [_change(before, after) for before, after in pairs]


@torch.no_grad()
def _change(before: KernelConv, after: KernelConv) -> LayerChange:
    old, new = (layer.kernel().double().cpu().numpy() for layer in (before, after))
    gain = old.sum(axis=-1)
    size = float(np.linalg.norm(gain))
    drift = float(np.linalg.norm(new.sum(axis=-1) - gain)) / size if size > 0 else math.nan
    spacing = after.plain.spacing if isinstance(after.plain, LayerAtRate) else 1.0
    return LayerChange(new.shape[-1], spacing, after.spec.dilation, drift, energy_above(new, HALF_OF_NYQUIST))


def _twin(module: nn.Module, to: tuple[int, int, bool] | None = None) -> Any:  # of the same kind
    """The same tree of modules around the very tensors, so that its mode and its layers are its own."""
    if to is not None and (why := _stays(module)):
        raise KernbenchError(f"{why}; score them at the rate of their training, or take network.layer = plain")
    if to is not None and isinstance(module, KernelConv) and not isinstance(module, ComposedConv):
        return LayerAtRate(module, *to)
    twin = copy.copy(module)
    for name in ("_parameters", "_buffers"):
        twin.__dict__[name] = dict(getattr(module, name))
    children = {name: None if child is None else _twin(child, to) for name, child in module._modules.items()}
    twin.__dict__["_modules"] = children
    if isinstance(twin, ComposedConv):
        twin.spec = replace(twin.spec, kernel_size=twin.plain.spec.kernel_size, dilation=twin.plain.spec.dilation)
    return twin


def _stays(module: nn.Module) -> str:
    """Why a layer cannot be moved to another sampling rate; empty if it can."""
    if isinstance(module, BranchConv):
        why = "layers with branches", "their free taps are not defined between their samples"
    elif isinstance(module, KernelConv) and module.tiles > 1:
        why = "tiled layers", "their kernels rotate from sample to sample"
    else:
        return ""
    return f"{why[0]} cannot be moved to another sampling rate: {why[1]}"
