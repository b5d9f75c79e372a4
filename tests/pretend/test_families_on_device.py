"""Every bundled family, layer form and network trains on the pretend accelerator as on the CPU, and without waiting."""

from typing import NamedTuple

import pytest
import torch
from pretend_gpu import gpu
from pretending import pretending
from small_training import DropsTaps, lines, network, same, trained, waits_of_epochs

from kernbench.kernels.checking.state import device as checked_on_device
from kernbench.kernels.finding import NotTried
from kernbench.networks import at_rate
from kernbench.networks.cost import supports
from kernbench.networks.network import set_recompute
from kernbench.registry import find_family, installed
from kernbench.store.files.checkpoints import CellCheckpoints

FAMILIES = sorted(name for name, found in installed().found.items() if found.distribution == "kernbench")


class Both(NamedTuple):
    """Results on the CPU and there, the network there, waits of each epoch, copies from the host, most memory."""

    here: tuple
    there: tuple
    net: torch.nn.Module
    waits: list
    sent: list
    peak: int


def both(make, **given):
    """A training on the CPU and on the accelerator; waits are those of each epoch."""
    here = trained(make(), "cpu", **given)
    with pretending(), waits_of_epochs() as waits:
        net = make()
        there = trained(net, "gpu:0", **given)
        return Both(here, there, net, waits, list(gpu.from_host), gpu.peak)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_trains_as_on_the_cpu_and_waits_once_an_epoch(family):
    found = both(lambda: network(family))
    assert same(found.here, found.there)
    assert [len(each) for each in found.waits] == [1, 1, 1], found.waits
    assert sum("batches.py" in each for each in found.sent) == 3, "the order of the lines of each epoch"
    assert {each.split()[-1].split(":")[0] for each in found.sent} == {"batches.py", "small_training.py"}, found.sent
    with pretending(), torch.no_grad():
        signal = lines("gpu:0").signal[:, None]
        assert at_rate(found.net, 2.0)(signal).device.type == found.net(signal).device.type == "gpu"
        assert len(supports(found.net)) == 2
    with pytest.raises(NotTried, match="no accelerator"):
        checked_on_device(find_family(family))
    with pretending():
        assert checked_on_device(find_family(family)) == "same kernel on the accelerator"


@pytest.mark.parametrize("form", ["separable", "branches"])
def test_a_form_of_layers_trains_as_on_the_cpu(form):
    found = both(lambda: network("siren", layer=form))
    assert same(found.here, found.there)
    assert [len(each) for each in found.waits] == [1, 1, 1], found.waits


@pytest.mark.parametrize("backend", ["auto", "direct", "fft", "overlap_save", "fft_conv"])
def test_a_backend_trains_as_on_the_cpu(backend, same_choices):
    found = both(lambda: network("siren", backend=backend, kernel_size=33))
    assert same(found.here, found.there)
    assert [len(each) for each in found.waits] == [1, 1, 1], found.waits


@pytest.mark.slow
def test_recompute_changes_no_bit_and_takes_less_memory():
    def made(wanted):
        def make():
            net = network("siren", kernel_size=17, backend="fft", depth=9)
            set_recompute(net, wanted)
            return net

        return make

    kept, made_again = both(made(False)), both(made(True))
    assert same(made_again.here, made_again.there)
    assert same(kept.there, made_again.there)
    assert made_again.peak < 0.6 * kept.peak
    with pretending(memory=gpu.allocated + (kept.peak + made_again.peak) // 2):
        trained(made(True)(), "gpu:0")
        with pytest.raises(torch.OutOfMemoryError):
            trained(made(False)(), "gpu:0")


def test_random_numbers_of_the_device_go_on_where_they_were(tmp_path):
    """A resumed run draws what an uninterrupted one draws, though something else has drawn meanwhile."""
    kept = CellCheckpoints(tmp_path, "cell", 0)

    def save(state):
        if state["epoch"] == 1:
            kept.save(state | {"digest": "mine"})

    with pretending():
        whole = trained(network(DropsTaps), "gpu:0", save=save, save_seconds=0)
        state = kept.newest("mine")
        assert state["epoch"] == 1
        gpu.manual_seed_all(77)
        rest = trained(network(DropsTaps), "gpu:0", resume=state)
    assert same(whole, rest)
