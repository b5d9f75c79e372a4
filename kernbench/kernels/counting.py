"""Trainable numbers of a module."""

from torch import nn


def trainable_numbers(module: nn.Module) -> int:
    """Real numbers that training changes: a complex parameter holds two in each of its elements."""
    return sum((2 if each.is_complex() else 1) * each.numel() for each in module.parameters() if each.requires_grad)
