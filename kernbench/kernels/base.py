"""The kernel contract: the place of each tap (LagGrid), what is asked for (KernelSpec), what answers (KernelModule).

A kernel module maps lags to a tensor k of shape (out_channels, in_channels // groups, K). The layer then computes the
cross-correlation y[b, o, t] = bias[o] + sum over i, j of k[o, i, j] x[b, i, t + lags[j]].
"""

import bisect
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from kernbench.errors import KernbenchError
from kernbench.kernels.space import Value

SIDES = ("centered", "causal", "anticausal")


class Progression(NamedTuple):
    """Lags first, first + step, ..: numbers, where a GPU would have to be waited for to read the tensor.

    Attributes:
        lags: the tensor that was made of them.
        first: lag of the first tap [samples].
        step: from one tap to the next [samples].
    """

    lags: Tensor
    first: float
    step: float


@dataclass(frozen=True, eq=False)
class LagGrid:
    """The lags at which a kernel is evaluated. Built by kernbench, never by a plugin.

    Attributes:
        lags: shape (K,), in samples of the training rate; 0 is the output's own sample, positive ones are later.
            float32 or float64, never lower.
        extent: fixed normalizer in samples; lags / extent is in [-1, 1]. A refined grid keeps it.
        origin: index whose lag is 0, or None if 0 is not on the grid (a centered grid of even K).
        spacing: tap step of this grid over tap step of the training grid: 1 in training.
        dilation: samples of the signal between neighbouring taps.
        progression: what `KernelSpec.grid` made the lags of; None of a grid that was made by hand.
    """

    lags: Tensor
    extent: float
    origin: int | None = None
    spacing: float = 1.0
    dilation: int = 1
    progression: Progression | None = field(default=None, repr=False)

    def is_training_grid(self, spec: "KernelSpec") -> bool:
        """Whether the lags are those of `spec.grid()`, for what is normalized there.

        Args:
            spec: of the kernel.

        Returns:
            True on the training grid, whatever made it.
        """
        first, step, count = spec.progression()
        if self.lags.shape[0] != count:
            return False
        if self.progression is not None and self.progression.lags is self.lags:
            return self.progression.first == first and (count == 1 or self.progression.step == step)
        return bool((self.lags == spec.grid(dtype=self.lags.dtype, device=self.lags.device).lags).all())

    def below(self, lag: float) -> int:
        """How many lags are smaller than one; lags ascend.

        Args:
            lag: in samples.

        Returns:
            The number, 0 to K: where in `lags` those from this one on begin.
        """
        if self.progression is None or self.progression.lags is not self.lags:
            return int((self.lags < lag).sum())
        first, step = self.progression.first, self.progression.step
        return bisect.bisect_left(range(self.lags.shape[0]), lag, key=lambda tap: first + step * tap)


