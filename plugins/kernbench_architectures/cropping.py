"""The middle of a line: convolutions without padding leave less of it."""

from torch import Tensor


def cropped(signal: Tensor, length: int) -> Tensor:
    """The middle samples; (N, C, L) -> (N, C, length), with as many left out before as behind.

    Args:
        signal: (N, C, L).
        length: L less an even number.
    """
    before = (signal.shape[-1] - length) // 2
    return signal[..., before : before + length]
