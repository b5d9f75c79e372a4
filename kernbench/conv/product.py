"""Products of spectra, one small matrix per frequency and group, in the layout that each case wants.

With X of the signal, W of the kernel (reversed in time) and H the conjugate spectrum of the output's gradient:
Y = W X forward, H X^T for the kernel and W^T H for the signal, both conjugated afterwards. Conjugating H once is
cheaper than a lazy conjugate of X and W, which would be copied for every product.
"""

from typing import Protocol

import torch
from torch import Tensor


class Product(Protocol):
    """Spectra in a layout, and the three products that a convolution and its gradients need."""

    groups: int

    def __init__(self, groups: int) -> None:
        self.groups = groups

    def transform(self, blocks: Tensor) -> Tensor:
        """Real blocks (C, .., size) or kernels (Co, Ci // groups, size) to spectra in this layout."""

    def inverse(self, spectra: Tensor, size: int) -> Tensor:
        """Spectra in this layout to real rows (rows, size), channels slowest."""

    def output(self, w: Tensor, x: Tensor) -> Tensor:
        """Spectra of the output."""

    def to_kernel(self, h: Tensor, x: Tensor, total: Tensor | None) -> Tensor:
        """Conjugate spectra of the kernel's gradient, added to `total` in place if there is one."""

    def to_signal(self, h: Tensor, w: Tensor, total: Tensor | None) -> Tensor:
        """Conjugate spectra of the signal's gradient, added to `total` in place if there is one."""


class MatrixProduct(Product):
    """Frequency leads: (F g, C / g, rows) for signals, (F g, Co / g, Ci / g) for kernels; one matrix product each."""

    def transform(self, blocks: Tensor) -> Tensor:  # noqa: D102  # see Product
        channels = blocks.shape[0]
        spectra = torch.as_tensor(torch.fft.rfft(blocks))
        del blocks  # here and below: what is not needed any more would add to the peak of memory
        frequencies = spectra.shape[-1]
        leading = spectra.view(-1, frequencies).t().contiguous()  # 2-D: torch transposes it tile by tile
        return leading.view(frequencies * self.groups, channels // self.groups, -1)

    def inverse(self, spectra: Tensor, size: int) -> Tensor:  # noqa: D102
        rows = spectra.view(size // 2 + 1, -1).t().contiguous()
        del spectra
        return torch.as_tensor(torch.fft.irfft(rows, size))

    def output(self, w: Tensor, x: Tensor) -> Tensor:  # noqa: D102
        return torch.bmm(w, x)

    def to_kernel(self, h: Tensor, x: Tensor, total: Tensor | None) -> Tensor:  # noqa: D102
        if total is None:
            return torch.bmm(h, x.transpose(1, 2))
        return total.baddbmm_(h, x.transpose(1, 2))

    def to_signal(self, h: Tensor, w: Tensor, total: Tensor | None) -> Tensor:  # noqa: D102
        if total is None:
            return torch.bmm(w.transpose(1, 2), h)
        return total.baddbmm_(w.transpose(1, 2), h)


class ElementwiseProduct(Product):
    """One input channel per group: (g, C / g, rows, F), frequency last, so nothing has to be transposed."""

    def transform(self, blocks: Tensor) -> Tensor:  # noqa: D102  # see Product
        spectra = torch.as_tensor(torch.fft.rfft(blocks))
        return spectra.view(self.groups, blocks.shape[0] // self.groups, -1, spectra.shape[-1])

    def inverse(self, spectra: Tensor, size: int) -> Tensor:  # noqa: D102
        return torch.as_tensor(torch.fft.irfft(spectra, size)).view(-1, size)

    def output(self, w: Tensor, x: Tensor) -> Tensor:  # noqa: D102
        return w * x

    def to_kernel(self, h: Tensor, x: Tensor, total: Tensor | None) -> Tensor:  # noqa: D102
        gradient: Tensor = (h * x).sum(dim=2, keepdim=True)
        return gradient if total is None else total.add_(gradient)

    def to_signal(self, h: Tensor, w: Tensor, total: Tensor | None) -> Tensor:  # noqa: D102
        gradient: Tensor = (h * w).sum(dim=1, keepdim=True)
        return gradient if total is None else total.add_(gradient)


def product_for(per_group: int, groups: int) -> Product:
    """The product for a kernel with `per_group` input channels per group."""
    return ElementwiseProduct(groups) if per_group == 1 else MatrixProduct(groups)
