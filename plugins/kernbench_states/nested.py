"""Families of this package with the kernels of others."""

import torch
from torch import Tensor

from kernbench.kernels.building_blocks import sides
from kernbench_states.poles import DiagonalStateSpace, Modes, Poles


def poles_of_s4d(state: DiagonalStateSpace) -> Poles:
    """The same poles; each residue takes up the integral over a step, (e^(D A) - 1) / A."""
    own = Poles(state.spec, modes=len(state.log_step))
    size = state.log_step.exp()
    own.log_decay.copy_((state.log_decay.exp() * size).log())
    own.angle.copy_(state.frequency * size)
    own.mix.copy_(
        _mixing(own, [_residues(state, side) * _first(state, own, side) for side in range(sides(state.spec))])
    )
    return own


def _residues(module: Modes, side: int) -> Tensor:
    """Complex residues of one side, (out_channels, in_channels // groups, J): a Re z + b Im z = Re (a - i b) z."""
    raw = module.mix / _norms(module)
    real, imaginary = raw.chunk(2 * sides(module.spec), dim=-1)[2 * side : 2 * side + 2]
    return torch.complex(real, -imaginary)


def _mixing(module: Modes, residues: list[Tensor]) -> Tensor:
    """The mixing weights that give these residues, side by side."""
    return torch.cat([part for each in residues for part in (each.real, -each.imag)], dim=-1) * _norms(module)


def _norms(module: Modes) -> Tensor:
    """What the modes are divided by, (2 J sides,)."""
    norms: Tensor = module.raw(module.spec.grid()).norm(dim=-1)
    return norms


def _first(state: DiagonalStateSpace, own: Poles, side: int) -> Tensor:
    """Ratio of the modes of the two modules, (J,), at the first tap of a side; it is that of all taps."""
    step = float(state.spec.dilation)
    distance = torch.tensor([side * step])
    of_state = state.earlier(distance, step) if side else state.modes(distance, step)
    return (of_state / own.modes(distance, step))[:, 0]
