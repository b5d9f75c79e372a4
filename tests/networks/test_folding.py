"""What a stride folds, and the operations of modules that work at several rates."""

import math

import pytest
import torch
from torch import nn

import kernbench
from kernbench.errors import PluginError
from kernbench.kernels.layer_options import make_layer
from kernbench.networks import build
from kernbench.networks.contract import Use, uses_of
from kernbench.networks.folding import folded


class Fixed(kernbench.KernelModule):
    """Given taps, the same for every channel pair."""

    TAPS = ()

    def forward(self, grid):
        return torch.tensor(self.TAPS, dtype=grid.lags.dtype).expand(self.spec.shape)


def network_of(taps, strides, dilation=1):
    """A module with one layer of given taps."""
    fixed = kernbench.KernelFamily("fixed_taps", type("Taps", (Fixed,), {"TAPS": taps}))
    spec = kernbench.KernelSpec(2, 1, kernel_size=len(taps), dilation=dilation)
    module = nn.Module()
    layer = make_layer("plain", fixed, spec)
    module.kernel_layers = lambda: [layer]
    module.strides = lambda: strides
    return module


@pytest.mark.parametrize(
    ("taps", "share"),
    [
        # |H|^2 of a tap is flat: all above f is 1 - 2 f
        ((0.0, 1.0, 0.0), lambda f: 1 - 2 * f),
        # 1 1: |H|^2 = 2 + 2 cos(2 pi f)
        ((1.0, 1.0), lambda f: 1 - 2 * f - math.sin(2 * math.pi * f) / math.pi),
        # 1 -1: the same with the other sign
        ((1.0, -1.0), lambda f: 1 - 2 * f + math.sin(2 * math.pi * f) / math.pi),
    ],
)
@pytest.mark.parametrize("stride", [2, 4])
def test_energy_above_the_new_nyquist_frequency_is_that_of_the_integral(taps, share, stride):
    # zeros around do not change a spectrum, and make the transform's grid fine
    long = (*taps, *(0.0,) * 500)
    (found,) = folded(network_of(long, [stride]))
    assert (found.layer, found.stride, found.nyquist) == (1, stride, 0.5 / stride)
    assert found.energy == pytest.approx(share(0.5 / stride), abs=2e-3)


def test_taps_that_stand_apart_have_zeros_between_them():
    # 1 1 at dilation 2: |H|^2 = 2 + 2 cos(4 pi f), half of it above f = 1/4
    (found,) = folded(network_of((1.0, 1.0, *(0.0,) * 200), [2], dilation=2))
    assert found.energy == pytest.approx(0.5, abs=2e-3)


def test_layers_all_of_whose_outputs_go_on_fold_nothing():
    assert folded(network_of((1.0, 2.0), [1])) == []
    assert folded(build("shallow", "discrete", 5, 2, depth=2)) == []


def test_networks_of_the_plugin_say_what_they_fold():
    assert [(each.layer, each.stride) for each in folded(build("strided", "discrete", 5, 2, depth=3))] == [(1, 2)]
    found = folded(build("unet1d", "discrete", 5, 2, depth=2))
    assert [(each.layer, each.stride) for each in found] == [(2, 2), (4, 2)]
    assert all(0 < each.energy < 1 for each in found)


@pytest.mark.parametrize("strides", [[], [2, 2], [0], [1.5], None, [True]])
def test_strides_that_are_none_are_refused(strides):
    with pytest.raises(PluginError, match=r"strides\(\) of Module must give a whole number >= 1 for each of 1 layers"):
        folded(network_of((1.0, 2.0), strides))


class Twice(nn.Module):
    """Two calls of one convolution, of other lengths."""

    def __init__(self):
        super().__init__()
        self.small = nn.Conv1d(1, 1, 3)

    def forward(self, signal):
        return signal + self.small(self.small(signal)).mean()


def test_every_call_of_a_module_is_seen_with_what_it_takes_and_gives():
    network = Twice()
    unused = nn.Conv1d(1, 1, 1)
    assert uses_of(network, [network.small, unused], 20) == [[Use(20, 18), Use(18, 16)], []]
    assert network.training
