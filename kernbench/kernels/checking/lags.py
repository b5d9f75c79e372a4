"""Checks of how a kernel depends on the lags: at half the spacing, and on one side of lag 0."""

from dataclasses import replace

import torch
from torch import Tensor

from kernbench.errors import KernbenchError, PluginError, first_line
from kernbench.kernels.base import SIDES, KernelModule, KernelSpec, LagGrid
from kernbench.kernels.checking.kernels import BASE, ONE_SIDED, SEED, kernel_of, relative
from kernbench.kernels.counting import trainable_numbers
from kernbench.kernels.family import INTEGRALS, NOTHING, KernelFamily
from kernbench.kernels.finding import Finding, Note
from kernbench.kernels.layer import KernelConv

_EQUAL = 1e-9  # of the largest tap, in float64
_IGNORES = "forward gives the same taps whatever the lags"
_ONE_TAP_A_LAG = "use grid.lags: make one tap for each of them, from its own lag"


def resampling(family: KernelFamily) -> str:
    """At half the spacing the kernel follows the rule that its family declares."""
    layer = KernelConv(family.build(BASE).double(), BASE)
    if family.resampling == NOTHING:
        return _refuses_a_finer_grid(layer)
    coarse = layer.kernel(BASE.grid(dtype=torch.float64)).detach()
    try:
        fine = layer.kernel(BASE.grid(refine=2, dtype=torch.float64)).detach()
    except Exception as error:
        advice = _what_to_do(family, layer.kernel_module, error)
        raise Finding(f"no kernel at half the spacing: {first_line(error)}; {advice}") from error
    if not torch.isfinite(fine).all():
        raise Finding("at half the spacing some taps are NaN or infinite")
    try:
        return _adds_up_in_pairs(fine, coarse) if family.resampling == INTEGRALS else _agrees(fine, coarse)
    except Finding as found:
        if _ignores_the_lags(layer.kernel_module):
            raise Finding(f"{_IGNORES}; {_ONE_TAP_A_LAG}") from found
        raise


def _what_to_do(family: KernelFamily, module: KernelModule, error: Exception) -> str:
    """Advice for a kernel that cannot be made on a finer grid; a family of free taps alone may declare "none"."""
    if _ignores_the_lags(module):
        free = f', or declare resampling="{NOTHING}" if every tap is a number of its own'
        return f"{_IGNORES}; {_ONE_TAP_A_LAG}{free if _grows_with_its_taps(family) else ''}"
    if isinstance(error, KernbenchError) and not isinstance(error, PluginError):  # refused in words
        return f'if nothing lies between its taps, declare resampling="{NOTHING}"'
    return f"grid.lags has 2 K - 1 lags there: {_ONE_TAP_A_LAG}"


def _ignores_the_lags(module: KernelModule) -> bool:
    """Whether as many lags at other places give the same taps."""
    grid = BASE.grid(dtype=torch.float64)
    elsewhere = replace(grid, lags=0.75 * grid.lags + 0.25, origin=None)
    try:
        here, there = module(grid).detach(), module(elsewhere).detach()
    except Exception:  # whatever a plugin raises at lags that it was not made for
        return False
    return here.shape == there.shape and relative(there, here) <= _EQUAL


def _grows_with_its_taps(family: KernelFamily) -> bool:
    """Whether more taps need more parameters: taps may then be free."""
    try:
        fewer, more = (trainable_numbers(family.build(replace(BASE, kernel_size=k, extent=0.0))) for k in (17, 33))
    except KernbenchError:
        return True  # it has one size
    return more > fewer


def _agrees(fine: Tensor, coarse: Tensor) -> str:
    """Every second tap of half the step, per training sample, is that of the whole one."""
    difference = relative(2 * fine[..., ::2], coarse)
    if difference > _EQUAL:
        raise Finding(
            f"at half the spacing every second tap of the layer must be half the tap of the training grid; they differ "
            f"by {difference:.1e} of the largest. Return the kernel per training sample, whatever the grid, or declare "
            f'resampling="{INTEGRALS}" if taps are integrals over their step'
        )
    return "points: at half the spacing the common taps agree"


