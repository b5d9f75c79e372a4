"""A small network trained for a few epochs where a test wants it, with what the host waited for in each epoch."""

import contextlib
from unittest import mock

import torch
from pretend_gpu import gpu
from pretending import values

import kernbench
from kernbench.networks import build
from kernbench.training import loop
from kernbench.training.batches import TrainingData
from kernbench.training.settings import Hooks, Settings
from kernbench.ulm.scoring.loss import TrainingLoss

LINES, SAMPLES = 8, 256
SETTINGS = {"epochs": 3, "batch_size": 4, "rate": 1e-2, "decay_epoch": 2, "decay_factor": 0.1, "validate_every": 9}


class Free(kernbench.KernelModule):
    """Free taps; sound, to be broken in one way each."""

    def __init__(self, spec):
        super().__init__(spec)
        self.weight = torch.nn.Parameter(torch.randn(spec.shape) / spec.kernel_size)

    def forward(self, grid):
        return self.weight * torch.ones_like(grid.lags)


class DropsTaps(Free):
    """Drops taps at random, by a generator where there is one."""

    generator = None

    def forward(self, grid):
        keep = torch.rand(self.weight.shape, device=grid.lags.device, generator=self.generator) < 0.9
        return self.weight * keep


def network(family=Free, *, kernel_size=9, backend="direct", **given):
    """Two layers of four channels, kernels as drawn; `family` is a name or a class."""
    offered = family if isinstance(family, str) else kernbench.KernelFamily("mine", family)
    torch.manual_seed(0)
    sizes = {"kernel_size": kernel_size, "channels": 4, "depth": 2}
    return build("shallow", family=offered, backend=backend, gain="published", **sizes | given)


def lines(device):
    """Training lines on a device."""
    generator = torch.Generator().manual_seed(1)
    counts = (torch.rand(LINES, SAMPLES, generator=generator) < 0.05).float()
    return TrainingData((counts + 0.1 * torch.randn(counts.shape, generator=generator)).to(device), counts.to(device))


@contextlib.contextmanager
def waits_of_epochs():
    """While entered, trainings note what the host waits for in each pass over the training lines; gives the list."""
    usual, found = loop._pass, []

    def noted(*arguments):
        before = len(gpu.to_host)
        result = usual(*arguments)
        found.append(gpu.to_host[before:])
        return result

    with mock.patch.object(loop, "_pass", noted):
        yield found


def trained(net, device, *, loss=None, update="per-batch", resume=None, **hooks):
    """Train a network on a device; its curve without the clock, and its weights."""
    net.to(device)
    data, settings = lines(device), Settings(update=update, **SETTINGS)
    given = {"validate": lambda _net: (0.0, 0.0)} | hooks
    curve = loop.train(net, data, loss or TrainingLoss(), settings, Hooks(**given), order_seed=0, resume=resume)
    rows = [{name: value for name, value in row.columns().items() if name != "seconds"} for row in curve]
    return rows, {name: values(each.detach()) for name, each in net.state_dict().items()}


def same(first, second):
    """Whether two results of `trained` are equal bit for bit."""
    return first[0] == second[0] and all(torch.equal(first[1][name], second[1][name]) for name in first[1])
