"""Valid cross-correlation through spectra of blocks, with hand-written gradients; backends `fft` and `overlap_save`.

Operations grow with the logarithm of the block length instead of K, and the weights' spectrum is held once, not once
per batch element. The blocks of all lines are the columns of one matrix per frequency, so that the products are large
enough to run near the speed of a plain matrix product. Gradients use the same blocks: the signal's by overlap-add,
the kernel's as one inverse FFT of products already summed over all blocks.
"""

import contextlib
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional, grad

from kernbench.conv.blocks import by_phase, empty_lines, join, overlap_add, split, trimmed
from kernbench.conv.plan import Plan
from kernbench.conv.product import Product, product_for

# Spectra are made in parts: of some output channels for the kernel, of some lines for the signal. Small parts stay in
# the processor's cache and in memory that the process already has: on Linux a tensor above 32 MiB is new memory from
# the system each time, and its page faults cost more than the FFT that fills it. Parts of lines are not made smaller
# than those of the kernel, which is read again for each.
KERNEL_PART_BYTES = 16 * 2**20
LINES_PART_BYTES = 2 * 2**20
# Up to this size per layer the spectra of signal and kernel are kept for the backward pass, which saves a fifth of the
# time; above it only signal and kernel are.
KEPT_BYTES = 128 * 2**20
# Of a thread: where the device is not the CPU, autograd recomputes in another one.
_KEEPING = ContextVar("_KEEPING", default=True)


def convolve_spectral(signal: Tensor, kernel: Tensor, groups: int, plan: Plan) -> Tensor:
    """Valid cross-correlation at dilation `plan.phases`; shapes as for `kernbench.conv.convolve`."""
    result = _SpectralConvolution.apply(signal, kernel, groups, plan)
    assert isinstance(result, Tensor)
    return result


@contextlib.contextmanager
def spectra_made_again() -> Iterator[None]:
    """While entered, convolutions keep signal and kernel only: less memory, more time, the same values.

    What is convolved meanwhile remembers it, so that its backward pass may come later.
    """
    before = _KEEPING.set(False)
    try:
        yield
    finally:
        _KEEPING.reset(before)


class _SpectralConvolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, signal: Tensor, kernel: Tensor, groups: int, plan: Plan) -> Tensor:
        outputs, xs, ws = _forward(signal, kernel, groups, plan, ctx.needs_input_grad[:2])
        ctx.groups, ctx.plan, ctx.lines_kept, ctx.keeping = groups, plan, len(xs), _KEEPING.get()
        ctx.save_for_backward(signal, kernel, *xs, *ws)
        return outputs

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        signal, kernel, *spectra = ctx.saved_tensors
        groups, plan = ctx.groups, ctx.plan
        if torch.is_grad_enabled():  # a second derivative is asked for: the saved spectra carry no graph
            return *_direct_gradients(gradient, signal, kernel, plan.phases, groups), None, None
        xs, ws = spectra[: ctx.lines_kept], spectra[ctx.lines_kept :]
        to_signal, to_kernel = None, None
        for wanted in _rounds_of_gradients(ctx.needs_input_grad[:2], ctx.keeping, signal, kernel):
            made = _backward(gradient, signal, kernel, groups, plan, xs, ws, wanted)
            to_signal, to_kernel = made[0] if wanted[0] else to_signal, made[1] if wanted[1] else to_kernel
        return to_signal, to_kernel, None, None


def _rounds_of_gradients(
    wanted: tuple[bool, bool], keeping: bool, signal: Tensor, kernel: Tensor
) -> list[tuple[bool, bool]]:
    """Gradients (of the signal, of the kernel) that are made together; with nothing kept one by one, the smaller first.

    So spectra of lines and spectra of their gradients are never in memory together, at the price of those of the
    output's gradient, which are made twice.
    """
    if keeping or not all(wanted):
        return [wanted]
    rounds = [(True, False), (False, True)]
    return rounds if signal.numel() < kernel.numel() else rounds[::-1]


