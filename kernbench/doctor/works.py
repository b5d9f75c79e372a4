"""Small pieces of what a cell computes, the same on every device: convolution, training, simulation."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from kernbench.conv import convolve
from kernbench.networks.bundled import SHALLOW
from kernbench.networks.network import build
from kernbench.training.batches import TrainingData
from kernbench.training.loop import train
from kernbench.training.settings import Hooks, Settings
from kernbench.ulm.scoring.loss import TrainingLoss
from kernbench.ulm.simulator.scene import Scene
from kernbench.ulm.simulator.simulate import simulate_lines

FAMILY = "discrete"
STEPS = 20
BUBBLES = 40
_EPOCHS, _LINES, _SAMPLES = 5, 8, 512  # 20 updates of two lines


@dataclass(frozen=True)
class Shape:
    """A convolution: `convolve` has the meaning of each number."""

    inputs: int
    outputs: int
    samples: int
    taps: int
    dilation: int = 1
    groups: int = 1
    batch: int = 2


# a first layer of many taps, a layer of networks that are not dilated, one of those that are, one per channel
SHAPES = (
    Shape(1, 8, 2048, 527),
    Shape(8, 8, 1024, 65),
    Shape(8, 8, 1024, 3, dilation=32),
    Shape(8, 8, 1024, 33, groups=8),
)


def convolved(shape: Shape, convolution: Callable[..., Tensor], device: str, dtype: torch.dtype) -> list[Tensor]:
    """Output, gradient of the signal and gradient of the kernel, float64 on the CPU.

    Args:
        shape: see Shape; what is convolved depends on nothing else.
        convolution: of signal, kernel, dilation and groups.
        device: that computes.
        dtype: in which it computes.
    """
    generator = torch.Generator().manual_seed(0)
    outputs = shape.samples - shape.dilation * (shape.taps - 1)
    sizes = (
        (shape.batch, shape.inputs, shape.samples),
        (shape.outputs, shape.inputs // shape.groups, shape.taps),
        (shape.batch, shape.outputs, outputs),
    )
    drawn = (torch.randn(size, generator=generator).to(device=device, dtype=dtype) for size in sizes)
    signal, kernel, gradient = drawn
    output = convolution(signal.requires_grad_(), kernel.requires_grad_(), shape.dilation, shape.groups)
    output.backward(gradient)
    assert signal.grad is not None
    assert kernel.grad is not None
    return [each.detach().to("cpu", torch.float64) for each in (output, signal.grad, kernel.grad)]


def backend(name: str) -> Callable[..., Tensor]:
    """`convolve` on one backend, as `convolved` takes it."""
    return lambda signal, kernel, dilation, groups: convolve(signal, kernel, dilation, groups, name)


def trained(device: str, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Losses of five epochs (twenty updates) and all parameters at the end, float64 on the CPU.

    Args:
        device: that trains.
        dtype: of parameters and lines.

    Raises:
        PluginError: the family `FAMILY` is not there.
    """
    with torch.random.fork_rng(devices=[]):  # parameters are drawn on the CPU
        torch.manual_seed(0)
        network: nn.Module = build(SHALLOW, FAMILY, 33, channels=4).to(device=device, dtype=dtype)
    generator = torch.Generator().manual_seed(1)
    signal = torch.randn(_LINES, _SAMPLES, generator=generator)
    target = torch.rand(_LINES, _SAMPLES, generator=generator) < 0.03
    data = TrainingData(signal.to(device=device, dtype=dtype), target.to(device=device, dtype=dtype))
    settings = Settings(_EPOCHS, _LINES * _EPOCHS // STEPS, "per-batch", 1e-3, 1000, 0.1, 1000)
    curve = train(network, data, TrainingLoss(), settings, Hooks(validate=lambda _: (0.0, 0.0)), order_seed=0)
    parameters = [each.detach().to("cpu", torch.float64).ravel() for each in network.parameters()]
    return torch.tensor([row.train_loss for row in curve], dtype=torch.float64), torch.cat(parameters)


def simulated(device: str) -> Tensor:
    """Voltage of one line of `BUBBLES` bubbles, (1, 8446)."""
    draw = np.random.default_rng(0)
    depth, beside = draw.uniform(0.01, 0.09, BUBBLES), draw.uniform(0.0, 0.002, BUBBLES)
    return simulate_lines([Scene(depth, beside, draw.uniform(2.0e-6, 2.8e-6, BUBBLES), 50e3)], device=device).voltage


def relative_difference(own: Tensor, wanted: Tensor) -> float:
    """Largest absolute difference, in parts of the largest value; infinite where a value is not finite."""
    difference = float((own - wanted).abs().max() / wanted.abs().max())
    return difference if np.isfinite(difference) else float("inf")
