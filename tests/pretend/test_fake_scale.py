"""Both networks at the scale of the thesis on an accelerator that has no values: every path, nothing computed."""

import pytest
import torch
from faking import faked, faking, kept_bytes

from kernbench.networks import build
from kernbench.networks.network import set_recompute
from kernbench.ulm.line import SAMPLES
from kernbench.ulm.scoring.loss import TrainingLoss

# A layer looks whether its parameters have moved before it takes a kernel that it keeps.
pytestmark = pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")

THESIS = [
    ("shallow", "discrete", 65, 22, 16),
    ("shallow", "discrete", 2111, 22, 8),  # fewer lines: spectra are made a few lines at a time, in many operations
    ("shallow", "siren", 527, 64, 4),
    ("shallow", "gaussian", 2111, 22, 4),
    ("shallow", "stencil", 131, 22, 8),
    ("shallow", "s4d", 1055, 22, 4),
    ("shallow", "sgconv", 527, 22, 4),
    ("shallow", "dcls", 263, 22, 8),
    ("dilated", "discrete", 3, 64, 64),  # the whole batch; of the others a quarter takes the same path
    ("dilated", "siren", 3, 64, 16),
    ("dilated", "gabor", 3, 22, 16),
]


def where(tensors):
    return {each.device for each in tensors}


@pytest.fixture
def mode():
    with faking() as made:
        yield made


def built(name, family, taps, channels, mode, **given):
    with torch._subclasses.fake_tensor.unset_fake_temporarily():  # building looks at the values of kernels
        torch.manual_seed(0)
        network = build(name, family=family, kernel_size=taps, channels=channels, **given)
    return faked(network, mode)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "family", "taps", "channels", "count"), THESIS, ids=str)
def test_a_training_step_and_an_evaluation_at_the_scale_of_the_thesis(name, family, taps, channels, count, mode):
    network = built(name, family, taps, channels, mode).train()
    lines = torch.zeros(count, 1, SAMPLES, device="gpu")
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    for again in (False, True):
        set_recompute(network, again)
        output = network(lines)
        assert output.shape == (count, 1, SAMPLES)
        loss, terms = TrainingLoss()(output, lines)
        assert where([output, loss, *terms.values()]) == {torch.device("gpu:0")}
        assert not loss.shape
        loss.backward()
        for parameter in network.parameters():
            assert parameter.grad.shape == parameter.shape
            assert parameter.grad.device == torch.device("gpu:0")
        optimizer.step()
        optimizer.zero_grad()
    network.eval()
    with torch.no_grad():
        for some in (count, 1):  # the last batch is smaller; kernels and spectra are kept from the first
            scores = network(lines[:some])
            assert scores.shape == (some, 1, SAMPLES)
            assert where([scores]) == {torch.device("gpu:0")}
        layer = network.kernel_layers()[-1]
        assert where([layer.kernel()]) == {torch.device("gpu:0")}
        assert layer.kernel().shape == layer.spec.shape


def test_mixing_devices_and_reading_a_value_raise(mode):
    network = built("shallow", "discrete", 9, 4, mode)
    with pytest.raises(Exception, match="gpu:0"):
        network(torch.zeros(2, 1, 512))
    with pytest.raises(Exception, match="_local_scalar_dense"):
        network(torch.zeros(2, 1, 512, device="gpu")).sum().item()


@pytest.mark.parametrize("backend", ["direct", "fft", "overlap_save"])
def test_bytes_kept_for_the_backward_pass_are_those_that_are_kept_with_values(mode, same_choices, backend):
    given = {
        "network": "shallow",
        "family": "siren",
        "kernel_size": 17,
        "channels": 4,
        "backend": backend,
    }
    with torch._subclasses.fake_tensor.unset_fake_temporarily():
        real = build(**given).train()
        wanted = kept_bytes(real, torch.randn(2, 1, 512))
        assert sum(wanted[:-1]) > 4 * 2 * 4 * 512 * 4, "the input of each layer at least"
        fresh = build(**given)
    there = faked(fresh, mode).train()
    assert kept_bytes(there, torch.zeros(2, 1, 512, device="gpu")) == wanted
