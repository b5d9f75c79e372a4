"""Products of Gabor waves (MAGNet), edges of Fourier series (KAN), and a learned Gaussian mask over a network."""

import json
import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

import kernbench
from kernbench.kernels.building_blocks import bounded
from kernbench_implicit.features import RandomFourier
from kernbench_implicit.network import Affine, KernelNetwork, affine_count, affine_flops
from kernbench_implicit.sines import SineNetwork

_SHARPNESS = 1e-6, 1e4  # over the extent
_PENALTY = "anti_alias"


class GaborNetwork(KernelNetwork):
    """z_0 = f_0(t), z_l = f_l(t) (A_l z_(l - 1) + c_l), f = exp(-g^2 (t - u)^2 / 2) sin(w t + p), for l = 1 .. L.

    Start: g from a Gamma distribution of shape 6 / (l + 1), w = U(-1, 1) s g / sqrt(L + 1), p uniform on the circle,
    u uniform in the middle. g is kept through its logarithm: it must not cross 0.

    Args:
        spec: channels, kernel size, extent.
        hidden: h.
        layers: L.
        scale: s.
        anti_alias: weight of that regularizer; kernbench reads it.
    """

    def __init__(
        self,
        spec: kernbench.KernelSpec,
        hidden: int = 32,
        layers: int = 3,
        scale: float = 25.6,
        anti_alias: float = 0.0,
    ) -> None:
        super().__init__(spec)
        self.anti_alias = anti_alias
        count = layers + 1
        shape = torch.tensor([6.0 / (layer + 1) for layer in range(count)])[:, None, None].expand(count, hidden, 1)
        sharp = torch.distributions.Gamma(shape, 1.0).sample().clamp(min=1e-3)
        self.log_sharpness = nn.Parameter(sharp.log())
        self.frequency = nn.Parameter(torch.empty(count, hidden, 1).uniform_(-1, 1) * scale * sharp / math.sqrt(count))
        self.phase = nn.Parameter(torch.empty(count, hidden, 1).uniform_(-math.pi, math.pi))
        self.place = nn.Parameter(torch.empty(count, hidden, 1).uniform_(-0.5, 0.5))
        self.maps = nn.ModuleList(Affine(hidden, hidden, 1 / math.sqrt(hidden), 1.0) for _ in range(layers))
        self.finish(hidden)

    def hidden(self, position: Tensor) -> Tensor:
        """The product of the waves."""
        waves = self._waves(position)
        found = waves[0]
        for wave, layer in zip(waves[1:], self.maps, strict=True):
            found = wave * layer(found)
        return found

    def _waves(self, t: Tensor) -> Tensor:
        sharp = bounded(self.log_sharpness.to(t.dtype), *_SHARPNESS)
        envelope = torch.exp(-0.5 * (sharp * (t - self.place.to(t.dtype))).square())
        return envelope * torch.sin(self.frequency.to(t.dtype) * t + self.phase.to(t.dtype))

    def set_extra_state(self, state: Tensor) -> None:
        """Also that of weights which were stored before there was the penalty."""
        super().set_extra_state(_named(state, self.hyper))

    def regularizers(self) -> dict[str, Tensor]:
        """anti_alias: sum over layers of max(0, F - Nyquist / (L + 1))^2, F = max (|w| + g) / 2 pi of the layer.

        Frequencies of a product add up, so each of the L + 1 factors gets its share. All in cycles per extent, where
        half a cycle per tap step is extent / (2 dilation).
        """
        share = 0.5 * self.spec.extent / self.spec.dilation / len(self.frequency)
        highest = (self.frequency.abs() + bounded(self.log_sharpness, *_SHARPNESS)).amax((1, 2)) / (2 * math.pi)
        return {"anti_alias": (highest - share).clamp(min=0).square().sum()}

    @staticmethod
    def param_count(spec: kernbench.KernelSpec, hidden: int = 32, layers: int = 3, **_: object) -> int:
        """4 (L + 1) h + L (h^2 + h) + (h + 1) P."""
        return 4 * (layers + 1) * hidden + layers * affine_count((hidden, hidden)) + affine_count((hidden, spec.pairs))

    @staticmethod
    def kernel_flops(spec: kernbench.KernelSpec, hidden: int = 32, layers: int = 3, **_: object) -> int:
        """2 K (L h^2 + h P): the products."""
        return layers * affine_flops(spec, (hidden, hidden)) + affine_flops(spec, (hidden, spec.pairs))


class FourierKan(KernelNetwork):
    """Two layers whose edges are Fourier series: h_j = sum over n of a_jn cos n x + b_jn sin n x, then again.

    x = pi t (K - 1) / K.

    Args:
        spec: channels, kernel size, extent.
        harmonics: of the first layer.
        hidden: h.
        inner: harmonics of the second layer.
    """

    def __init__(self, spec: kernbench.KernelSpec, harmonics: int = 8, hidden: int = 16, inner: int = 2) -> None:
        super().__init__(spec)
        self.harmonics, self.inner = harmonics, inner
        # the period is one tap longer than the kernel, or its first and its last tap would be the same
        self.period = math.pi * (spec.kernel_size - 1) / spec.kernel_size
        self.first = nn.Parameter(torch.randn(hidden, 2 * harmonics) / math.sqrt(harmonics))
        self.finish(2 * inner * hidden)

    def hidden(self, position: Tensor) -> Tensor:
        """Waves of the first layer's sums, (2 inner h, K); their weights are those of the last layer."""
        sums = self.first.to(position.dtype) @ _waves(self.period * position[None], self.harmonics)
        return _waves(sums, self.inner)

    @staticmethod
    def param_count(
        spec: kernbench.KernelSpec, harmonics: int = 8, hidden: int = 16, inner: int = 2, **_: object
    ) -> int:
        """2 n h + (2 n' h + 1) P."""
        return 2 * harmonics * hidden + affine_count((2 * inner * hidden, spec.pairs))

    @staticmethod
    def kernel_flops(
        spec: kernbench.KernelSpec, harmonics: int = 8, hidden: int = 16, inner: int = 2, **_: object
    ) -> int:
        """2 K (2 n h + 2 n' h P): the products."""
        return affine_flops(spec, (2 * harmonics, hidden)) + affine_flops(spec, (2 * inner * hidden, spec.pairs))


