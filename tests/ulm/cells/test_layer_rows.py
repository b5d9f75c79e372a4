"""What a cell records of its layers: gains before training, operations free of the backend beside those used."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from kernbench.kernels.base import KernelModule
from kernbench.kernels.family import KernelFamily
from kernbench.networks.cost import flops_forward
from kernbench.networks.network import build
from kernbench.ulm.cells.outcome import layer_rows

LENGTH = 2048


class Plain(KernelModule):
    """Nine taps for all channels; it cannot scale its kernel."""

    def __init__(self, spec):
        super().__init__(spec)
        self.taps = torch.nn.Parameter(torch.randn(spec.kernel_size))

    def forward(self, grid):
        return self.taps.expand(self.spec.shape)


def rows_of(name="shallow", family="siren", size=65, **given):
    torch.manual_seed(3)
    net = build(name, family, size, 6, **given)
    return net, layer_rows(net, SimpleNamespace(splits={"test": SimpleNamespace(voltage=np.zeros((2, LENGTH)))}))


def test_every_layer_says_its_sizes_and_the_gains_that_training_starts_with():
    net, rows = rows_of("dilated", size=3, depth=3)
    assert [row["layer"] for row in rows] == [1, 2, 3]
    assert [(row["taps"], row["dilation"], row["in_channels"], row["out_channels"]) for row in rows] == [
        *((3, 1, 1, 6), (3, 2, 6, 6), (3, 4, 6, 6))
    ]
    for row, layer in zip(rows, net.kernel_layers(), strict=True):
        assert row["raw_gain"] == layer.raw_gain != 1
        assert row["gain"] == pytest.approx(1, abs=1e-3)
        assert row["parameters_kernel"] == sum(each.numel() for each in layer.kernel_module.parameters())
        assert row["parameters_amplitude"] == 0
    _, published = rows_of("dilated", size=3, depth=3, gain="published")
    assert [row["gain"] for row in published] == [row["raw_gain"] for row in published]


def test_an_amplitude_is_counted_apart_from_the_kernel():
    _, rows = rows_of(family=KernelFamily("plain", Plain), size=9)
    assert [(row["parameters_kernel"], row["parameters_amplitude"]) for row in rows] == [(9, 6)] * 4
    assert [row["gain"] for row in rows] == [pytest.approx(1)] * 4


def test_operations_of_the_direct_sum_grow_with_the_kernel_whatever_the_backend_does():
    direct, used = [], []
    for size in (17, 65, 129, 257):
        net, rows = rows_of(family="discrete", size=size)
        direct.append(sum(row["flops_direct"] for row in rows))
        used.append(sum(row["flops"] for row in rows))
        last = 2 * 6 * LENGTH  # the 1x1 convolution behind the layers
        assert direct[-1] + last == flops_forward(net, LENGTH, "direct")
        assert used[-1] + last == flops_forward(net, LENGTH, "auto")
    assert direct == sorted(direct)
    assert direct[-1] > 10 * direct[0]
    assert used[-1] < direct[-1]
    assert {row["backend"] for row in rows[1:]} <= {"fft", "overlap_save"}
