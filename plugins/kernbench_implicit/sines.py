"""Sine networks with other activations and starts: FINER, WIRE, WINNER, several frequencies."""

import math

import torch
from torch import Tensor, nn

import kernbench
from kernbench_implicit.network import Affine, KernelNetwork, affine_count, affine_flops

_FACTORS = 0.01, 2.0  # of a learned frequency over the one at the start


class SineNetwork(KernelNetwork):
    """Three affine layers with two activations of omega_0 z; weights as SIREN prescribes, phases on the circle.

    Args:
        spec: channels, kernel size, extent.
        omega_0: highest frequency of the first layer, in rad per extent.
        hidden: width h of both hidden layers.
    """

    rows = 1  # that an activation gives for one

    def __init__(self, spec: kernbench.KernelSpec, omega_0: float = 30.0, hidden: int = 32) -> None:
        super().__init__(spec)
        self.omega_0 = omega_0
        phase = math.pi / omega_0
        self.first = Affine(1, hidden, 1.0, phase)
        self.second = Affine(hidden * self.rows, hidden, math.sqrt(6 / hidden) / omega_0, phase)
        self.finish(hidden * self.rows)

    def hidden(self, position: Tensor) -> Tensor:
        """Both hidden layers."""
        return self.activation(self.second(self.activation(self.first(position[None]))))

    def activation(self, z: Tensor) -> Tensor:
        """sin(omega_0 z)."""
        return torch.sin(self.omega_0 * z)

    @classmethod
    def param_count(cls, spec: kernbench.KernelSpec, hidden: int = 32, **_: object) -> int:
        """2 h + h^2 + h + (h + 1) P; more where an activation gives several rows."""
        wide = cls.rows * hidden
        return affine_count((1, hidden)) + affine_count((wide, hidden)) + affine_count((wide, spec.pairs))

    @classmethod
    def kernel_flops(cls, spec: kernbench.KernelSpec, hidden: int = 32, **_: object) -> int:
        """2 K (h + h^2 + h P): the products."""
        wide = cls.rows * hidden
        return sum(affine_flops(spec, widths) for widths in ((1, hidden), (wide, hidden), (wide, spec.pairs)))


class Finer(SineNetwork):
    """sin(omega_0 (|z| + 1) z): the frequency grows with the pre-activation, so first biases reach high ones.

    Args:
        spec: channels, kernel size, extent.
        omega_0: in rad per extent.
        hidden: h.
        bias: biases of the first layer are uniform in +-bias.
    """

    def __init__(self, spec: kernbench.KernelSpec, omega_0: float = 30.0, hidden: int = 32, bias: float = 1.0) -> None:
        super().__init__(spec, omega_0, hidden)
        self.first = Affine(1, hidden, 1.0, bias)

    def activation(self, z: Tensor) -> Tensor:
        """See the class; the factor is no path for gradients, as published."""
        return torch.sin(self.omega_0 * (z.detach().abs() + 1) * z)


class Wire(SineNetwork):
    """exp(-(s z)^2) times cosine and sine of omega_0 z: the real and the imaginary part of a complex Gabor wave.

    Args:
        spec: channels, kernel size, extent.
        omega_0: in rad per extent.
        hidden: h.
        sharpness: s.
    """

    rows = 2

    def __init__(
        self, spec: kernbench.KernelSpec, omega_0: float = 20.0, hidden: int = 32, sharpness: float = 5.0
    ) -> None:
        self.sharpness = sharpness
        super().__init__(spec, omega_0, hidden)
        self.first = Affine(1, hidden, 1.0, 1.0)  # waves all over the extent: their envelope is narrow

    def activation(self, z: Tensor) -> Tensor:
        """See the class."""
        angle, envelope = self.omega_0 * z, torch.exp(-(self.sharpness * z).square())
        return torch.cat([envelope * angle.cos(), envelope * angle.sin()])


class Winner(SineNetwork):
    """SIREN whose first two layers start with Gaussian noise on their weights, so that high frequencies are there.

    Args:
        spec: channels, kernel size, extent.
        omega_0: in rad per extent.
        hidden: h.
        noise: standard deviation of the noise over the bound of the weights.
    """

    def __init__(self, spec: kernbench.KernelSpec, omega_0: float = 30.0, hidden: int = 32, noise: float = 1.0) -> None:
        super().__init__(spec, omega_0, hidden)
        with torch.no_grad():
            for layer, bound in ((self.first, 1.0), (self.second, math.sqrt(6 / hidden) / omega_0)):
                layer.weight.add_(noise * bound * torch.randn(layer.weight.shape))


class MultiSine(KernelNetwork):
    """sin(2 pi w_r W_r t + b_r), rows in blocks of their own frequency w_r, then a sine layer without one.

    Args:
        spec: channels, kernel size, extent.
        lowest: w of the first block, cycles per extent.
        highest: w of the last block.
        blocks: frequencies, log-spaced; lowered to `hidden`.
        hidden: h.
        learned: whether a factor of every row's frequency, between 0.01 and 2, is learned.
    """

    frequency: Tensor

    def __init__(
        self,
        spec: kernbench.KernelSpec,
        lowest: float = 1.0,
        highest: float = 12.0,
        blocks: int = 8,
        hidden: int = 32,
        learned: bool = False,
    ) -> None:
        super().__init__(spec)
        self.highest = highest
        own = torch.logspace(math.log10(lowest), math.log10(highest), min(blocks, hidden))
        rows = own.repeat_interleave(-(-hidden // len(own)))[:hidden]
        self.register_buffer("frequency", (2 * math.pi * rows)[:, None])
        self.register_parameter("factor", nn.Parameter(torch.ones(hidden, 1)) if learned else None)
        self.first = Affine(1, hidden, 1.0, math.pi)
        self.second = Affine(hidden, hidden, math.sqrt(6 / hidden), math.pi)
        self.finish(hidden)

    factor: nn.Parameter | None

    def hidden(self, position: Tensor) -> Tensor:
        """Both sine layers."""
        frequency = self.frequency.to(position.dtype)
        if self.factor is not None:
            frequency = frequency * self.factor
        first = torch.sin(frequency * (self.first.weight @ position[None]) + self.first.bias)
        return torch.sin(self.second(first))

    def constrain_(self) -> None:
        """Keep the learned factors between 0.01 and 2."""
        if self.factor is not None:
            self.factor.clamp_(*_FACTORS)

    def param_groups(self) -> list[dict[str, object]]:
        """With learned factors the first layer learns at 1 / (2 pi highest) of the rate; factors do not decay."""
        if self.factor is None:
            return [{"params": list(self.parameters())}]
        others = [self.factor, *self.second.parameters(), *self.last.parameters()]
        first = list(self.first.parameters())
        return [{"params": others}, {"params": first, "lr_mult": 1 / (2 * math.pi * self.highest)}]

    @staticmethod
    def param_count(spec: kernbench.KernelSpec, hidden: int = 32, learned: bool = False, **_: object) -> int:
        """2 h + h^2 + h + (h + 1) P, and h if the frequencies learn."""
        return affine_count((1, hidden, hidden, spec.pairs)) + (hidden if learned else 0)

    @staticmethod
    def kernel_flops(spec: kernbench.KernelSpec, hidden: int = 32, **_: object) -> int:
        """2 K (h + h^2 + h P): the products."""
        return affine_flops(spec, (1, hidden, hidden, spec.pairs))
