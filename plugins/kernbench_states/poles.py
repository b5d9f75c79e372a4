"""Sums of complex exponentials: the impulse responses of diagonal state spaces, of each side of lag 0 its own."""

import math

import torch
from torch import Tensor, nn

import kernbench
from kernbench.kernels.building_blocks import Bank, bounded, sides


class Modes(Bank):
    """k = 2 Re sum over j of c_j (mode j at the distance from lag 0), c complex, of every channel pair and side.

    As a bank: real and imaginary part of every mode are two atoms of each side.

    Args:
        spec: channels, kernel size, extent.
        modes: J, conjugate pairs of poles.
    """

    of_pole = 2  # numbers that are learned of a pole
    rate = 0.1  # of the poles over that of their residues: S4 has 1e-3 and 1e-2

    def draw_modes(self, modes: int) -> None:
        """Draw the residues of J modes."""
        self.draw_mix(2 * modes * sides(self.spec))

    def bank(self, grid: kernbench.LagGrid) -> Tensor:
        """The modes at unit energy on the training grid, first those of the side of lag 0."""
        training = self.spec.grid(dtype=grid.lags.dtype, device=grid.lags.device)
        energy = self.raw(training).square().sum(-1, keepdim=True)
        return self.raw(grid) / energy.clamp(min=torch.finfo(grid.lags.dtype).tiny ** 0.5).sqrt()

    def raw(self, grid: kernbench.LagGrid) -> Tensor:
        """The modes before they are normalized, (2 J sides, K)."""
        step = grid.spacing * grid.dilation
        distance = grid.lags.abs()
        if self.spec.side != "centered":
            return _parts(self.modes(distance, step))
        later = grid.lags >= 0
        after = torch.where(later, 1.0, 0.0) * self.modes(distance * later, step)
        before = torch.where(later, 0.0, 1.0) * self.earlier(distance * ~later, step)
        return torch.cat([_parts(after), _parts(before)])

    def modes(self, distance: Tensor, step: float) -> Tensor:
        """Complex modes at distances >= 0 [samples] for taps `step` apart: (K,) -> (J, K)."""
        raise NotImplementedError

    def earlier(self, distance: Tensor, step: float) -> Tensor:
        """The same for the side before lag 0."""
        return self.modes(distance, step)

    def param_groups(self) -> list[dict[str, object]]:
        """Poles learn more slowly than residues and do not decay; of `s4d` and `poles` alike, one holds the other."""
        poles = [each for name, each in self.named_parameters() if name != "mix"]
        return [{"params": [self.mix]}, {"params": poles, "lr_mult": self.rate, "weight_decay": 0.0}]

    def to_state_space(self) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """A real system (A, B, C, D) for each side of lag 0, that of lags >= 0 first; J blocks of 2 x 2 in A.

        Returns:
            A (2 J, 2 J), B (2 J, 1), C (out_channels, in_channels // groups, 2 J), D (out_channels, in_channels //
            groups); D, C B, C A B, ... are the taps of the side from lag 0 outwards.
        """
        grid = self.spec.grid(dtype=self.mix.dtype, device=self.mix.device)
        energy = self.raw(grid).square().sum(-1).clamp(min=torch.finfo(grid.lags.dtype).tiny ** 0.5)
        residues = self.mix / energy.sqrt()
        step = float(self.spec.dilation)
        steps = step * torch.arange(2, dtype=grid.lags.dtype, device=grid.lags.device)
        turn = self.modes(steps, step)
        systems = []
        for side, weights in enumerate(residues.chunk(sides(self.spec), dim=-1)):
            # lag 0 is the first tap of the side that follows; of even K there is none
            first = step / 2 if grid.origin is None else side * step
            at = (self.modes, self.earlier)[side](first + steps, step)
            systems.append(_system(torch.complex(*_signed(weights)), at, turn[:, 1] / turn[:, 0]))
        return systems

    @classmethod
    def param_count(cls, spec: kernbench.KernelSpec, modes: int = 16, **_: object) -> int:
        """What a family learns of every pole, and 2 J P of each side."""
        return modes * (cls.of_pole + 2 * sides(spec) * spec.pairs)

    @staticmethod
    def kernel_flops(spec: kernbench.KernelSpec, modes: int = 16, **_: object) -> int:
        """4 K J P of each side: the mixing."""
        return 4 * spec.kernel_size * modes * sides(spec) * spec.pairs


def _signed(weights: Tensor) -> tuple[Tensor, Tensor]:
    """A and -b, so that Re (a - i b) m = a Re m + b Im m."""
    real, imaginary = weights.chunk(2, dim=-1)
    return real, -imaginary


