"""Weights of a small network as a cell writes them, and changes of such a file."""

import torch

from kernbench.networks.weights import seal
from kernbench.registry import find


def facts_of(network, name, gain="unit", family="siren", plugin=None):
    """Facts as a cell writes them."""
    layers = network.kernel_layers()
    spec = layers[0].spec
    kept = {"split": "validation", "tolerances": list(range(10)), "values": [0.1 + 0.01 * i for i in range(10)]}
    return {
        "study": "mine.v1.quick/" + family,
        "cell": "kernel_size=9,seed=0",
        "family": {"name": family, "plugin": plugin or find(family).label, "hyper": layers[0].kernel_module.hyper},
        "network": {"name": name, "kernel_size": spec.kernel_size, "channels": spec.out_channels}
        | {"depth": len(layers), "gain": gain},
        "noise": {"percent": 0.0, "test_percent": 8.0, "seed": 3},
        "evaluation": {"batch": 32},
        "thresholds": kept,
        "one_to_one": kept | {"decoder": "peak-nms", "width": 2},
    }


def used(network, length=300):
    """Give batch norm statistics and the weights a step, as training does."""
    signal = torch.randn(4, 1, length, generator=torch.Generator().manual_seed(1))
    network.train()
    network(signal).square().mean().backward()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.sub_(parameter.grad, alpha=0.1)
    return network.eval()


def content(path):
    return torch.load(path, weights_only=True)


def changed(path, change):
    """The file, after a change of its content."""
    inside = content(path)
    change(inside)
    if isinstance(inside.get("state"), dict):
        dense = {name: tensor for name, tensor in inside["state"].items() if is_dense(tensor)}
        inside["sha256"] = seal(inside.get("facts"), dense)
    torch.save(inside, path)
    return path


def is_dense(value):
    return isinstance(value, torch.Tensor) and value.layout == torch.strided


def the_line(error):
    text = str(error.value)
    assert "\n" not in text
    return text
