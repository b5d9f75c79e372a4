"""Convolutions that a user could take in place of ours, beyond the backends: of a package, or of a GPU's library."""

import functools
from collections.abc import Callable
from importlib.util import find_spec

import torch
from torch import Tensor
from torch.nn import functional

Convolution = Callable[[Tensor, Tensor], Tensor]
Pass = Callable[[Convolution], None]  # a forward and backward pass by a convolution


def other_peers(device: str) -> list[str]:
    """Names of the peers that can be measured here, beside the backends.

    Args:
        device: "cpu", "cuda" or "cuda:i".

    Returns:
        "julius" where that package is installed, and "cudnn" on a CUDA device.
    """
    names = ["julius"] if find_spec("julius") is not None else []
    return [*names, "cudnn"] if torch.device(device).type == "cuda" else names


def can(name: str, kernel_size: int) -> bool:
    """Whether a peer convolves with so many taps: julius 0.2.8 returns no samples for one."""
    return name != "julius" or kernel_size > 1


def peer_pass(name: str, once: Pass) -> Callable[[], None]:
    """A pass by a peer, as a call without arguments.

    Args:
        name: one of `other_peers`.
        once: does one forward and backward pass with the convolution that it is given.
    """
    if name == "julius":
        from julius.fftconv import fft_conv1d  # noqa: PLC0415  # optional

        return functools.partial(once, fft_conv1d)

    def fastest() -> None:
        # kernbench asks cuDNN for repeatable methods; a user who does not gets the fastest that cuDNN measures
        with torch.backends.cudnn.flags(enabled=True, benchmark=True, deterministic=False, allow_tf32=False):
            once(functional.conv1d)

    return fastest
