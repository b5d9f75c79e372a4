"""The sine network of CKConv, with three named starts."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

import kernbench
from kernbench_siren.ckconv import ckconv_layers


class Pointwise(nn.Module):
    """Weight-normalized affine map of columns, (in, K) -> (out, K), with weight g v / |v| by row.

    Own g and v instead of torch's parametrization, so that setting a weight really sets what the next forward uses.
    """

    def __init__(self, inputs: int, outputs: int, bound: float, bias: float) -> None:
        super().__init__()
        self.v = nn.Parameter(torch.empty(outputs, inputs).uniform_(-bound, bound))
        self.g = nn.Parameter(self.v.detach().norm(dim=1, keepdim=True))
        self.bias = nn.Parameter(torch.empty(outputs, 1).uniform_(-bias, bias) if bias else torch.zeros(outputs, 1))

    def weight(self) -> Tensor:
        """The effective weight, shape (out, in)."""
        norm: Tensor = self.v.norm(dim=1, keepdim=True)
        return self.v * (self.g / norm)

    def forward(self, columns: Tensor, factor: float = 1.0, bias_factor: float = 1.0) -> Tensor:
        """The map with its two parts scaled: factor * W x + bias_factor * b."""
        return torch.addmm(self.bias, self.weight(), columns, beta=bias_factor, alpha=factor)


class Siren(kernbench.KernelModule):
    """k(t) = W3 sin(w0 (W2 sin(w0 (W1 t + b1)) + b2)) + b3 with t = lag / extent in [-1, 1].

    Starts (`init`), h = hidden width, all weights set through g and v:
        calibrated: W1 ~ U(-1, 1), W2 ~ U(+-sqrt(6/h)/w0), phases uniform on the circle (zero biases would make every
            kernel odd), W3 ~ U(+-sqrt(3/h)) / sqrt(fan_in), b3 = 0.
        siren-intended: W1 ~ U(-1, 1), W2, W3 ~ U(+-sqrt(6/h)/w0), biases U(-1, 1), as CKConv's code means to draw.
        ckconv-effective: weights U(+-1/sqrt(h)), biases U(-1, 1): what that code really trains from, because it
            sets the weights behind the back of its weight normalization.

    Args:
        spec: channels, kernel size, extent.
        omega_0: w0, in radians per extent.
        hidden: h.
        init: name of the start.
        omega_bias: w0 multiplies the biases too (CKConv's code); False: sin(w0 W x + b), as the thesis writes.
    """

    def __init__(
        self,
        spec: kernbench.KernelSpec,
        omega_0: float = 30.0,
        hidden: int = 32,
        init: str = "calibrated",
        omega_bias: bool = True,
    ) -> None:
        super().__init__(spec)
        self.omega_0 = omega_0
        self.bias_factor = omega_0 if omega_bias else 1.0
        bounds, biases = _start(init, hidden, omega_0, self.bias_factor, spec)
        self.first = Pointwise(1, hidden, bounds[0], biases[0])
        self.second = Pointwise(hidden, hidden, bounds[1], biases[1])
        self.last = Pointwise(hidden, spec.pairs, bounds[2], biases[2])

    def forward(self, grid: kernbench.LagGrid) -> Tensor:
        """The kernel at grid.lags / grid.extent."""
        position = (grid.lags / grid.extent)[None]
        hidden = torch.sin(self.first(position, self.omega_0, self.bias_factor))
        hidden = torch.sin(self.second(hidden, self.omega_0, self.bias_factor))
        out_channels, in_channels, _ = self.spec.shape
        values: Tensor = self.last(hidden)
        return values.view(out_channels, in_channels, -1)

    def scale_(self, factor: float) -> None:
        """Multiply the kernel by a number, in gain and bias of the last layer."""
        self.last.g.mul_(factor)
        self.last.bias.mul_(factor)

    def import_state(self, format_name: str, state: Mapping[str, Any]) -> None:
        """Take the kernel network of a trained model of other code; all of it or nothing.

        Args:
            format_name: "ckconv", the code of Romero et al. (2022), whose kernel networks have three layers.
            state: name -> array of that network alone. Names end in weight_g, weight_v and bias, or in
                parametrizations.weight.original0, original1 and bias (newer torch); layers are taken in the order of
                their numbers. An entry "omega_0" is compared. Its axis from -1 to 1 is that of a centered kernel.

        Raises:
            kernbench.KernbenchError: another format, a name or a shape that does not fit, another omega_0.
        """
        if format_name != "ckconv":
            raise kernbench.KernbenchError(f"siren imports the format ckconv, got {format_name!r}")
        if self.bias_factor != self.omega_0:
            raise kernbench.KernbenchError(
                "CKConv multiplies its biases by omega_0: build siren with omega_bias = true"
            )
        layers = ckconv_layers(state, self.omega_0)
        pairs = [
            (getattr(part, name), name, layer)
            for part, layer in zip((self.first, self.second, self.last), layers, strict=True)
            for name in ("g", "v", "bias")
        ]
        for parameter, name, layer in pairs:
            layer.check(name, tuple(parameter.shape))
        with torch.no_grad():
            for parameter, name, layer in pairs:
                parameter.copy_(layer.values[name].view_as(parameter))

    @staticmethod
    def param_count(spec: kernbench.KernelSpec, hidden: int = 32, **_: object) -> int:
        """3 h + h^2 + 2 h + (h + 2) P."""
        return 3 * hidden + hidden**2 + 2 * hidden + (hidden + 2) * spec.pairs

    @staticmethod
    def kernel_flops(spec: kernbench.KernelSpec, hidden: int = 32, **_: object) -> int:
        """2 K (h + h^2 + h P): the three products, sines not counted."""
        return 2 * spec.kernel_size * (hidden + hidden**2 + hidden * spec.pairs)


def _start(
    init: str, hidden: int, omega_0: float, bias_factor: float, spec: kernbench.KernelSpec
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Bounds of the uniform weights and biases of the three layers."""
    sine = math.sqrt(6 / hidden) / omega_0
    default = 1 / math.sqrt(hidden)
    fan_in = spec.shape[1] * spec.kernel_size
    phase = math.pi / bias_factor
    starts = {
        "calibrated": ((1.0, sine, math.sqrt(3 / hidden / fan_in)), (phase, phase, 0.0)),
        "siren-intended": ((1.0, sine, sine), (1.0, 1.0, 1.0)),
        "ckconv-effective": ((1.0, default, default), (1.0, 1.0, 1.0)),
    }
    if init not in starts:
        raise kernbench.KernbenchError(f"siren: init must be one of {', '.join(starts)}, got {init!r}")
    return starts[init]
