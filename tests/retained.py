"""What autograd keeps for the backward pass."""

import torch


def retained_bytes(function):
    """Bytes that autograd keeps for the backward pass of `function()`, each storage once.

    This is the part of training memory that a convolution backend decides; it is the same on every machine.
    """
    storages = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        result = function()  # held, so that no storage is freed and its address used again
    del result
    return sum(storages.values())
