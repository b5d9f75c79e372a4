"""All kernels of a layer fitted to given ones: least squares where they are linear in parameters, Adam for the rest."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, lsmr
from torch import Tensor, nn

from kernbench.analysis.fit import linear_parameters
from kernbench.errors import KernbenchError

STEPS = 400  # of Adam
RATE = 0.02  # of Adam at the start; it falls to 0 along a cosine
ITERATIONS = 200  # of least squares, each of two evaluations of the kernels
CLOSE = 1e-12
POWERS = 8
# Of the largest singular value: below it, parameters cost more than they bring. Large weights that cancel would make
# the smallest step of further training a large one of the kernels.
DAMPED = 1e-3

Constrain = Callable[[nn.Module], None]


def fit_layer(
    module: nn.Module,
    parameters: Sequence[str],
    target: Tensor,
    steps: int = STEPS,
    constrain: Constrain | None = None,
) -> float:
    """Fit parameters of a module, in place, so that its kernels are as near to the target as was found.

    Of parameters in which the kernels are linear together, least squares finds the best, iteratively and without a
    matrix (LSMR; Fong and Saunders 2011), slightly damped, before and after Adam trains all of them. The module is the
    start.

    Args:
        module: in float64; called without arguments it gives its kernels.
        parameters: names of those that may change; others stay.
        target: of the shape of the kernels, finite, not all zero.
        steps: of Adam.
        constrain: called after each step, as in a training run.

    Returns:
        norm(kernels - target) / norm(target).

    Raises:
        KernbenchError: a target of another shape, not finite, or zero.
    """
    wanted = target.detach().double()
    with torch.no_grad():
        shape = tuple(module().shape)
    if tuple(wanted.shape) != shape or not bool(wanted.isfinite().all()) or not bool(wanted.any()):
        raise KernbenchError(f"a target needs finite kernels of shape {shape} that are not all zero")
    best = _Best(module, parameters, wanted, constrain)
    best.keep()
    for each in module.parameters():
        each.requires_grad_(False)
    for name in parameters:
        module.get_parameter(name).requires_grad_(True)
    linear = [name for name in linear_parameters(module) if name in parameters]
    if linear:
        _solve(module, linear, wanted)
        best.keep()
    if len(linear) < len(parameters):
        _adam(best, steps)
        if linear:
            _solve(module, linear, wanted)
            best.keep()
    best.restore()
    return best.error


class _Best:
    """The best parameters so far."""

    def __init__(self, module: nn.Module, names: Sequence[str], target: Tensor, constrain: Constrain | None) -> None:
        self.module, self.target, self.constrain = module, target, constrain
        self.parameters = [module.get_parameter(name) for name in names]
        self.error = float("inf")
        self._values = [each.detach().clone() for each in self.parameters]

    def keep(self) -> None:
        """Remember the parameters if no earlier ones were better, and go back to those otherwise."""
        if self.constrain is not None:
            with torch.no_grad():
                self.constrain(self.module)
        with torch.no_grad():
            error = float((self.module() - self.target).norm() / self.target.norm())
        if error < self.error:  # NaN never is
            self.error, self._values = error, [each.detach().clone() for each in self.parameters]
        else:
            self.restore()

    def restore(self) -> None:
        """Put the best parameters back."""
        with torch.no_grad():
            for each, value in zip(self.parameters, self._values, strict=True):
                each.copy_(value)


def _adam(best: _Best, steps: int) -> None:
    optimizer = torch.optim.Adam(best.parameters, lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, steps))
    size = best.target.square().sum()
    for step in range(steps):
        optimizer.zero_grad()
        loss = (best.module() - best.target).square().sum() / size
        if not bool(loss.isfinite()):
            break
        loss.backward()
        optimizer.step()
        schedule.step()
        if best.constrain is not None:
            with torch.no_grad():
                best.constrain(best.module)
        if step % 50 == 49:
            now = [each.detach().clone() for each in best.parameters]
            best.keep()
            _write(best.parameters, now)  # Adam goes on from where it is
    best.keep()


def _solve(module: nn.Module, names: Sequence[str], target: Tensor) -> None:
    """Least squares in parameters in which the kernels are linear, from where they are."""
    parameters = [module.get_parameter(name) for name in names]
    start = [each.detach().clone() for each in parameters]
    with torch.no_grad():
        here = module().clone()

    def times(step: "NDArray[np.float64]") -> "NDArray[np.float64]":
        parts = torch.from_numpy(np.asarray(step, np.float64).ravel()).split([each.numel() for each in parameters])
        _write(parameters, [old + part.view(old.shape) for old, part in zip(start, parts, strict=True)])
        with torch.no_grad():
            change = module() - here
        return np.asarray(change.reshape(-1).numpy())

    def transposed(residual: "NDArray[np.float64]") -> "NDArray[np.float64]":
        _write(parameters, start)
        weight = torch.from_numpy(np.asarray(residual, np.float64).ravel()).view(target.shape)
        found = torch.autograd.grad((module() * weight).sum(), parameters)
        return np.concatenate([each.reshape(-1).numpy() for each in found])

    size = sum(each.numel() for each in parameters)
    operator = LinearOperator((target.numel(), size), matvec=times, rmatvec=transposed, dtype=np.float64)
    damp = DAMPED * _largest(operator)
    step = lsmr(operator, (target - here).reshape(-1).numpy(), damp, atol=CLOSE, btol=CLOSE, maxiter=ITERATIONS)[0]
    times(step)


def _largest(operator: LinearOperator) -> float:
    """Largest singular value, to a few percent, by power iteration."""
    vector = np.random.default_rng(0).normal(size=operator.shape[1])
    size = 0.0
    for _ in range(POWERS):
        vector = operator.rmatvec(operator.matvec(vector / np.linalg.norm(vector)))
        size = float(np.linalg.norm(vector))
        if not size:
            break
    return float(np.sqrt(size))


def _write(parameters: Sequence[nn.Parameter], values: Sequence[Tensor]) -> None:
    with torch.no_grad():
        for each, value in zip(parameters, values, strict=True):
            each.copy_(value)
