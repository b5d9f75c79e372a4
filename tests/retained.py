"""What autograd keeps for the backward pass, and what torch allocates for an update."""

import itertools
import json

import torch
from torch.profiler import ProfilerActivity, profile

from kernbench.ulm.scoring.loss import dual_loss


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


def peak_of_update(network, voltage, counts, trace):
    """Bytes that the second update of a network adds at its peak: every allocation of torch, temporaries included."""
    optimizer = torch.optim.Adam(network.parameters(), fused=True)

    def update():
        dual_loss(network(voltage), counts).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    update()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        update()
    profiler.export_chrome_trace(str(trace))
    events = [event for event in json.loads(trace.read_text())["traceEvents"] if event["name"] == "[memory]"]
    changes = [event["args"]["Bytes"] for event in sorted(events, key=lambda event: event["ts"])]
    return max(itertools.accumulate(changes))