def _refuses_a_finer_grid(layer: KernelConv) -> str:
    try:
        layer.kernel(BASE.grid(refine=2, dtype=torch.float64))
    except (KernbenchError, ValueError):
        return "nothing between its taps: a finer grid is refused"
    except Exception as error:
        raise Finding(
            f'the family declares resampling="{NOTHING}", but fails on a finer grid: {first_line(error)}; raise '
            "kernbench.KernbenchError for lags that are not those of the training grid"
        ) from error
    raise Finding(
        f'the family declares resampling="{NOTHING}", but does not refuse a finer grid; raise kernbench.KernbenchError '
        "for lags that are not those of the training grid"
    )


def _adds_up_in_pairs(fine: Tensor, coarse: Tensor) -> str:
    """Taps of half the step, two by two, are those of the whole one; the last has no second half on the grid."""
    pairs = fine[..., :-1].unflatten(-1, (-1, 2)).sum(-1)
    difference = relative(pairs, coarse[..., :-1])
    if difference > _EQUAL:
        raise Finding(
            f'the family declares resampling="{INTEGRALS}", but two taps of half the step do not add up to that of the '
            f"whole one; they differ by {difference:.1e} of the largest. Divide integrals by grid.spacing"
        )
    return "integrals: taps of half the step add up to those of the whole one"


def sides(family: KernelFamily) -> str:
    """Kernels of one side have K taps, finite and not all 0, at the lags of that side."""
    for side, spec in ONE_SIDED.items():
        try:
            module = family.build(spec)
        except KernbenchError as error:
            raise Finding(f"{side}: {error}") from error
        kernel = kernel_of(module)
        if tuple(kernel.shape) != spec.shape:
            raise Finding(f"{side}: expected {spec.shape}, got {tuple(kernel.shape)}")
        if not torch.isfinite(kernel).all() or not kernel.abs().max() > 0:
            raise Finding(f"{side}: taps are NaN, infinite or all 0")
        if family.resampling != NOTHING:
            _reads_its_lags(side, module.double(), spec)
    if family.resampling == NOTHING and _same_on_every_side(family):
        raise Note(
            "taps do not depend on the lags: centered, causal and anticausal kernels start with the same ones; right "
            "for free taps, but a kernel that is a function of the lag must use grid.lags"
        )
    return "causal and anticausal kernels are made at their own lags"


def _same_on_every_side(family: KernelFamily) -> bool:
    """Whether kernels drawn from one seed are the same on both sides of lag 0, on one and on the other."""
    found = []
    for side in SIDES:
        torch.manual_seed(SEED)
        spec = KernelSpec(2, 2, kernel_size=9, side=side)
        found.append(kernel_of(family.build(spec)).detach())
    return all(relative(each, found[0]) <= _EQUAL for each in found[1:])


def _reads_its_lags(side: str, module: KernelModule, spec: KernelSpec) -> None:
    """A kernel on some of the lags is that part of the kernel: its taps do not count from the middle of the grid."""
    grid = spec.grid(dtype=torch.float64)
    part = slice(3, None) if side == "causal" else slice(None, -3)  # with lag 0
    lags = grid.lags[part]
    origin = len(lags) - 1 if side == "causal" else 0
    some = module(LagGrid(lags, grid.extent, origin, grid.spacing, grid.dilation)).detach()
    whole = module(grid).detach()
    size, whole = whole.abs().max(), whole[..., part]
    if some.shape != whole.shape or not (some - whole).abs().max() <= _EQUAL * size:
        raise Finding(
            f"{side}: the kernel on {len(lags)} of its {spec.kernel_size} lags is not that part of the kernel; compute "
            "each tap from its own lag in grid.lags, not from the ends or the length of the grid"
        )
