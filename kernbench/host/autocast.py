"""Autocast switched off where values must keep their precision."""

import contextlib

import torch


def without_autocast(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """While entered, operations on a device keep the dtypes of their arguments.

    Args:
        device: of the tensors; torch knows no autocast on "meta", where shapes are counted without values.
    """
    return contextlib.nullcontext() if device.type == "meta" else torch.autocast(device.type, enabled=False)
