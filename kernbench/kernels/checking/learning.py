"""Checks of what training needs: numbers that are counted, gradients, gain 1."""

import torch

from kernbench.errors import counted
from kernbench.kernels import capabilities
from kernbench.kernels.capability_checks import scales
from kernbench.kernels.checking.kernels import BASE, ONE_SIDED, SPECS, buildable, kernel_of, other_hypers
from kernbench.kernels.counting import trainable_numbers
from kernbench.kernels.family import KernelFamily
from kernbench.kernels.finding import Finding
from kernbench.kernels.gain import calibrate
from kernbench.kernels.layer import KernelConv
from kernbench.kernels.space import Value


def param_count(family: KernelFamily) -> str:
    """The closed form is the number of trainable parameters."""
    for where, spec in buildable(family, {**SPECS, **ONE_SIDED}).items():
        for hyper in ({}, *other_hypers(family)):
            numel = trainable_numbers(family.build(spec, hyper))
            declared = family.param_count(spec, hyper)
            if declared != numel:
                raise Finding(f"{where}, {hyper or 'defaults'}: param_count says {declared}, the module has {numel}")
    closed = capabilities.of(family.load(), "param_count") is not None
    return "closed form agrees" if closed else "no closed form: counted by construction"


def gradient(family: KernelFamily) -> str:
    """Every parameter has a gradient after one step."""
    answers = [_gradient_with(family, hyper) for hyper in ({}, *other_hypers(family))]
    return answers[0]


def _gradient_with(family: KernelFamily, hyper: dict[str, Value]) -> str:
    module = family.build(BASE, hyper)
    target = torch.randn(BASE.shape)
    parameters = {name: p for name, p in module.named_parameters() if p.requires_grad}
    if not parameters:
        return "no parameters"
    optimizer = torch.optim.SGD(parameters.values(), lr=1e-3)
    for step in range(2):  # after one step: an output layer may start at 0 and shut the others off
        optimizer.zero_grad()
        (kernel_of(module) - target).square().sum().backward()
        if step == 0:
            optimizer.step()
    dead = [name for name, p in parameters.items() if p.grad is None or not p.grad.abs().max() > 0]
    if dead:
        raise Finding(f"no gradient reaches {', '.join(dead)} after one step, with {hyper or 'the defaults'}")
    return f"reaches all {counted(len(parameters), 'parameter')}"


def gain(family: KernelFamily) -> str:
    """Gain 1 after calibration."""
    layer = KernelConv(family.build(BASE), BASE)
    raw = calibrate(layer)
    if not abs(layer.gain - 1) <= 1e-5:  # NaN, too
        raise Finding(f"gain after calibration: expected 1, got {layer.gain:.7g}")
    if layer.amplitude is None:
        scales(family)
    how = "an amplitude per output channel" if layer.amplitude is not None else "scale_"
    return f"{raw:.4g} before, 1 after calibration by {how}"
