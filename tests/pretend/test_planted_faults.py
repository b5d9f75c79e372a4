"""Ten mistakes that a CPU forgives and a GPU does not, planted one by one: the pretend accelerator reports each.

Beside each fault stands the same code without it, which passes: the report is about the fault, not about the code.
"""

import numpy as np
import pytest
import torch
from pretend_tensor import PretendError
from pretending import pretending, values
from small_training import DropsTaps, Free, lines, network, same, trained, waits_of_epochs

from kernbench.conv.prepared import PreparedKernel
from kernbench.kernels.base import KernelSpec
from kernbench.kernels.layer import KernelConv
from kernbench.ulm.scoring.loss import TrainingLoss


@pytest.fixture(autouse=True)
def gpu():
    with pretending() as there:
        yield there


class LeftBehind(Free):
    """A window that is a plain attribute: `.to` does not take it along."""

    def __init__(self, spec):
        super().__init__(spec)
        self.window = torch.hann_window(spec.kernel_size)

    def forward(self, grid):
        return super().forward(grid) * self.window


class TakenAlong(LeftBehind):
    def __init__(self, spec):
        super().__init__(spec)
        window = self.window
        del self.window
        self.register_buffer("window", window)


class GridElsewhere(Free):
    """A grid of its own, made where torch makes tensors if it is not asked."""

    def forward(self, grid):
        return self.weight * (-torch.arange(self.spec.kernel_size, dtype=grid.lags.dtype)).exp()


class GridThere(Free):
    def forward(self, grid):
        lags = torch.arange(self.spec.kernel_size, dtype=grid.lags.dtype, device=grid.lags.device)
        return self.weight * (-lags).exp()


class DrawsOnTheHost(DropsTaps):
    generator = torch.Generator()


class ThroughNumpy(Free):
    """A window that numpy computes from the lags at each step."""

    def forward(self, grid):
        return self.weight * torch.from_numpy(np.hanning(len(np.asarray(grid.lags)))).to(grid.lags)


class InDouble(Free):
    """A window in double precision, made on the device."""

    def forward(self, grid):
        return self.weight * (-grid.lags.double().abs()).exp().to(grid.lags.dtype)


class Pinned(Free):
    """A table in pinned memory, asked of the device itself."""

    def forward(self, grid):
        return self.weight * grid.lags.new_ones(len(grid.lags)).pin_memory()


REFUSED = {
    "a buffer left on the CPU": (LeftBehind, TakenAlong, r"expected all tensors on gpu:0, found one .* on cpu"),
    "a grid made on the default device": (GridElsewhere, GridThere, r"expected all tensors on gpu:0"),
    "a CPU generator": (DrawsOnTheHost, DropsTaps, r"expected a generator of gpu:0, found one of cpu"),
    "a numpy call": (ThroughNumpy, Free, r"can't convert gpu:0 device type tensor to numpy"),
    "pinned memory asked of the device": (Pinned, Free, r"only dense CPU tensors can be pinned"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_a_gpu_refuses_is_refused(fault):
    broken, sound, said = REFUSED[fault]
    trained(network(sound), "gpu:0")
    trained(network(broken), "cpu")
    with pytest.raises((PretendError, TypeError), match=said):
        trained(network(broken), "gpu:0")


def test_a_float64_tensor_on_a_device_without_it():
    net = network(InDouble).to("gpu:0")
    voltage = lines("gpu:0").signal[:, None]
    with torch.no_grad():
        net(voltage)
    with pretending(float64=False), pytest.raises(PretendError, match=r"gpu:0 does not support torch\.float64"):
        net.train()(voltage)


class Reading(TrainingLoss):
    """The loss, and a line about it after each batch."""

    def __call__(self, prediction, counts):
        loss, terms = super().__call__(prediction, counts)
        self.read(loss.detach())
        return loss, terms


class ReadingByCpu(Reading):
    def read(self, loss):
        return loss.cpu()


class ReadingByItem(Reading):
    def read(self, loss):
        return loss.item()


@pytest.mark.parametrize("update", ["per-batch", "per-epoch"])
def test_an_epoch_waits_for_the_device_at_its_end_alone(update):
    with waits_of_epochs() as waits:
        trained(network(), "gpu:0", update=update, save=lambda _state: None, save_seconds=0)
    assert [len(each) for each in waits] == [1, 1, 1], waits
    assert {each.split(":")[0] for found in waits for each in found} == {"a copy in loop.py"}


READ = {".cpu() in the loop": ReadingByCpu, ".item() per batch": ReadingByItem}


@pytest.mark.parametrize("fault", READ)
def test_a_copy_to_the_host_in_each_batch_is_counted(fault):
    with waits_of_epochs() as waits:
        trained(network(), "gpu:0", loss=READ[fault]())
    assert [len(each) for each in waits] == [3, 3, 3], "two batches and the end of the epoch"
    assert all(sum("in test_planted_faults.py" in each for each in found) == 2 for found in waits)


class Stale(KernelConv):
    """A layer that forgets to look where its parameters live before it takes the spectrum that it keeps."""

    def _versions(self):
        return ("kept for ever",)

    def train(self, mode=True):
        return torch.nn.Module.train(self, mode)


@pytest.mark.parametrize("backend", ["direct", "overlap_save", "fft"])
def test_a_stale_cached_spectrum_after_to(backend):
    signal = torch.randn(2, 4, 200, generator=torch.Generator().manual_seed(0))

    def outputs(kind):
        spec = KernelSpec(4, 4, kernel_size=9)
        torch.manual_seed(0)
        layer = kind(Free(spec), spec, backend=backend).eval()
        with torch.no_grad():
            return [values(layer.to(where)(signal.to(where))) for where in ("cpu", "gpu:0", "cpu")]

    here, there, back = outputs(KernelConv)
    assert torch.equal(here, back)
    torch.testing.assert_close(there, here)
    with pytest.raises(Exception, match=r"must share dtype and device, got .* on gpu:0 and .* on cpu"):
        outputs(Stale)


def test_a_spectrum_that_stays_while_its_kernel_moves():
    signal, kernel = torch.randn(2, 4, 200), torch.randn(4, 4, 9)
    prepared = PreparedKernel(kernel, backend="fft")
    prepared(signal)
    prepared.kernel = kernel.to("gpu")
    with pytest.raises(PretendError, match=r"expected all tensors on gpu:0"):
        prepared(signal.to("gpu"))
    PreparedKernel(kernel.to("gpu"), backend="fft")(signal.to("gpu"))


class Leaking(TrainingLoss):
    """Sets the default device, to save a few words, and leaves it so."""

    def __call__(self, prediction, counts):
        torch.set_default_device(prediction.device)
        return super().__call__(prediction, counts)


def test_a_default_device_leak():
    """What is made on the host meets what is not: here the order of the batches, drawn by a generator of the CPU."""
    try:
        with pytest.raises((PretendError, RuntimeError), match=r"generator"):
            trained(network(), "gpu:0", loss=Leaking())
    finally:
        torch.set_default_device(None)
    trained(network(), "gpu:0")


class LeakingKernel(Free):
    def forward(self, grid):
        torch.set_default_device(grid.lags.device)
        return super().forward(grid)


def test_a_default_device_leak_of_a_kernel_is_put_back_at_each_step():
    there = trained(network(LeakingKernel), "gpu:0")
    assert torch.get_default_device() == torch.device("cpu")
    assert same(there, trained(network(), "cpu"))
