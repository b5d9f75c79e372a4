"""Orthogonal polynomials under a window."""

import math

import torch
from torch import Tensor

import kernbench
from kernbench.kernels.building_blocks import Bank, hann, position


class Polynomials(Bank):
    """k = win(t) sum over n of a_n p_n(t), t in [-1, 1] from the first tap to the last; orthonormal on the taps.

    Sampled polynomials are not orthonormal, so the triangular factor of a QR decomposition on the training grid is
    applied on every grid. Without the window the values at the ends dominate.

    Args:
        spec: channels, kernel size, extent.
        order: highest degree N; lowered to what the taps carry, N + 1 <= 2 sqrt(K).
        window: "hann" or "none".
    """

    factor: Tensor

    def __init__(self, spec: kernbench.KernelSpec, order: int = 12, window: str = "hann") -> None:
        super().__init__(spec)
        self.count, self.window = _count(spec, order), window
        raw = self._windowed(spec.grid(dtype=torch.float64).lags)
        triangle = torch.linalg.qr(raw.T)[1]
        inverse = torch.linalg.solve_triangular(triangle, torch.eye(self.count, dtype=torch.float64), upper=True)
        self.register_buffer("factor", inverse.T.to(torch.get_default_dtype()))
        self.draw_mix(self.count)

    def atoms(self, lags: Tensor) -> Tensor:
        """The windowed polynomials, orthonormal on the training grid."""
        return self.factor.to(lags.dtype) @ self._windowed(lags)

    def _windowed(self, lags: Tensor) -> Tensor:
        shape = hann(self.spec, lags) if self.window == "hann" else torch.ones_like(lags)
        return self.polynomials(position(self.spec, lags)) * shape

    def polynomials(self, t: Tensor) -> Tensor:
        """p_0 .. p_N at t: (K,) -> (N + 1, K), by their three-term recurrence."""
        found = [torch.ones_like(t), t]
        for n in range(1, self.count - 1):
            a, b = self.step(n)
            found.append(a * t * found[n] - b * found[n - 1])
        return torch.stack(found[: self.count])

    @staticmethod
    def step(n: int) -> tuple[float, float]:
        """A and b of p_(n + 1) = a t p_n - b p_(n - 1)."""
        raise NotImplementedError

    @staticmethod
    def param_count(spec: kernbench.KernelSpec, order: int = 12, **_: object) -> int:
        """(N + 1) P."""
        return _count(spec, order) * spec.pairs

    @staticmethod
    def kernel_flops(spec: kernbench.KernelSpec, order: int = 12, **_: object) -> int:
        """2 K (N + 1) P: the mixing."""
        return 2 * spec.kernel_size * _count(spec, order) * spec.pairs


class Legendre(Polynomials):
    """Legendre polynomials: (n + 1) P_(n + 1) = (2 n + 1) t P_n - n P_(n - 1)."""

    @staticmethod
    def step(n: int) -> tuple[float, float]:
        """See the class."""
        return (2 * n + 1) / (n + 1), n / (n + 1)


class Chebyshev(Polynomials):
    """Chebyshev polynomials of the first kind: T_(n + 1) = 2 t T_n - T_(n - 1)."""

    @staticmethod
    def step(n: int) -> tuple[float, float]:
        """See the class."""
        return 2.0, 1.0


def _count(spec: kernbench.KernelSpec, order: int) -> int:
    return min(order + 1, spec.kernel_size, max(2, int(2 * math.sqrt(spec.kernel_size))))
