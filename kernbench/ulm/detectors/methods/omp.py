"""Sparse deconvolution by orthogonal matching pursuit (OMP): echo by echo, all amplitudes fitted again each time.

Source: Pati, Rezaiifar, Krishnaprasad (1993), "Orthogonal matching pursuit: recursive function approximation with
applications to wavelet decomposition", Asilomar Conf. Signals, Systems and Computers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
import torch
from numpy.typing import NDArray
from scipy.linalg.blas import dtpsv
from torch import Tensor

from kernbench.ulm.detectors.detector import Setting, combinations
from kernbench.ulm.detectors.methods.echoes import LEVELS, Bank, fft_length, in_unit
from kernbench.ulm.detectors.methods.envelope import DELAYS
from kernbench.ulm.detectors.recording import GAINS, Recording, conditioned
from kernbench.ulm.line import SAMPLES

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BANKS = ("single", "all", "per-line")
RATIOS = (0.5, 0.4, 0.3, 0.2, 0.15, 0.1, 0.07, 0.05)
MOST_ATOMS = 1200  # of a whole line; a window may have its share
LEAST_ENERGY = 0.1  # share of an echo that the line must hold; of less, an amplitude says nothing
INDEPENDENT = 1e-9  # least energy of an atom beyond the span of those chosen before, for a stable fit


@dataclass(frozen=True, eq=False)
class Atoms:
    """Echoes that explain a line.

    Attributes:
        template: which echo, (atoms,).
        sample: its arrival, (atoms,).
        amplitude: of the unit-energy echo, not cut, as least squares has it, (atoms,).
        ratio: norm of what they do not explain over that of the line.
    """

    template: Ints
    sample: Ints
    amplitude: Floats
    ratio: float


class Omp:
    """Amplitudes that are positive, in units of the expected echo, summed over the bank.

    Args:
        single: one template.
        bank: templates of several pressures; "per-line" takes those of the one pressure that explains a line with
            the fewest echoes.
    """

    name = "omp"
    parameters = 0
    delays = DELAYS

    def __init__(self, single: Bank, bank: Bank) -> None:
        self._banks = {"single": [single], "all": [bank], "per-line": [*bank.by_pressure().values()]}
        self._last: tuple[object, dict[float, Tensor]] | None = None

    def settings(self) -> list[Setting]:
        """Bank, gain, residual ratio and unit of the score; those that share a pursuit follow each other."""
        return combinations(bank=BANKS, gain=GAINS, ratio=RATIOS, level=LEVELS)

    def score(self, recording: Recording, setting: Setting) -> Tensor:
        """Amplitudes at the arrivals, (N, L)."""
        bank, gain, ratio = setting["bank"], setting["gain"], setting["ratio"]
        voltage, key = conditioned(recording, gain), (recording, bank, gain)
        if self._last is None or self._last[0] != key or ratio not in self._last[1]:
            # A search begins with the first ratio, and a pursuit passes the others on its way to the last.
            ratios = RATIOS if ratio == RATIOS[0] else (ratio,)
            self._last = key, self._solve(voltage, recording.depth, bank, gain, ratios)
        return in_unit(setting["level"], self._last[1][ratio], voltage)

    def _solve(
        self, voltage: Tensor, depth: Tensor, name: str, gain: str, ratios: Sequence[float]
    ) -> dict[float, Tensor]:
        """Sums of `Bank.summed` of the best bank, (2, N, L), for each ratio."""
        length = voltage.shape[1]
        banks = [(bank, Dictionary(bank.unit.double().cpu().numpy(), length)) for bank in self._banks[name]]
        found = torch.zeros(len(ratios), 2, *voltage.shape)
        for line, samples in enumerate(voltage.double().cpu().numpy()):
            tried = _pursue_each(samples, [dictionary for _, dictionary in banks], ratios)
            for place, ratio in enumerate(ratios):
                best = min(range(len(banks)), key=lambda each: _cost(tried[each][place], ratio))
                bank = banks[best][0]
                x = _spread(tried[best][place], len(bank.echoes), length)
                found[place, :, line] = bank.summed(x, depth[line : line + 1].cpu(), gain)[:, 0]
        return {ratio: each.to(voltage) for ratio, each in zip(ratios, found, strict=True)}


def _pursue_each(line: Floats, dictionaries: Sequence["Dictionary"], ratios: Sequence[float]) -> list[list[Atoms]]:
    """A pursuit in each dictionary, as far as it may still be the best one at any ratio."""
    most, tried = most_atoms(len(line)), []
    for dictionary in dictionaries:
        tried.append(pursue(line, dictionary, ratios, most))
        if tried[-1][-1].ratio <= ratios[-1]:
            # With more atoms than that, another one reaches no ratio with fewer atoms than this one did.
            most = len(tried[-1][-1].sample)
    return tried


def most_atoms(length: int) -> int:
    """Atoms at which the pursuit of a line of that many samples ends."""
    return math.ceil(MOST_ATOMS * length / SAMPLES)


def _cost(atoms: Atoms, ratio: float) -> tuple[bool, int, float]:
    """What makes one explanation worse than another: short of the ratio, more echoes, a larger residual."""
    return atoms.ratio > ratio, len(atoms.sample), atoms.ratio


def _spread(atoms: Atoms, templates: int, length: int) -> Tensor:
    """Positive amplitudes at their places, (1, B, L)."""
    x = torch.zeros(1, templates, length)
    kept = atoms.amplitude > 0
    x[0, atoms.template[kept], atoms.sample[kept]] = torch.from_numpy(atoms.amplitude[kept]).float()
    return x


class Dictionary:
    """All echoes of a bank at all arrivals, cut where the line ends and scaled to norm 1.

    Args:
        templates: from the arrival on, (B, K).
        length: of the line.

    Attributes:
        templates: as given.
        norm: of each echo within the line, (B, L).
        usable: whether the line holds enough of its energy, (B, L).
    """

    def __init__(self, templates: Floats, length: int) -> None:
        self.templates = templates
        self._points = fft_length(length, templates.shape[1])
        self._spectrum = scipy.fft.rfft(templates, n=self._points).conj()
        energy = np.cumsum(templates**2, axis=1)
        inside = np.minimum(templates.shape[1], length - np.arange(length)) - 1
        self.norm = np.sqrt(energy[:, inside])
        self.usable = self.norm**2 >= LEAST_ENERGY * energy[:, -1:]

    def correlation(self, line: Floats) -> Floats:
        """Product of a line (L,) with every atom, not normalized, (B, L)."""
        product_ = scipy.fft.rfft(line, n=self._points) * self._spectrum
        return np.asarray(scipy.fft.irfft(product_, n=self._points)[:, : len(line)])

    def atom(self, template: int, sample: int) -> Floats:
        """One of them from its arrival on, zeros behind the line's end, (K,)."""
        echo = self.templates[template] / self.norm[template, sample]
        echo[self.norm.shape[1] - sample :] = 0
        return np.asarray(echo)


