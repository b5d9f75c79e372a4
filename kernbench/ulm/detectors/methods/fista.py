"""Sparse non-negative deconvolution by a bank of echoes, solved by FISTA for all lines together.

Source: Beck and Teboulle (2009), "A fast iterative shrinkage-thresholding algorithm for linear inverse problems",
SIAM J. Imaging Sciences 2(1).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from kernbench.ulm.detectors.detector import Setting, combinations
from kernbench.ulm.detectors.methods.echoes import LEVELS, Bank, fft_length, in_unit
from kernbench.ulm.detectors.methods.envelope import DELAYS
from kernbench.ulm.detectors.recording import GAINS, Recording, conditioned

PENALTIES = tuple(10 ** (-3 + i / 2) for i in range(6))
GAPS = (0, 2, 4, 8)
ITERATIONS = 200
RELATIVE_CHANGE = 1e-4
CHECK_EVERY = 10  # iterations between two checks of which lines are done
# Amplitudes solved together: few enough for the cache of a core, or many, to hide the launches of a GPU.
ELEMENTS = {"cpu": 1 << 17, "cuda": 1 << 26}


class Fista:
    """Echo amplitudes in units of the expected echo, summed over the bank; neighbours merged into their centroid."""

    parameters = 0
    delays = DELAYS

    def __init__(self, name: str, bank: Bank, *, per_line: bool = False) -> None:
        self.name = name
        self._banks = [*bank.by_pressure().values()] if per_line else [bank]
        self._last: tuple[object, Tensor] | None = None

    def settings(self) -> list[Setting]:
        """Penalty, gain, unit of the score and gap; those that share a solution follow each other."""
        return combinations(gain=GAINS, penalty=PENALTIES, level=LEVELS, gap=GAPS)

    def score(self, recording: Recording, setting: Setting) -> Tensor:
        """Merged amplitudes, (N, L)."""
        gain, penalty = setting["gain"], setting["penalty"]
        voltage, key = conditioned(recording, gain), (recording, gain, penalty)
        if self._last is None or self._last[0] != key:
            self._last = key, self._solve(voltage, recording.depth, gain, penalty)
        return merged(in_unit(setting["level"], self._last[1], voltage), setting["gap"])

    def _solve(self, voltage: Tensor, depth: Tensor, gain: str, penalty: float) -> Tensor:
        """Sums of `Bank.summed` of the best bank, (2, N, L), some lines at a time."""
        elements = ELEMENTS.get(voltage.device.type, ELEMENTS["cpu"])
        size = max(1, elements // (len(self._banks[0].echoes) * voltage.shape[1]))
        parts = zip(voltage.split(size), depth.split(size), strict=True)
        return torch.cat([self._best(*part, gain, penalty) for part in parts], dim=1)

    def _best(self, voltage: Tensor, depth: Tensor, gain: str, penalty: float) -> Tensor:
        """Summed amplitudes of the bank with the smallest residual, for each line, (2, N, L)."""
        least = torch.full((len(voltage),), float("inf"), device=voltage.device)
        best = voltage.new_zeros(2, *voltage.shape)
        for bank in (each.to(voltage.device) for each in self._banks):
            amplitude, residual = solve(voltage, bank.unit, penalty)
            wins = residual < least
            least = least.minimum(residual)
            best = torch.where(wins[:, None], bank.summed(amplitude, depth, gain), best)
        return best


def solve(
    voltage: Tensor, templates: Tensor, penalty: float, iterations: int = ITERATIONS, change: float = RELATIVE_CHANGE
) -> tuple[Tensor, Tensor]:
    """Minimize 0.5 norm(V - sum_b conv(s_b, x_b))^2 + lambda sum x over x >= 0, for each line.

    Echoes are cut where the line ends.

    Args:
        voltage: (N, L).
        templates: from the arrival on, (B, K).
        penalty: lambda as a share of the line's largest correlation with a template.
        iterations: most that are made.
        change: relative change of x from one iteration to the next that ends a line's search.

    Returns:
        Amplitudes of the templates, (N, B, L), >= 0, and the energy of what they do not explain, (N,).
    """
    model = _Convolution(templates, voltage.shape[1])
    slope = model.adjoint(voltage)
    threshold = penalty * slope.amax(dim=(1, 2), keepdim=True).clamp(min=0)
    x = torch.zeros_like(slope)
    open_ = torch.arange(len(voltage), device=voltage.device)
    state = _State(voltage, threshold * model.step, x, x, 1.0)
    for iteration in range(1, iterations + 1):
        new = _iterate(state, model)
        if iteration % CHECK_EVERY == 0:
            moved = (new.x - state.x).flatten(1).norm(dim=1) >= change * new.x.flatten(1).norm(dim=1)
            going = moved & (new.x.flatten(1).amax(dim=1) > 0)
            x[open_[~going]] = new.x[~going]
            new, open_ = new.rows(going), open_[going]
        state = new
        if not len(open_):
            break
    x[open_] = state.x
    return x, (voltage - model(x)).square().sum(dim=1)


@dataclass(frozen=True, eq=False)
class _State:
    """Lines that are still searched: voltage, threshold of a step, amplitudes, point of the next gradient, momentum."""

    voltage: Tensor
    threshold: Tensor
    x: Tensor
    ahead: Tensor
    momentum: float

    def rows(self, kept: Tensor) -> "_State":
        if bool(kept.all()):
            return self
        return _State(self.voltage[kept], self.threshold[kept], self.x[kept], self.ahead[kept], self.momentum)


class _Convolution:
    """The linear map from amplitudes (N, B, L) to lines (N, L), and its adjoint."""

    def __init__(self, templates: Tensor, length: int) -> None:
        self._length = length
        self._points = fft_length(length, templates.shape[1])
        self._spectrum = torch.fft.rfft(templates, n=self._points)
        # A bound of the squared norm: the map is a part of a circulant one with this very norm.
        self.step = 1 / float(self._spectrum.abs().square().sum(dim=0).max())

    def __call__(self, x: Tensor) -> Tensor:
        summed = (torch.fft.rfft(x, n=self._points) * self._spectrum).sum(dim=1)
        line: Tensor = torch.fft.irfft(summed, n=self._points)[:, : self._length]
        return line

    def adjoint(self, line: Tensor) -> Tensor:
        spectrum = torch.fft.rfft(line, n=self._points)[:, None] * self._spectrum.conj()
        x: Tensor = torch.fft.irfft(spectrum, n=self._points)[..., : self._length]
        return x


def _iterate(state: _State, model: _Convolution) -> _State:
    """One step: gradient at the point ahead, soft threshold, clip at 0, Nesterov's momentum."""
    upward = model.adjoint(state.voltage - model(state.ahead))
    x = torch.add(state.ahead, upward, alpha=model.step).sub_(state.threshold).clamp_(min=0)
    momentum = (1 + (1 + 4 * state.momentum**2) ** 0.5) / 2
    ahead = torch.lerp(state.x, x, 1 + (state.momentum - 1) / momentum)
    return _State(state.voltage, state.threshold, x, ahead, momentum)


def merged(score: Tensor, gap: int) -> Tensor:
    """Runs of positive samples as one sample each: their sum at their centroid, rounded half up.

    Args:
        score: >= 0, (N, L).
        gap: samples; runs whose facing ends are at most that many zeros apart become one.
    """
    line, sample = score.nonzero(as_tuple=True)
    if not len(line):
        return torch.zeros_like(score)
    new = torch.ones(len(line), dtype=torch.bool, device=score.device)
    new[1:] = (line.diff() > 0) | (sample.diff() > gap + 1)
    run = new.cumsum(0) - 1
    weight = score[line, sample].double()
    total = torch.bincount(run, weight)
    centre = (torch.bincount(run, weight * sample) / total + 0.5).floor().long()
    result = torch.zeros_like(score)
    result[line[new], centre] = total.to(score)
    return result
