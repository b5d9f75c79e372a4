"""Costs of a network against hand counts; oracle 29."""

import pytest
import torch
from retained import retained_bytes

from kernbench.conv import convolve
from kernbench.errors import KernbenchError
from kernbench.host.memory import peak_memory
from kernbench.kernels.base import KernelModule, KernelSpec
from kernbench.kernels.conformance import check_family
from kernbench.kernels.family import KernelFamily
from kernbench.networks.cost import flops_forward, flops_generation, latency, layer_costs, parameter_count
from kernbench.networks.network import build


@pytest.mark.parametrize(
    ("name", "kernel_size", "channels", "gmac"),
    [("shallow", 65, 15, 0.38), ("shallow", 131, 22, 1.66), ("shallow", 1055, 15, 6.95), ("dilated", 3, 64, 2.05)],
)
def test_direct_cost_is_the_published_one(name, kernel_size, channels, gmac):
    net = build(name, "discrete", kernel_size, channels=channels)
    assert flops_forward(net, 8446) / 2e9 == pytest.approx(gmac, abs=0.006)


def test_direct_cost_by_hand():
    # line of 100, K = 5, 2 layers: padded by 4 on each side; outputs 104, 100; then 3 channels to 1
    net = build("shallow", "discrete", 5, channels=3, depth=2)
    assert flops_forward(net, 100) == 2 * (3 * 5 * 104 + 9 * 5 * 100 + 3 * 100)


def test_auto_costs_what_its_choices_cost():
    net = build("shallow", "discrete", 257, channels=8)
    costs = layer_costs(net, 2048)
    assert {cost.backend for cost in costs[1:]} <= {"fft", "overlap_save"}
    assert flops_forward(net, 2048, "auto") <= flops_forward(net, 2048, "direct")
    with pytest.raises(KernbenchError, match="direct, fft, overlap_save and auto"):
        flops_forward(net, 2048, "fft_conv")


def test_layer_costs_add_up_to_the_networks_parameters():
    net = build("shallow", "siren", 33, channels=6, hyper={"hidden": 8})
    costs = layer_costs(net, 500)
    total = sum(cost.kernel + cost.bias + cost.amplitude + cost.norm for cost in costs) + 6 + 1
    assert total == parameter_count(net)
    assert [cost.spec.in_channels for cost in costs] == [1, 6, 6, 6]


class Complex(KernelModule):
    """One complex weight for each pair of channels: two numbers that training changes."""

    def __init__(self, spec):
        super().__init__(spec)
        self.weight = torch.nn.Parameter(torch.randn(*spec.shape[:2], 1, dtype=torch.complex64))

    def forward(self, grid):
        return (self.weight * torch.exp(1j * grid.lags)).real


def test_a_complex_parameter_counts_as_two_numbers():
    family = KernelFamily("complex", Complex)
    assert family.param_count(KernelSpec(3, 2, kernel_size=5)) == 12
    net = build("shallow", family, 5, channels=2, depth=2)
    costs = layer_costs(net, 500)
    assert [cost.kernel for cost in costs] == [4, 8]
    real = sum(p.numel() for p in net.parameters() if not p.is_complex())
    assert parameter_count(net) == 12 + real
    assert all(result.passed for result in check_family(family) if result.name == "param-count")


def test_kernel_generation_is_counted_apart():
    h, kernel_size = 8, 33
    net = build("shallow", "siren", kernel_size, channels=6, hyper={"hidden": h})
    assert flops_generation(net) == sum(2 * kernel_size * (h + h * h + h * pairs) for pairs in (6, 36, 36, 36))
    assert flops_generation(build("shallow", "discrete", 33, channels=2)) == 0


def test_latency_restores_the_mode():
    net = build("shallow", "discrete", 3, channels=2).train()
    assert latency(net, torch.randn(1, 1, 64)) > 0
    assert net.training


def test_fft_keeps_no_copy_of_the_weights_per_batch_element():
    """One spectrum of the weights (8 F P bytes) and one of the signal (8 B F Ci), whatever the batch."""
    batch, channels, length = 16, 8, 1000
    signal = torch.randn(batch, channels, length, requires_grad=True)
    kernel = torch.randn(channels, channels, 65, requires_grad=True)
    frequencies = 501
    own = 4 * (signal.numel() + kernel.numel())
    spectra = 8 * frequencies * channels**2 + 8 * batch * frequencies * channels
    fft = retained_bytes(lambda: convolve(signal, kernel, backend="fft"))
    assert fft == own + spectra
    assert retained_bytes(lambda: convolve(signal, kernel, backend="fft_conv")) > 2 * fft


def test_peak_memory_of_the_process_is_plausible():
    assert 2**25 < peak_memory("cpu") < 2**40
