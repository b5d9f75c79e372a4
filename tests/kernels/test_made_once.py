"""A layer that convolves several times in one forward pass has its kernel made once."""

import pytest
import torch

import kernbench
from kernbench.kernels.layer_options import LAYERS, make_layer
from kernbench.registry import find_family

SPEC = kernbench.KernelSpec(3, 3, kernel_size=5)


class Counted(kernbench.KernelModule):
    """Free taps; counts how often they are asked for."""

    asked = 0

    def __init__(self, spec):
        super().__init__(spec)
        self.weight = torch.nn.Parameter(torch.randn(spec.shape))

    def forward(self, grid):
        type(self).asked += 1
        return self.weight * 1.0


def calls(work):
    """How often a family was asked for a kernel by some work."""
    before = Counted.asked
    work()
    return Counted.asked - before


@pytest.fixture
def layer():
    torch.manual_seed(0)
    return make_layer("plain", kernbench.KernelFamily("counted", Counted), SPEC)


def twice(layer, signal):
    return layer(layer(signal))


def test_within_it_the_family_is_asked_once(layer):
    signal = torch.randn(2, 3, 40)
    assert calls(lambda: twice(layer, signal)) == 2

    def once():
        with layer.made_once():
            twice(layer, signal)

    assert calls(once) == 1
    assert calls(lambda: layer(signal)) == 1  # nothing is kept afterwards


def test_in_evaluation_the_kernel_is_kept_as_ever(layer):
    layer.eval()
    signal = torch.randn(2, 3, 40)

    def passes():
        with torch.no_grad():
            for _ in range(3):
                with layer.made_once():
                    twice(layer, signal)

    assert calls(passes) == 1


def test_another_grid_is_still_evaluated(layer):
    with layer.made_once():
        assert calls(lambda: layer.kernel(SPEC.grid())) == 1


@pytest.mark.parametrize("form", LAYERS)
@pytest.mark.parametrize("family", ["discrete", "siren"])
@pytest.mark.parametrize("backend", ["direct", "fft"])
def test_outputs_and_gradients_are_those_of_kernels_made_anew(form, family, backend):
    found = []
    for hold in (True, False):
        torch.manual_seed(0)
        layer = make_layer(form, find_family(family), SPEC, backend=backend).double()
        names = [name for name, _ in layer.named_parameters()]
        signal = torch.randn(2, 3, 40, dtype=torch.float64)
        if hold:
            with layer.made_once():
                output = twice(layer, signal)
        else:
            output = twice(layer, signal)
        output.square().sum().backward()
        assert [name for name, _ in layer.named_parameters()] == names
        found.append([output, *(parameter.grad for parameter in layer.parameters())])
    torch.testing.assert_close(found[0], found[1], rtol=1e-10, atol=1e-10)


def test_it_is_forgotten_where_the_work_raises(layer):
    with pytest.raises(ZeroDivisionError), layer.made_once():
        raise ZeroDivisionError
    assert calls(lambda: layer(torch.randn(1, 3, 9))) == 1
