"""Every backend on every device gives the convolution of float64 on the CPU, forward and backward."""

import pytest
import torch

from kernbench.conv import convolve
from kernbench.conv.backends import BACKENDS

CUDA = pytest.param(
    "cuda", marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]
)
# (batch, in, out, groups, samples, taps, dilation)
SHAPES = {
    "dense": (3, 4, 6, 1, 700, 33, 1),
    "first": (3, 1, 5, 1, 700, 65, 1),
    "depthwise": (3, 4, 4, 4, 700, 17, 1),
    "groups": (2, 4, 6, 2, 700, 17, 1),
    "dilated": (2, 3, 4, 1, 700, 9, 8),
    "long": (2, 2, 3, 1, 900, 527, 1),
}


def results(signal, kernel, gradient, dilation, groups, backend):
    """Output and both gradients, on the CPU in float64."""
    signal, kernel = signal.detach().requires_grad_(), kernel.detach().requires_grad_()
    output = convolve(signal, kernel, dilation, groups, backend)
    output.backward(gradient)
    return [each.detach().cpu().double() for each in (output, signal.grad, kernel.grad)]


@pytest.mark.parametrize("device", ["cpu", CUDA])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_backend_gives_the_convolution(device, backend, shape, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)  # as a run of kernbench asks
    batch, inputs, outputs, groups, samples, taps, dilation = SHAPES[shape]
    generator = torch.Generator().manual_seed(0)
    signal = torch.randn(batch, inputs, samples, generator=generator)
    kernel = torch.randn(outputs, inputs // groups, taps, generator=generator) / taps
    gradient = torch.randn(batch, outputs, samples - dilation * (taps - 1), generator=generator)
    wanted = results(signal.double(), kernel.double(), gradient.double(), dilation, groups, "direct")
    found = results(*(each.to(device) for each in (signal, kernel, gradient)), dilation, groups, backend)
    for own, other in zip(found, wanted, strict=True):
        assert (own - other).norm() < 1e-5 * other.norm()
