"""Unit gain at the start: without it a comparison of families measures their initializations."""

import torch
from torch import nn

from kernbench.errors import PluginError
from kernbench.kernels import capabilities
from kernbench.kernels.asked import ask
from kernbench.kernels.composed import ComposedConv
from kernbench.kernels.layer import KernelConv, layer_gain


def calibrate(layer: KernelConv) -> float:
    """Bring a layer to gain 1, inside its parameters.

    The family's own `scale_` is used if it has one; otherwise the layer gets a learnable amplitude per output
    channel, which counts as a parameter. A fixed factor outside the parameters would change the learning rate.

    Args:
        layer: a layer as built.

    Returns:
        The gain before calibration; `layer.gain` holds the one after.

    Raises:
        PluginError: the kernel is all zeros, or `scale_` raises or does not scale.
    """
    raw = layer.gain
    if isinstance(layer, ComposedConv):
        calibrate(layer.inner)
        layer.rescale_()
        layer.gain = layer_gain(layer.checked_kernel())
        return raw
    if raw == 0:
        raise PluginError(
            f"{layer.label} starts with a kernel of zeros, which has no gain to calibrate ({layer.place})"
        )
    if capabilities.of(layer.kernel_module, "scale_") is None:
        shape = (layer.spec.out_channels, 1, 1)
        layer.amplitude = nn.Parameter(torch.full(shape, 1 / raw, dtype=layer.dtype, device=layer.device))
    else:
        with torch.no_grad():
            ask(layer.kernel_module, "scale_", 1 / raw)
    layer.gain = layer_gain(layer.checked_kernel())
    if abs(layer.gain - 1) > 1e-3:
        raise PluginError(
            f"{layer.label}: scale_(c) must multiply the kernel by c: expected gain 1 after scale_({1 / raw:.4g}), "
            f"got {layer.gain:.4g} ({layer.place})"
        )
    return raw