def _named(state: Tensor, hyper: Mapping[str, object]) -> Tensor:
    """Weights that do not name the penalty were trained without one; an inner network names no hyper-parameter."""
    unnamed = {f"hyper.{_PENALTY}": 0.0} if _PENALTY in hyper else {}
    stored = unnamed | json.loads(bytes(state.tolist()))
    return torch.tensor(list(json.dumps(stored).encode()), dtype=torch.uint8)


def _waves(x: Tensor, count: int) -> Tensor:
    """Cos n x and sin n x for n = 1 .. count: (h, K) -> (2 count h, K)."""
    order = torch.arange(1, count + 1, dtype=x.dtype, device=x.device)[:, None, None]
    return torch.cat([(order * x).cos(), (order * x).sin()]).flatten(0, 1)


_INNER: dict[str, type[KernelNetwork]] = {"gabor_mfn": GaborNetwork, "siren": SineNetwork, "rff": RandomFourier}


class Masked(kernbench.KernelModule):
    """FlexConv: exp(-(t - u)^2 / 2 s^2) times the kernel of a network; u and s of the layer learn.

    The kernel keeps its K taps: a cut where the mask is small would have no gradient.

    Args:
        spec: channels, kernel size, extent.
        inner: the network, "gabor_mfn", "siren" or "rff", at its own defaults but for its width.
        hidden: width of the network; of "rff" its features, an even number.
        width: s at the start, in extents.
        place: u at the start, in extents; the echo comes after its label.
        anti_alias: weight of that regularizer of the inner "gabor_mfn"; kernbench reads it.
    """

    threshold = 0.1  # of the mask, where FlexConv cuts its kernels

    def __init__(
        self,
        spec: kernbench.KernelSpec,
        inner: str = "gabor_mfn",
        hidden: int = 32,
        width: float = 0.4,
        place: float = 0.0,
        anti_alias: float = 0.0,
    ) -> None:
        super().__init__(spec)
        self.anti_alias = anti_alias
        self.kernel = _INNER[inner](spec, **_width(inner, hidden))
        self.log_width = nn.Parameter(torch.tensor(math.log(width)))
        self.place = nn.Parameter(torch.tensor(place))

    def forward(self, grid: kernbench.LagGrid) -> Tensor:
        """The masked kernel."""
        return self.unmasked(grid) * self._mask(grid)

    def unmasked(self, grid: kernbench.LagGrid) -> Tensor:
        """The kernel of the network."""
        values: Tensor = self.kernel(grid)
        return values

    def _mask(self, grid: kernbench.LagGrid) -> Tensor:
        t = grid.lags / grid.extent
        distance = (t - self.place.to(t.dtype)) / bounded(self.log_width.to(t.dtype), 1e-3, 1e6)
        return torch.exp(-0.5 * distance.square())

    def support(self, grid: kernbench.LagGrid) -> tuple[int, int]:
        """Taps lo .. hi - 1, at least one: outside, the mask is below `threshold`."""
        with torch.no_grad():
            mask = self._mask(grid)
        inside = (mask >= min(self.threshold, mask.max().item())).nonzero()
        return int(inside[0]), int(inside[-1]) + 1

    def param_groups(self) -> list[dict[str, object]]:
        """The mask learns at a tenth of the rate, as in FlexConv."""
        mask = [self.log_width, self.place]
        return [{"params": list(self.kernel.parameters())}, {"params": mask, "lr_mult": 0.1}]

    def set_extra_state(self, state: Tensor) -> None:
        """Also that of weights which were stored before there was the penalty."""
        super().set_extra_state(_named(state, self.hyper))

    def regularizers(self) -> dict[str, Tensor]:
        """Those of the network."""
        return self.kernel.regularizers() if isinstance(self.kernel, GaborNetwork) else {}

    def scale_(self, factor: float) -> None:
        """Multiply the kernel by a number, in the network's last layer."""
        self.kernel.scale_(factor)

    @staticmethod
    def param_count(spec: kernbench.KernelSpec, inner: str = "gabor_mfn", hidden: int = 32, **_: object) -> int:
        """Those of the network, and 2."""
        count = _INNER[inner].param_count(spec, **_width(inner, hidden))  # type: ignore[attr-defined]  # each has it
        return int(count) + 2

    @staticmethod
    def kernel_flops(spec: kernbench.KernelSpec, inner: str = "gabor_mfn", hidden: int = 32, **_: object) -> int:
        """Those of the network."""
        return int(_INNER[inner].kernel_flops(spec, **_width(inner, hidden)))  # type: ignore[attr-defined]


def _width(inner: str, hidden: int) -> dict[str, int]:
    """The width of a network as it calls it."""
    return {"features" if inner == "rff" else "hidden": hidden}