def _forward(
    signal: Tensor, kernel: Tensor, groups: int, plan: Plan, wanted: tuple[bool, bool], made: Sequence[Tensor] = ()
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Output, and what the wanted gradients need of the spectra of signal and kernel if these are small enough.

    Where the kernel's spectra are `made` already, none is made here.
    """
    product = product_for(kernel.shape[1], groups)
    batches, parts = _batches(signal, kernel, plan), _parts(kernel, groups, plan)
    keep = _KEEPING.get() and _signal_bytes(signal, plan) + _kernel_bytes(kernel, plan) <= KEPT_BYTES
    xs: list[Tensor] = []
    kernels = _KernelSpectra(product, kernel, parts, plan, made=made, hold=keep)
    length = signal.shape[2] - plan.phases * (plan.taps - 1)
    outputs, view = empty_lines(signal, (signal.shape[0], kernel.shape[0], length), plan.phases)
    for some in _rounds(batches, held=len(parts) == 1 or bool(made)):
        new = [_of_signal(product, signal[batch], plan) for batch in some]
        if keep and wanted[1]:
            xs += new
        held: list[Tensor | None] = [*new]
        del new
        for number, part in enumerate(parts):
            w, last = kernels[number], number == len(parts) - 1
            for place, batch in enumerate(some):
                # no name may hold a spectrum longer than it is needed: the peak of memory is here
                rows = product.inverse(product.output(w, _taken(held, place, leave=not last)), plan.size)
                _store(rows, plan, view[part, batch])
                del rows
            del w
    ws = [kernels[number] for number in range(len(parts))] if keep and wanted[0] else []
    return trimmed(outputs, length), xs, ws


def _backward(
    gradient: Tensor,
    signal: Tensor,
    kernel: Tensor,
    groups: int,
    plan: Plan,
    xs: list[Tensor],
    ws: list[Tensor],
    wanted: tuple[bool, bool],
) -> tuple[Tensor | None, Tensor | None]:
    """Gradients of signal and kernel, as far as they are wanted; spectra that were not kept are made again."""
    product = product_for(kernel.shape[1], groups)
    batches, parts = _batches(signal, kernel, plan), _parts(kernel, groups, plan)
    kernels = _KernelSpectra(product, kernel, parts, plan, made=ws)
    lines = by_phase(gradient, plan.phases)
    to_signal, view = empty_lines(signal, signal.shape, plan.phases) if wanted[0] else (None, None)
    to_kernel = torch.empty_like(kernel) if wanted[1] else None
    totals: list[Tensor | None] = [None] * len(parts)

    def finish(number: int) -> None:
        if to_kernel is not None:
            rows = _gradient_rows(product, totals, number, plan)
            to_kernel[parts[number]] = rows[:, : plan.taps].flip(-1).view_as(kernel[parts[number]])

    for some in _rounds(batches, held=len(parts) == 1):
        held = _held(product, signal, some, plan, xs) if wanted[1] else []
        for_signal: list[Tensor | None] = [None] * len(some)
        for number, part in enumerate(parts):
            w = kernels[number] if wanted[0] else None
            for place, batch in enumerate(some):
                h = torch.conj_physical_(product.transform(split(lines[part, batch], plan, plan.step)))
                if held:
                    totals[number] = product.to_kernel(h, held[place], totals[number])
                if w is not None:
                    for_signal[place] = product.to_signal(h, w, for_signal[place])
                del h
            del w
            if len(parts) > 1:  # there is one round only
                finish(number)
        del held
        if view is not None:
            _store_gradients(product, for_signal, plan, [view[:, batch] for batch in some])
    del kernels
    if len(parts) == 1:
        finish(0)
    return None if to_signal is None else trimmed(to_signal, signal.shape[2]), to_kernel


class _KernelSpectra:
    """Spectra of the parts of a kernel; made when asked for, and held if there is one part or `hold` is true."""

    def __init__(
        self,
        product: Product,
        kernel: Tensor,
        parts: list[slice],
        plan: Plan,
        *,
        made: Sequence[Tensor] = (),
        hold: bool = False,
    ) -> None:
        self._make = lambda number: _of_kernel(product, kernel[parts[number]], plan)
        self._hold = hold or len(parts) == 1
        self._held = dict(enumerate(made))

    def __getitem__(self, number: int) -> Tensor:
        found = self._held[number] if number in self._held else self._make(number)
        if self._hold:
            self._held[number] = found
        return found


def _rounds(batches: list[slice], *, held: bool) -> list[list[slice]]:
    """Lines whose spectra are in memory together: those of one batch if all of the kernel's spectrum is held.

    Otherwise all lines are, or else each part's spectrum would have to be made again for every batch.
    """
    return [[batch] for batch in batches] if held else [batches]


def _held(product: Product, signal: Tensor, some: list[slice], plan: Plan, kept: list[Tensor]) -> list[Tensor]:
    """Spectra of some lines, in order: the next of those that were kept, or made again."""
    if kept:
        return [kept.pop(0) for _ in some]
    return [_of_signal(product, signal[batch], plan) for batch in some]


def kernel_spectrum(kernel: Tensor, groups: int, plan: Plan) -> list[Tensor]:
    """The kernel's spectrum in parts, for `apply_spectrum`; none where it is larger than `KEPT_BYTES`."""
    if _kernel_bytes(kernel, plan) > KEPT_BYTES:
        return []
    product = product_for(kernel.shape[1], groups)
    return [_of_kernel(product, kernel[part], plan) for part in _parts(kernel, groups, plan)]


def apply_spectrum(signal: Tensor, spectrum: list[Tensor], kernel: Tensor, groups: int, plan: Plan) -> Tensor:
    """Convolve without gradients, given `kernel_spectrum` of the kernel."""
    return _forward(signal, kernel, groups, plan, (False, False), spectrum)[0]


def _of_signal(product: Product, signal: Tensor, plan: Plan) -> Tensor:
    """Spectra of the signal's blocks."""
    return product.transform(split(by_phase(signal, plan.phases), plan, plan.size))


def _of_kernel(product: Product, kernel: Tensor, plan: Plan) -> Tensor:
    """Spectrum of the kernel reversed in time, with which a correlation is a plain product."""
    return product.transform(functional.pad(kernel.flip(-1), (0, plan.size - plan.taps)))


def _store(rows: Tensor, plan: Plan, view: Tensor) -> None:
    """Outputs of all blocks into lines: the first K - 1 samples of a block are those that wrapped around."""
    blocks = rows.view(*view.shape[:3], plan.blocks, plan.size)
    join(blocks[..., plan.taps - 1 :], plan, view)


def _store_gradients(product: Product, spectra: list[Tensor | None], plan: Plan, views: list[Tensor]) -> None:
    """Gradients of some lines from their spectra, each of which is let go when it is used."""
    for number, view in enumerate(views):
        rows = _gradient_rows(product, spectra, number, plan)
        overlap_add(rows.view(*view.shape[:3], plan.blocks, plan.size), plan, view)


def _gradient_rows(product: Product, spectra: list[Tensor | None], number: int, plan: Plan) -> Tensor:
    """Real rows of one of the conjugate spectra, which is taken out of the list: no name here may hold it longer."""
    return product.inverse(torch.conj_physical_(_taken(spectra, number)), plan.size)


def _taken(spectra: list[Tensor | None], number: int, *, leave: bool = False) -> Tensor:
    """One of the spectra, which the list forgets unless it is to be left there."""
    found = spectra[number]
    assert found is not None
    if not leave:
        spectra[number] = None
    return found


def _signal_bytes(signal: Tensor, plan: Plan) -> int:
    rows = signal.shape[0] * signal.shape[1] * plan.phases * plan.blocks
    return rows * plan.frequencies * 2 * signal.element_size()


def _kernel_bytes(kernel: Tensor, plan: Plan) -> int:
    return kernel.shape[0] * kernel.shape[1] * plan.frequencies * 2 * kernel.element_size()


def _parts(kernel: Tensor, groups: int, plan: Plan) -> list[slice]:
    """Output channels, so many at a time that their spectrum is about a part; all together if they are in groups."""
    return _slices(kernel.shape[0], 1 if groups > 1 else -(-_kernel_bytes(kernel, plan) // KERNEL_PART_BYTES))


def _batches(signal: Tensor, kernel: Tensor, plan: Plan) -> list[slice]:
    """Lines, so many at a time that the spectra of their inputs or outputs are about a part."""
    channels = max(signal.shape[1], kernel.shape[0])
    bytes_of_all = _signal_bytes(signal, plan) // signal.shape[1] * channels
    part = max(LINES_PART_BYTES, min(KERNEL_PART_BYTES, _kernel_bytes(kernel, plan)))
    return _slices(signal.shape[0], -(-bytes_of_all // part))


def _slices(total: int, count: int) -> list[slice]:
    each = max(1, -(-total // max(1, count)))
    return [slice(first, first + each) for first in range(0, max(total, 1), each)]


def _direct_gradients(
    gradient: Tensor, signal: Tensor, kernel: Tensor, dilation: int, groups: int
) -> tuple[Tensor, Tensor]:
    to_signal = functional.conv_transpose1d(gradient, kernel, dilation=dilation, groups=groups)
    to_kernel = grad.conv1d_weight(signal, kernel.shape, gradient, dilation=dilation, groups=groups)
    return to_signal, to_kernel