def _system(residues: Tensor, at: Tensor, turn: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The system of modes that are `at` (J, 2) at the first two taps and turn by a complex factor (J) a step."""
    a = torch.block_diag(*(torch.stack([torch.stack([z.real, -z.imag]), torch.stack([z.imag, z.real])]) for z in turn))
    b = torch.stack([torch.ones_like(turn.real), torch.zeros_like(turn.real)], dim=-1).flatten()[:, None]
    second = residues * at[:, 1]
    c = torch.stack([second.real, -second.imag], dim=-1).flatten(-2)
    return a, b, c, (residues * at[:, 0]).sum(-1).real


def _parts(modes: Tensor) -> Tensor:
    return torch.cat([modes.real, modes.imag])


class DiagonalStateSpace(Modes):
    """S4D: taps (e^(D A) - 1) / A e^(n D A), exact integrals over a step (zero-order hold), A = -e^r + i v.

    Start: Re A = -1/2, Im A = pi j from j = 1 (a real pole has no imaginary part to mix), steps D log-uniform in
    0.001 .. 0.1. Taps of half the step add up in pairs to those of the whole one. Before lag 0 the first tap is at
    distance 0 of its side, as lag 0 is of the other.

    Args:
        spec: channels, kernel size, extent.
        modes: J, conjugate pairs of poles.
    """

    of_pole = 3

    def __init__(self, spec: kernbench.KernelSpec, modes: int = 16) -> None:
        super().__init__(spec)
        self.log_decay = nn.Parameter(torch.full((modes, 1), math.log(0.5)))
        self.frequency = nn.Parameter(math.pi * torch.arange(1, modes + 1, dtype=torch.get_default_dtype())[:, None])
        self.log_step = nn.Parameter((0.001 * 100 ** torch.rand(modes, 1) / spec.dilation).log())
        self.draw_modes(modes)

    def modes(self, distance: Tensor, step: float) -> Tensor:
        """See the class; divided by the spacing, as every kernel is per training sample."""
        size = bounded(self.log_step.to(distance.dtype), 1e-6 / self.spec.dilation, 1e2)
        decay = bounded(self.log_decay.to(distance.dtype), 1e-6, 1e4)
        # above half a cycle per tap step a mode would be the alias of another one
        fastest = math.pi / self.spec.dilation
        turn = (self.frequency.to(distance.dtype) * size).clamp(-fastest, fastest)
        pole = torch.complex(-decay * size, turn)  # D A, per sample
        return torch.expm1(pole * step) / pole * size * torch.exp(pole * distance) * (self.spec.dilation / step)

    def earlier(self, distance: Tensor, step: float) -> Tensor:
        """Integrals over the step that ends at the distance."""
        return self.modes((distance - step).clamp(min=0), step)


class Poles(Modes):
    """k = 2 Re sum of c_j lambda_j^|m|, lambda = exp(-exp(nu) + i theta): linear recurrent units, D-LinOSS and kin.

    Starts: "ring" moduli uniform in 0.9 .. 0.999 and angles uniform up to the fastest; "echo" 0.016 .. 0.08
    cycles/sample and decays of 20 .. 100 samples, the echo of a bubble; "oscillators" x'' = -A x - G x', critically
    to weakly damped; "s4d-lin" as the family `s4d`, decays of a half and angles pi j times a step in 0.001 .. 0.1.

    Args:
        spec: channels, kernel size, extent.
        modes: J, conjugate pairs of poles.
        start: see above.
    """

    def __init__(self, spec: kernbench.KernelSpec, modes: int = 16, start: str = "echo") -> None:
        super().__init__(spec)
        decay, angle = _start(start, modes)  # per tap step
        self.log_decay = nn.Parameter((decay / spec.dilation).log())
        self.angle = nn.Parameter(angle / spec.dilation)
        self.draw_modes(modes)

    def modes(self, distance: Tensor, step: float) -> Tensor:  # the step of the taps changes nothing at a point
        """See the class."""
        decay = bounded(self.log_decay.to(distance.dtype), 1e-9, 1e2)
        fastest = math.pi / self.spec.dilation
        return torch.exp(torch.complex(-decay, self.angle.to(distance.dtype).clamp(-fastest, fastest)) * distance)


def _start(name: str, modes: int) -> tuple[Tensor, Tensor]:
    """Decay and angle of every pole, per tap step, (J, 1)."""
    share = torch.rand(modes, 1)
    if name == "ring":
        return -(0.9 + 0.099 * torch.rand(modes, 1)).log(), math.pi / 5 * share
    if name == "echo":
        return 1 / (20 * 5 ** torch.rand(modes, 1)), 2 * math.pi * 0.016 * 5**share
    if name == "s4d-lin":
        step = 0.001 * 100**share
        # above half a cycle per tap step a pole would be the alias of another one
        return step / 2, (math.pi * torch.arange(1, modes + 1)[:, None] * step).clamp(max=0.9 * math.pi)
    own = 2 * math.pi * 0.01 * 10**share  # sqrt(A)
    ratio = 0.02 * 40 ** torch.rand(modes, 1)  # G / 2 sqrt(A), below 1
    return ratio * own, own * (1 - ratio.square()).sqrt()
