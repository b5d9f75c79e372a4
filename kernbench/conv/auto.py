"""Backend `auto`: whichever of direct, fft and overlap_save should be fastest, forward and backward together.

A function of shapes, device type and constants alone: the same cell is always computed in the same way.
"""

from collections.abc import Sequence
from functools import lru_cache

from kernbench.conv.constants import constants
from kernbench.conv.plan import Plan, candidates
from kernbench.conv.predict import Constants, seconds_direct, seconds_in_blocks


def choose(signal: Sequence[int], kernel: Sequence[int], dilation: int, device: str) -> str:
    """The backend that should be fastest.

    Args:
        signal: shape (B, Ci, L).
        kernel: shape (Co, Ci // groups, K).
        dilation: samples between neighbouring taps.
        device: torch device type, "cpu" or "cuda".

    Returns:
        "direct", "fft" or "overlap_save".
    """
    return choose_by(constants(device), signal, kernel, dilation)


def choose_by(known: Constants, signal: Sequence[int], kernel: Sequence[int], dilation: int) -> str:
    """What `choose` gives where these constants are in use."""
    return _chosen(tuple(signal), tuple(kernel), dilation, _Identical(known))


def block_plan(signal: Sequence[int], kernel: Sequence[int], dilation: int, device: str) -> Plan:
    """Blocks that should be fastest for `overlap_save`; one block if the line is too short to be cut."""
    return _fastest(tuple(signal), tuple(kernel), dilation, _Identical(constants(device)))[1]


class _Identical:
    """Constants as a key of a cache: equal only to themselves."""

    def __init__(self, held: Constants) -> None:
        self.held = held

    def __hash__(self) -> int:
        return id(self.held)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identical) and self.held is other.held


@lru_cache(maxsize=4096)
def _chosen(signal: tuple[int, ...], kernel: tuple[int, ...], dilation: int, key: _Identical) -> str:
    single, blocks = _fastest(signal, kernel, dilation, key)
    seconds = {
        "direct": seconds_direct(signal, kernel, dilation, key.held),
        "overlap_save": seconds_in_blocks(signal, kernel, blocks, key.held),
        "fft": seconds_in_blocks(signal, kernel, single, key.held),
    }
    if single == blocks:
        del seconds["overlap_save"]
    return min(seconds, key=lambda name: seconds[name])


@lru_cache(maxsize=4096)
def _fastest(signal: tuple[int, ...], kernel: tuple[int, ...], dilation: int, key: _Identical) -> tuple[Plan, Plan]:
    """The single FFT and the best cut into blocks."""
    single, *cuts = candidates(signal[2], kernel[2], dilation)
    return single, min(cuts or [single], key=lambda plan: seconds_in_blocks(signal, kernel, plan, key.held))