@dataclass(frozen=True)
class KernelSpec:
    """What a kernel must look like; all of it is known when the kernel module is built.

    Attributes:
        out_channels: channels that the layer gives.
        in_channels: channels that the layer takes.
        groups: blocks of channels that do not see each other.
        kernel_size: taps, K.
        extent: fixed normalizer of lags in samples. 0 (left out) means d (K - 1) / 2 on a centered grid,
            d (K - 1) on a one-sided one, 1 for a single tap.
        side: "centered", "causal" (lags <= 0) or "anticausal" (lags >= 0).
        sample_rate: training rate in Hz, for families whose parameters are in Hz.
        dilation: d, samples between neighbouring taps.
    """

    out_channels: int
    in_channels: int
    groups: int = 1
    kernel_size: int = 3
    extent: float = 0.0
    side: str = "centered"
    sample_rate: float = 62.5e6
    dilation: int = 1

    def __post_init__(self) -> None:
        """Refuse what no kernel can be, and fill in the extent."""
        for name in ("dilation", "groups", "in_channels", "kernel_size", "out_channels"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise KernbenchError(f"{name} must be a whole number >= 1, got {value!r}")
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise KernbenchError(
                f"groups = {self.groups} must divide both channel counts, got {self.in_channels} in, "
                f"{self.out_channels} out"
            )
        if self.side not in SIDES:
            raise KernbenchError(f"side must be one of {', '.join(SIDES)}, got {self.side!r}")
        if not self.extent:
            span = self.dilation * (self.kernel_size - 1)
            extent = span / 2 if self.side == "centered" else float(span)
            object.__setattr__(self, "extent", extent or 1.0)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the kernel: (out_channels, in_channels // groups, K)."""
        return self.out_channels, self.in_channels // self.groups, self.kernel_size

    @property
    def pairs(self) -> int:
        """Channel pairs P = out_channels * in_channels / groups."""
        return self.out_channels * self.in_channels // self.groups

    def grid(
        self,
        refine: int = 1,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        coarsen: int = 1,
    ) -> LagGrid:
        """The lags of this kernel.

        Args:
            refine: taps per training tap step; 2 gives 2 K - 1 taps over the same span, spacing 1/2.
            dtype: float64 stays float64, everything lower becomes float32: half precision merges lags.
            device: where the lags live.
            coarsen: training tap steps per tap; 2 gives every second lag, counted from lag 0, spacing 2: the inverse of
                refine = 2. A centered K = 17 keeps the lags -8, -6 .. 8, and K = 131 (-65 .. 65) those from -64 to 64.

        Returns:
            The grid; on the training grid (refine = coarsen = 1) lags are exact.

        Raises:
            KernbenchError: a coarser centered grid of even K, which has no lag 0 to count from.
        """
        first, step, count = self.progression(refine, coarsen)
        # Apple's GPU has no float64: lags are made on the CPU there
        wide = "cpu" if device is not None and torch.device(device).type == "mps" else device
        index = torch.arange(count, dtype=torch.float64, device=wide)
        origin = -first / step
        dtype = torch.promote_types(dtype or torch.get_default_dtype(), torch.float32)
        lags = (first + step * index).to(device=device, dtype=dtype)
        return LagGrid(
            lags=lags,
            extent=self.extent,
            origin=round(origin) if origin == round(origin) else None,
            spacing=coarsen / refine,
            dilation=self.dilation,
            progression=Progression(lags, first, step),
        )

    def progression(self, refine: int = 1, coarsen: int = 1) -> tuple[float, float, int]:
        """The lags of `grid` as numbers.

        Args:
            refine: as of `grid`.
            coarsen: as of `grid`.

        Returns:
            First lag and step [samples], and how many there are.

        Raises:
            KernbenchError: as `grid`.
        """
        taps = self.kernel_size if coarsen == 1 else self._coarse_taps(coarsen)
        span = self.dilation * coarsen * (taps - 1)
        first = {"centered": -span / 2, "causal": -float(span), "anticausal": 0.0}[self.side]
        return first, self.dilation * coarsen / refine, (taps - 1) * refine + 1

    def _coarse_taps(self, coarsen: int) -> int:
        sides = 2 if self.side == "centered" else 1
        if (self.kernel_size - 1) % sides:
            raise KernbenchError(
                f"a coarser grid (coarsen = {coarsen}) counts from lag 0, which a centered kernel of even K lacks: "
                f"expected an odd kernel size, got {self.kernel_size}"
            )
        return sides * ((self.kernel_size - 1) // sides // coarsen) + 1


class KernelModule(nn.Module):
    """Base class of every kernel family: parameters in, kernel out.

    A subclass draws its parameters in `__init__(self, spec, **hyper)`, after `super().__init__(spec)`, and returns
    the kernel from `forward(grid)`. It never convolves, pads, uses the signal, draws random numbers or changes its
    state in `forward`.

    Optional members that kernbench uses, the table in `kernbench.kernels.capabilities`; a class offers one by
    defining it:
        param_count(spec, **hyper): staticmethod, trainable parameters by arithmetic; without it they are counted.
        kernel_flops(spec, **hyper): staticmethod, floating-point operations to make the kernel once.
        scale_(factor): multiply the kernel in place, inside a linear last stage; used to start every family at
            gain 1. Without it the layer adds a learnable amplitude per output channel.
        constrain_(): put parameters back where they may be, in place; called after each optimizer step.
        param_groups(): list of dicts with every trainable parameter exactly once: `params`, a list; `lr_mult`,
            learning rate over the network's, 1 if left out; `weight_decay`, Adam's, 0 if left out.
        regularizers(): name -> scalar tensor, added to the training loss times the hyper-parameter of that name.
        support(grid): (lo, hi), whole numbers: the taps outside lo .. hi - 1 add to an output at most `threshold`, an
            attribute, times the largest signal times the summed sizes of the taps of `unmasked(grid)`, a method.
        to_state_space(): a discrete (A, B, C, D) for each side of lag 0, lags >= 0 first; A (N, N), B (N, 1),
            C (out_channels, in_channels // groups, N), D (out_channels, in_channels // groups). D, C B, C A B, ...
            are the taps of the side from lag 0 outwards.
        import_state(format_name, state): take the parameters of a network that other code has trained, all or none;
            raises KernbenchError for a format or an entry that does not fit.

    Attributes:
        spec: what was asked for.
        family: name of the family, "" if built by hand.
        hyper: resolved hyper-parameters.
    """

    def __init__(self, spec: KernelSpec | None = None) -> None:
        super().__init__()
        self.family = ""
        self.hyper: dict[str, Value] = {}
        if spec is not None:  # a class that forgets to hand it on gets it from `identify`
            self.spec = spec

    def identify(self, family: str, spec: KernelSpec, hyper: Mapping[str, Value]) -> None:
        """Remember what the module was built from; called by kernbench after construction.

        Args:
            family: its name.
            spec: sizes.
            hyper: all hyper-parameters.
        """
        self.family, self.spec, self.hyper = family, spec, dict(hyper)

    def forward(self, grid: LagGrid) -> Tensor:
        """The kernel at the grid's lags, per training sample.

        Args:
            grid: K lags.

        Returns:
            Tensor (out_channels, in_channels // groups, K) in the grid's dtype, on its device.
        """
        raise NotImplementedError(f"{type(self).__name__} must define forward(self, grid)")

    def get_extra_state(self) -> Tensor:
        """Family, hyper-parameters and sizes for the state dict, as JSON bytes so that it holds only tensors.

        Returns:
            Tensor (bytes,) of type uint8.
        """
        return torch.tensor(list(json.dumps(self._identity(), sort_keys=True).encode()), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        """Refuse weights that were trained under other hyper-parameters: they would give other kernels.

        Args:
            state: as `get_extra_state` gives it.

        Raises:
            KernbenchError: names each field that differs.
        """
        stored: dict[str, Any] = json.loads(bytes(state.tolist()))
        own = self._identity()
        differ = [
            f"{key} expected {own.get(key)!r}, got {stored.get(key)!r}"
            for key in sorted({*own, *stored})
            if own.get(key) != stored.get(key)
        ]
        if differ:
            raise KernbenchError(f"these weights belong to another kernel: {'; '.join(differ)}")

    def _identity(self) -> dict[str, Any]:
        spec = getattr(self, "spec", None)
        sizes = {"kernel_size": spec.kernel_size, "dilation": spec.dilation, "side": spec.side} if spec else {}
        return {"family": self.family, **sizes, **{f"hyper.{key}": value for key, value in self.hyper.items()}}
