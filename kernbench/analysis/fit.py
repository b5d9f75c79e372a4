"""Kernels fitted to given taps: least squares where a kernel is linear in its parameters, Adam for the rest.

What makes a kernel is a torch module whose forward pass, without arguments, gives its taps; so nothing here knows a
kernel family. Many starts are fitted together, because the time of one small kernel is spent between operations.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from kernbench.errors import KernbenchError

LEAST_SQUARES, ADAM, BOTH = "least squares", "adam", "adam, least squares"
METHODS = (LEAST_SQUARES, ADAM, BOTH)

STEPS = 1000  # of Adam
RATE = 0.02  # of Adam at the start; it falls to 0 along a cosine
EXACT = 1e-9  # second difference over first one, below which a kernel in float64 counts as linear
CUT = (
    1e-2  # singular values over the largest, left out before Adam: large weights that cancel would keep it from moving
)
TRIES = 3

Stacked = Mapping[str, Tensor]  # tensors of all modules by name, modules along the first axis


@dataclass(frozen=True)
class Fit:
    """How near a kernel came to its target.

    Attributes:
        error: norm(kernel - target) / norm(target); 1 is what a kernel of zeros has.
        method: one of `METHODS`.
    """

    error: float
    method: str


Constrain = Callable[[nn.Module], None]  # puts the parameters of a module back where they may be, in place


def fit(
    modules: Sequence[nn.Module],
    targets: Sequence[NDArray[np.float64]],
    steps: int = STEPS,
    constrain: Constrain | None = None,
) -> list[Fit]:
    """Fit the parameters of modules, in place, so that each kernel is as near to its target as was found.

    A kernel that is linear in all its parameters together has one best fit, which least squares finds. Of others, Adam
    trains all parameters, and least squares solves those in which the kernel is linear, before and after.

    Args:
        modules: alike but for their numbers, in float64; called without arguments, each gives its taps (K,).
        targets: one for each module, (K,), finite and not all zero.
        steps: of Adam.
        constrain: called after each of them, as in a training run.

    Returns:
        One for each module; it does not depend on the others, but for rounding.

    Raises:
        KernbenchError: a target that is not finite, zero, or of another shape than the kernel.
    """
    pairs = zip(modules, targets, strict=True)
    runs = [_Run(module, _checked(target, module), constrain) for module, target in pairs]
    linear = linear_parameters(modules[0])
    trainable = [name for name, each in modules[0].named_parameters() if each.requires_grad]
    whole = len(linear) == len(trainable)
    for run in runs:
        run.keep()
        if linear:
            run.solve(linear, None if whole else CUT)
    if whole:
        return [Fit(run.error, LEAST_SQUARES) for run in runs]
    _adam(runs, trainable, steps)
    for run in runs:
        if linear:
            run.solve(linear)
    return [Fit(run.error, BOTH if linear else ADAM) for run in runs]


def linear_parameters(module: nn.Module) -> list[str]:
    """Names of parameters in which a kernel is linear (or affine) together, the others being what they are.

    Tried, not derived: the second difference along random directions is 0. Larger tensors come first, so of a product
    of two the one with more numbers is chosen.

    Args:
        module: see `fit`; it is as before afterwards.
    """
    chosen: list[str] = []
    generator = torch.Generator().manual_seed(0)
    trainable = [(name, each) for name, each in module.named_parameters() if each.requires_grad]
    for name, _ in sorted(trainable, key=lambda each: -each[1].numel()):
        if all(_is_straight(module, [*chosen, name], generator) for _ in range(TRIES)):
            chosen.append(name)
    return chosen


def _is_straight(module: nn.Module, names: Sequence[str], generator: torch.Generator) -> bool:
    """Whether the kernel is straight along one random direction of these parameters."""
    parameters = [module.get_parameter(name) for name in names]
    kept = [each.detach().clone() for each in parameters]
    away = [torch.randn(each.shape, generator=generator, dtype=each.dtype) for each in kept]
    found = []
    for side in (0.0, -1.0, 1.0):
        _write(parameters, [value + side * step for value, step in zip(kept, away, strict=True)])
        found.append(_kernel(module))
    _write(parameters, kept)
    middle, before, after = found
    if not all(bool(each.isfinite().all()) for each in found):
        return False
    size = (after - before).norm() + middle.norm()
    return bool((after + before - 2 * middle).norm() <= EXACT * size)


@dataclass
class _Run:
    """One module on the way to its target, and the best of its parameters so far."""

    module: nn.Module
    target: Tensor
    constrain: Constrain | None
    error: float = math.inf
    values: Sequence[Tensor] = field(default=())

    def keep(self) -> None:
        """Remember the parameters as they are if they are the best so far, else go back to the best."""
        if self.constrain is not None:
            self.constrain(self.module)
        parameters = list(self.module.parameters())
        error = float((_kernel(self.module) - self.target).norm() / self.target.norm())
        if error < self.error:  # NaN never is
            self.error, self.values = error, [each.detach().clone() for each in parameters]
        elif self.values:
            _write(parameters, self.values)

    def solve(self, names: Sequence[str], cut: float | None = None) -> None:
        """Least squares in parameters in which the kernel is linear, if that makes it better.

        Args:
            names: of the parameters.
            cut: singular values below this share of the largest are left out; by default, those of rounding.
        """
        parameters = [self.module.get_parameter(name) for name in names]
        unit = torch.eye(sum(each.numel() for each in parameters), dtype=self.target.dtype)
        rest = self._at(parameters, torch.zeros_like(unit[0]))
        atoms = torch.stack([self._at(parameters, row) - rest for row in unit], dim=1)
        found, *_ = np.linalg.lstsq(atoms.numpy(), (self.target - rest).numpy(), rcond=cut)
        self._at(parameters, torch.from_numpy(found))
        self.keep()

    def _at(self, parameters: Sequence[nn.Parameter], numbers: Tensor) -> Tensor:
        """The kernel when the parameters hold these numbers, which they keep."""
        parts = numbers.split([each.numel() for each in parameters])
        _write(parameters, [part.view(each.shape) for part, each in zip(parts, parameters, strict=True)])
        return _kernel(self.module)


def _adam(runs: Sequence[_Run], names: Sequence[str], steps: int) -> None:
    """Train all parameters of all runs, and leave each with the best that it met.

    Adam goes by each number alone, so one optimizer on stacked parameters trains every run as its own would.
    """
    modules = [run.module for run in runs]
    kernels = _together(modules)
    state, rest = stack_module_state(modules)
    given = {**state, **rest}
    trained = {name: given[name].detach().clone().requires_grad_() for name in names}
    targets = torch.stack([run.target for run in runs])
    optimizer = torch.optim.Adam(trained.values(), lr=RATE, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, steps))
    lowest = torch.full((len(runs),), math.inf, dtype=targets.dtype)
    best = {name: each.detach().clone() for name, each in trained.items()}
    for step in range(steps + 1):
        errors = (kernels({**given, **trained}) - targets).norm(dim=-1) / targets.norm(dim=-1)
        better = errors.detach() < lowest
        lowest = torch.where(better, errors.detach(), lowest)
        for name, each in trained.items():
            best[name] = torch.where(better.view(-1, *[1] * (each.dim() - 1)), each.detach(), best[name])
        if step < steps:
            optimizer.zero_grad()
            errors.square().sum().backward()
            optimizer.step()
            schedule.step()
            _constrain_all(runs, trained)
    for place, run in enumerate(runs):
        _write([run.module.get_parameter(name) for name in names], [best[name][place] for name in names])
        run.keep()


def _together(modules: Sequence[nn.Module]) -> Callable[[Stacked], Tensor]:
    """The function from stacked tensors to kernels (modules, K): all in one call where torch can do that.

    Modules may differ in more than their tensors, or do what torch cannot batch; then one after the other is called.
    """

    def in_turn(state: Stacked) -> Tensor:
        return torch.stack(
            [functional_call(each, {n: t[i] for n, t in state.items()}, ()) for i, each in enumerate(modules)]
        )

    def batched(state: Stacked) -> Tensor:
        found: Tensor = vmap(lambda each: functional_call(modules[0], each, ()))(dict(state))
        return found

    state, rest = stack_module_state(modules)
    given = {name: each.detach() for name, each in {**state, **rest}.items()}
    with torch.no_grad():
        try:
            same = torch.allclose(batched(given), in_turn(given), rtol=1e-9, atol=1e-12)
        except Exception:  # whatever a family does that cannot be batched
            return in_turn
    return batched if same else in_turn


def _constrain_all(runs: Sequence[_Run], trained: Mapping[str, Tensor]) -> None:
    for place, run in enumerate(runs):
        if run.constrain is None:
            continue
        parameters = {name: run.module.get_parameter(name) for name in trained}
        _write(list(parameters.values()), [each[place].detach() for each in trained.values()])
        run.constrain(run.module)
        with torch.no_grad():
            for name, each in trained.items():
                each[place] = parameters[name]


def _write(parameters: Sequence[nn.Parameter], values: Sequence[Tensor]) -> None:
    with torch.no_grad():
        for each, value in zip(parameters, values, strict=True):
            each.copy_(value)


def _kernel(module: nn.Module) -> Tensor:
    """The kernel, in memory of its own: some families give their parameter itself, which is about to change."""
    with torch.no_grad():
        taps: Tensor = module()
        return taps.clone()


def _checked(target: NDArray[np.float64], module: nn.Module) -> Tensor:
    wanted = torch.as_tensor(np.array(target, np.float64))
    shape = tuple(_kernel(module).shape)
    if tuple(wanted.shape) != shape:
        raise KernbenchError(f"a target needs the shape of the kernel, {shape}, got {tuple(wanted.shape)}")
    if not bool(wanted.isfinite().all()) or not bool(wanted.any()):
        raise KernbenchError("a target needs finite taps that are not all zero")
    return wanted
