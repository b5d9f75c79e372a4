"""Backend `auto`: that of direct, fft and overlap_save which should be fastest, forward and backward together.

A function of shapes, device type and constants alone: the same cell is always computed in the same way.
"""

from functools import lru_cache

from kernbench.conv.constants import constants
from kernbench.conv.plan import Plan, candidates
from kernbench.conv.predict import Constants, seconds_direct, seconds_in_blocks


def choose(signal: tuple[int, ...], kernel: tuple[int, ...], dilation: int, device: str) -> str:
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


def block_plan(signal: tuple[int, ...], kernel: tuple[int, ...], dilation: int, device: str) -> Plan:
    """Blocks that should be fastest for `overlap_save`; one block if the line is too short to be cut."""
    return _fastest(constants(device), signal, kernel, dilation)[1]


@lru_cache(maxsize=4096)
def choose_by(known: Constants, signal: tuple[int, ...], kernel: tuple[int, ...], dilation: int) -> str:
    """What `choose` gives where these constants are in use."""
    single, blocks = _fastest(known, signal, kernel, dilation)
    seconds = {
        "direct": seconds_direct(signal, kernel, dilation, known),
        "overlap_save": seconds_in_blocks(signal, kernel, blocks, known),
        "fft": seconds_in_blocks(signal, kernel, single, known),
    }
    if single == blocks:
        del seconds["overlap_save"]
    return min(seconds, key=lambda name: seconds[name])


@lru_cache(maxsize=4096)
def _fastest(known: Constants, signal: tuple[int, ...], kernel: tuple[int, ...], dilation: int) -> tuple[Plan, Plan]:
    """The single FFT and the best cut into blocks."""
    single, *cuts = candidates(signal[2], kernel[2], dilation)
    return single, min(cuts or [single], key=lambda plan: seconds_in_blocks(signal, kernel, plan, known))
