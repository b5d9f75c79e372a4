"""Layers that a family's kernel is one part of: depthwise and pointwise, or a large and a small branch."""

import math
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from kernbench.conv.dispatch import convolve
from kernbench.errors import KernbenchError
from kernbench.kernels.base import KernelSpec, LagGrid
from kernbench.kernels.layer import KernelConv, Run, layer_gain

SMALL = 5  # taps of the small branch: 3 to 7 in Ding et al. (2022)


class ComposedConv(KernelConv):
    """A layer that contains a plain one, whose kernel the family makes.

    Args:
        inner: the plain layer, without bias.
        spec: of the whole layer.

    Attributes:
        inner: see above.
    """

    def __init__(self, inner: KernelConv, spec: KernelSpec) -> None:
        nn.Module.__init__(self)
        self.inner = inner
        self.spec = spec
        self.backend = inner.backend
        self.register_parameter("amplitude", None)
        self.register_parameter("bias", None)
        self._cache = None

    @property
    def kernel_module(self):  # type: ignore[no-untyped-def, override]  # a submodule of the plain layer
        """The family's module."""
        return self.inner.kernel_module

    @property
    def plain(self) -> KernelConv:
        """The layer inside."""
        return self.inner

    def rescale_(self) -> None:
        """Bring the layer to gain 1, its plain part being there."""

    def started(self) -> None:
        """Note the gain of the layer as it was drawn."""
        self.raw_gain = self.gain = layer_gain(self.checked_kernel())

    def _tensors(self) -> Iterator[Tensor]:
        yield from self.parameters()
        yield from self.buffers()


class SeparableConv(ComposedConv):
    """One kernel for each input channel, then a 1x1 convolution: k[o, i, m] = mix[o, i] k_i[m].

    The family makes C_in kernels instead of C_out C_in; C_in C_out numbers mix them. Source: Chollet (2017), Xception.

    Args:
        inner: the depthwise layer, of `depthwise(spec)`, without bias.
        spec: of the whole layer.

    Attributes:
        mix: (out_channels, in_channels // groups).
        bias: (out_channels,).
    """

    def __init__(self, inner: KernelConv, spec: KernelSpec) -> None:
        super().__init__(inner, spec)
        fan_in = spec.shape[1]
        bound = math.sqrt(3 / fan_in)  # variance 1 / fan-in
        self.mix = nn.Parameter(torch.empty(spec.shape[:2]).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(spec.out_channels).uniform_(-1, 1) / math.sqrt(fan_in))
        self.started()

    @staticmethod
    def depthwise(spec: KernelSpec) -> KernelSpec:
        """What the family is asked for: one kernel for each input channel."""
        return replace(spec, out_channels=spec.in_channels, groups=spec.in_channels)

    def forward(self, signal: Tensor) -> Tensor:
        """Convolve and mix; (batch, in_channels, L) -> (batch, out_channels, L - dilation * (K - 1))."""
        return functional.conv1d(self.inner(signal), self.mix[..., None], self.bias, groups=self.spec.groups)

    def kernel(self, grid: LagGrid | None = None) -> Tensor:
        """The dense kernel of the same layer, (out_channels, in_channels // groups, K)."""
        return self._make(grid)

    def rescale_(self) -> None:
        """Bring the whole layer to gain 1, in the mixing weights."""
        with torch.no_grad():
            self.mix.div_(layer_gain(self.checked_kernel()))

    def runs(self, length: int) -> list[Run]:
        """The depthwise convolution and the pointwise one."""
        depthwise, inner = self.inner.runs(length)[0], self.inner.spec
        left = length - inner.dilation * (inner.kernel_size - 1)
        return [depthwise, Run((1, inner.out_channels, left), (*self.spec.shape[:2], 1), 1)]

    @property
    def mixing(self) -> int:
        """Numbers that mix."""
        return self.mix.numel()

    def _make(self, grid: LagGrid | None = None) -> Tensor:
        depthwise = self.inner._make(grid)  # (in_channels, 1, K)
        groups, (_, fan_in, _) = self.spec.groups, self.spec.shape
        blocks = depthwise.view(groups, 1, fan_in, -1) * self.mix.view(groups, -1, fan_in, 1)
        return blocks.flatten(0, 1)