def pursue(line: Floats, dictionary: Dictionary, ratios: Sequence[float], most: int) -> list[Atoms]:
    """Add the atom that correlates most with the residual and fit all amplitudes by least squares, again and again.

    Args:
        line: voltage, (L,).
        dictionary: atoms for lines of that length.
        ratios: of the residual's norm to the line's, falling; the pursuit is recorded where it first reaches each.
        most: atoms at which it ends.

    Returns:
        The atoms for each ratio; where a ratio is out of reach (`most` atoms, or none left that correlates
        positively), those at the end.
    """
    fit = _Fit(line, dictionary, most)
    weight = np.where(dictionary.usable, 1 / dictionary.norm, 0)
    found: list[Atoms] = []
    while len(found) < len(ratios):
        while len(found) < len(ratios) and fit.ratio <= ratios[len(found)]:
            found.append(fit.atoms())
        correlation = dictionary.correlation(fit.residual) * weight
        best = np.unravel_index(int(correlation.argmax()), correlation.shape)
        if fit.count == most or not correlation[best] > 1e-12 * fit.scale:
            break
        if not fit.add(int(best[0]), int(best[1])):
            weight[best] = 0
    return found + [fit.atoms()] * (len(ratios) - len(found))


class _Fit:
    """Least squares on a growing set of atoms, by a Cholesky factor of their Gram matrix that grows by a column.

    Args:
        line: (L,).
        dictionary: where the atoms come from.
        most: atoms.
    """

    def __init__(self, line: Floats, dictionary: Dictionary, most: int) -> None:
        self._line, self._dictionary = line, dictionary
        taps = dictionary.templates.shape[1]
        self._taps = np.arange(taps)
        self._padded = np.concatenate([line, np.zeros(taps)])
        self._echoes, self._samples = np.empty((most, taps)), np.empty(most, np.int64)
        self._templates = np.empty(most, np.int64)
        # Packed upper triangle R with R'R = Gram: a new column goes to the end, and nothing is copied.
        self._factor, self._rotated = np.empty(most * (most + 1) // 2), np.empty(most)
        self._fitted = np.empty(0)
        self.count = 0
        self.residual, self.scale = line, float(np.linalg.norm(line))

    @property
    def ratio(self) -> float:
        """Norm of the residual over that of the line; 0 for a silent line."""
        return float(np.linalg.norm(self.residual)) / self.scale if self.scale else 0.0

    def add(self, template: int, sample: int) -> bool:
        """Take an atom in and fit all amplitudes again; False, and nothing done, if it depends on the others."""
        k, echo = self.count, self._dictionary.atom(template, sample)
        column = self._solved(self._overlaps(echo, sample), transposed=True)
        beyond = 1 - float(column @ column)
        if beyond < INDEPENDENT:
            return False
        self._echoes[k], self._samples[k], self._templates[k] = echo, sample, template
        own = float(self._padded[sample + self._taps] @ echo)
        start = k * (k + 1) // 2
        self._factor[start : start + k], self._factor[start + k] = column, np.sqrt(beyond)
        self._rotated[k] = (own - float(column @ self._rotated[:k])) / np.sqrt(beyond)
        self.count += 1
        self._fitted = self._solved(self._rotated[: self.count], transposed=False)
        self.residual = self._line - self._synthesis()
        return True

    def atoms(self) -> Atoms:
        """What is chosen so far."""
        template, sample = self._templates[: self.count].copy(), self._samples[: self.count].copy()
        return Atoms(template, sample, self._fitted / self._dictionary.norm[template, sample], self.ratio)

    def _overlaps(self, echo: Floats, sample: int) -> Floats:
        """Products of an atom with the chosen ones, (k,)."""
        shift = self._samples[: self.count] - sample
        near = np.flatnonzero(np.abs(shift) < len(echo))
        taps = len(echo)
        around = np.concatenate([np.zeros(taps), echo, np.zeros(taps)])
        windows = np.lib.stride_tricks.sliding_window_view(around, taps)[taps + shift[near]]
        overlaps = np.zeros(self.count)
        overlaps[near] = np.einsum("nk,nk->n", windows, self._echoes[near])
        return overlaps

    def _solved(self, side: Floats, *, transposed: bool) -> Floats:
        """R x = side, or R' x = side."""
        if not self.count:
            return np.empty(0)
        packed = self._factor[: self.count * (self.count + 1) // 2]
        solution: Any = dtpsv(self.count, packed, side, trans=int(transposed))  # Any: BLAS is untyped
        return np.asarray(solution)

    def _synthesis(self) -> Floats:
        """Sum of the chosen atoms with their amplitudes, (L,)."""
        places = (self._samples[: self.count, None] + self._taps).ravel()
        weights = (self._echoes[: self.count] * self._fitted[:, None]).ravel()
        summed = np.bincount(places, weights, minlength=len(self._padded))
        return np.asarray(summed[: len(self._line)], np.float64)
