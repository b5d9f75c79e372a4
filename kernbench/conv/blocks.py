"""Cutting lines into overlapping blocks and putting them together again.

A line is seen as (C, B, d, Q): channels first, then batch, phase (see `Plan`) and samples of the phase. Blocks are
(C, B, d, blocks, size), contiguous, as the FFT wants them.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from kernbench.conv.plan import Plan


def by_phase(signal: Tensor, phases: int) -> Tensor:
    """Lines (B, C, L) seen as (C, B, d, ceil(L / d)); a view wherever d divides L."""
    batch, channels, length = signal.shape
    each = -(-length // phases)
    if each * phases != length:
        signal = functional.pad(signal, (0, each * phases - length))
    return signal.reshape(batch, channels, each, phases).permute(1, 0, 3, 2)


def empty_lines(like: Tensor, shape: Sequence[int], phases: int) -> tuple[Tensor, Tensor]:
    """Unfilled lines (B, C, at least L) and the same memory seen as (C, B, d, ceil(L / d)); for `trimmed`."""
    batch, channels, length = shape
    each = -(-length // phases)
    memory = like.new_empty(batch, channels, each * phases)
    return memory, memory.view(batch, channels, each, phases).permute(1, 0, 3, 2)


def trimmed(memory: Tensor, length: int) -> Tensor:
    """Lines of exactly L samples, never a view: autograd forbids changing the view that a function returns."""
    if memory.shape[2] == length:
        return memory
    # no contiguous(): of one channel of one line it copies nothing and would be a view
    return memory[..., :length].clone(memory_format=torch.contiguous_format)


def split(lines: Tensor, plan: Plan, width: int) -> Tensor:
    """Blocks whose last `width` samples are those of the lines from block * step on; zeros elsewhere.

    Args:
        lines: shape (C, B, d, Q).
        plan: how to cut.
        width: `plan.size` for overlapping blocks of a signal, `plan.step` for blocks of an output's gradient.
    """
    last = plan.blocks - 1
    blocks = lines.new_empty(*lines.shape[:3], plan.blocks, plan.size)
    blocks[..., : plan.size - width] = 0
    body = blocks[..., plan.size - width :]
    if last:
        body[:, :, :, :last] = lines.unfold(-1, width, plan.step)[:, :, :, :last]
    rest = lines[..., last * plan.step :]
    body[:, :, :, last, : rest.shape[-1]] = rest
    body[:, :, :, last, rest.shape[-1] :] = 0
    return blocks


def join(blocks: Tensor, plan: Plan, lines: Tensor) -> None:
    """Put the first `step` samples of each block behind one another into lines; the last block fills what is left."""
    last, step = plan.blocks - 1, plan.step
    if last:
        lines[..., : last * step].unflatten(-1, (last, step)).copy_(blocks[:, :, :, :last, :step])
    lines[..., last * step :] = blocks[:, :, :, last, : lines.shape[-1] - last * step]


def overlap_add(blocks: Tensor, plan: Plan, lines: Tensor) -> None:
    """The adjoint of `split` at full width: samples that two blocks share are added. Changes `blocks`."""
    if plan.blocks > 1:  # no block reaches beyond its neighbour: size >= 2 (K - 1)
        blocks[:, :, :, 1:, : plan.taps - 1] += blocks[:, :, :, :-1, plan.step :]
    join(blocks, plan, lines)
