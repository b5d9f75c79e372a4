"""Networks on the pretend accelerator without values: shapes, devices and bytes at any scale, in milliseconds."""

import contextlib

import torch
from torch._subclasses.fake_tensor import FakeTensorMode


@contextlib.contextmanager
def faking():
    """While entered tensors have a shape, a type and a device, and no values; what reads one raises."""
    with FakeTensorMode() as mode:
        yield mode


def faked(network, mode, device="gpu:0"):
    """A network that was built with values, without them and on a device; changes and gives the same one."""

    def fake(tensor):
        return mode.from_tensor(tensor).detach().to(device)

    for module in network.modules():
        for name, value in module._parameters.items():
            if value is not None:
                module._parameters[name] = torch.nn.Parameter(fake(value))
        for name, value in module._buffers.items():
            if value is not None:
                module._buffers[name] = fake(value)
    return network


def kept_bytes(network, signal):
    """Bytes that the forward pass of a training step keeps for its backward pass, of each block and of the rest.

    Args:
        network: in training mode, with or without values.
        signal: (N, 1, L), on its device.

    Returns:
        One number for each of `network.blocks`, then one for padding and head: storages that no block before kept,
        parameters and the signal left out.
    """
    known = {_storage(each) for each in (*network.parameters(), *network.buffers(), signal)}
    found, place, hooks, alive = [0] * (len(network.blocks) + 1), [-1], [], []
    for number, block in enumerate(network.blocks):
        hooks.append(block.register_forward_pre_hook(lambda *_, number=number: place.__setitem__(0, number)))
        hooks.append(block.register_forward_hook(lambda *_: place.__setitem__(0, -1)))

    def pack(tensor):
        if _storage(tensor) not in known:
            known.add(_storage(tensor))
            found[place[0]] += tensor.untyped_storage().nbytes()
        alive.append(tensor)  # or the next tensor might have the same address
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        network(signal)
    for hook in hooks:
        hook.remove()
    return found


def _storage(tensor):
    return tensor.untyped_storage()._cdata