class BranchConv(ComposedConv):
    """A large kernel of the family beside a small one of free taps, each with a BatchNorm, added.

    Evaluation convolves once, with the merged kernel k_L g_L / s_L + pad(k_S) g_S / s_S and bias, s the standard
    deviation that the norm has learned; in training the norms depend on the batch, and both are convolved.
    Source: Ding et al. (2022), Scaling Up Your Kernels to 31x31.

    Args:
        inner: the large layer, without bias; of an odd number of taps.
        spec: of the whole layer, equal to that of the large one.

    Attributes:
        taps: of the small kernel, (out_channels, in_channels // groups, 5), fewer where the large one has no more.
        norm: of the large branch.
        near: norm of the small one.

    Raises:
        KernbenchError: an even number of taps.
    """

    def __init__(self, inner: KernelConv, spec: KernelSpec) -> None:
        super().__init__(inner, spec)
        if spec.kernel_size % 2 == 0:
            raise KernbenchError(
                "a layer with branches has its small kernel in the middle of the large one: expected an odd kernel "
                f"size, got {spec.kernel_size}"
            )
        size = SMALL if spec.kernel_size > SMALL else max(1, spec.kernel_size - 2)
        bound = math.sqrt(3 / (spec.shape[1] * size))  # gain 1
        self.taps = nn.Parameter(torch.empty(*spec.shape[:2], size).uniform_(-bound, bound))
        self.norm, self.near = nn.BatchNorm1d(spec.out_channels), nn.BatchNorm1d(spec.out_channels)
        self.started()

    def forward(self, signal: Tensor) -> Tensor:
        """Convolve; (batch, in_channels, L) -> (batch, out_channels, L - dilation * (K - 1))."""
        if self.training:
            return self.branches(signal)
        if (kept := self._kept()) is not None:
            return kept(signal) + self.shift[:, None]
        merged = convolve(signal, self.kernel(), self.spec.dilation, self.spec.groups, self.backend)
        return merged + self.shift[:, None]

    def branches(self, signal: Tensor) -> Tensor:
        """Both branches convolved, normalized and added: in eval mode the same as `forward`."""
        spec = self.spec
        before, behind = (spec.dilation * taps for taps in self._around())
        inside = signal[..., before : signal.shape[-1] - behind]
        small = convolve(inside, self.taps, spec.dilation, spec.groups, "direct")
        return torch.as_tensor(self.norm(self.inner(signal)) + self.near(small))

    @property
    def shift(self) -> Tensor:
        """What evaluation adds to each output channel, (out_channels,)."""
        return _fixed(self.norm)[1] + _fixed(self.near)[1]

    def runs(self, length: int) -> list[Run]:
        """The merged convolution, as in evaluation."""
        return self.inner.runs(length)

    @property
    def mixing(self) -> int:
        """Small taps and norms."""
        return self.taps.numel() + 4 * self.spec.out_channels

    def _make(self, grid: LagGrid | None = None) -> Tensor:
        if grid is not None and grid.lags.numel() != self.spec.kernel_size:
            raise KernbenchError("the free taps of a layer with branches are not defined between their samples")
        small = functional.pad(self.taps * _fixed(self.near)[0][:, None, None], self._around())
        return self.inner._make(grid) * _fixed(self.norm)[0][:, None, None] + small

    def _around(self) -> tuple[int, int]:
        """Taps of the large kernel before and behind the small one, which lies at lag 0."""
        more = self.spec.kernel_size - self.taps.shape[-1]
        return {"centered": (more // 2, more // 2), "causal": (more, 0), "anticausal": (0, more)}[self.spec.side]


def _fixed(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Factor and summand of a norm in evaluation, for each channel."""
    assert norm.running_var is not None
    assert norm.running_mean is not None  # it keeps statistics
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    return scale, norm.bias - norm.running_mean * scale
