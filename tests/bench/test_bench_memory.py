"""Memory counted on tensors without values is the memory that torch allocates on real ones."""

import pytest
import torch
from retained import peak_of_update, retained_bytes

from kernbench.bench import memory_tables
from kernbench.bench.counted_update import LayerMemory, UpdateMemory, count_update
from kernbench.bench.live_bytes import LiveBytes
from kernbench.conv import auto, dispatch
from kernbench.networks.network import build
from kernbench.ulm.scoring.loss import dual_loss

NETWORKS = [("dilated", "discrete", 3, 16, 3), ("shallow", "siren", 65, 22, 8), ("shallow", "siren", 527, 22, 4)]
SAMPLES = 8446


@pytest.fixture
def choose_as_on_cuda(monkeypatch):
    """Real tensors of a CPU are convolved by the backends and in the blocks that `auto` takes on CUDA."""
    monkeypatch.setattr(
        dispatch, "choose", lambda signal, kernel, dilation, _: auto.choose(signal, kernel, dilation, "cuda")
    )
    monkeypatch.setattr(dispatch, "block_plan", lambda *shapes: auto.block_plan(*shapes[:3], "cuda"))


@pytest.mark.parametrize(("name", "family", "kernel_size", "channels", "batch"), NETWORKS)
def test_the_peak_is_what_torch_allocates(choose_as_on_cuda, tmp_path, name, family, kernel_size, channels, batch):
    torch.manual_seed(0)
    network = build(name, family, kernel_size, channels=channels)
    voltage, counts = torch.randn(batch, 1, SAMPLES), (torch.rand(batch, 1, SAMPLES) < 0.05).float()
    allocated = peak_of_update(network, voltage, counts, tmp_path / "trace.json") + voltage.nbytes + counts.nbytes
    assert count_update(network, batch, SAMPLES).peak == pytest.approx(allocated, rel=0.1)


@pytest.mark.parametrize(("name", "family", "kernel_size", "channels", "batch"), NETWORKS[:2])
def test_what_layers_keep_is_what_autograd_keeps(choose_as_on_cuda, name, family, kernel_size, channels, batch):
    network = build(name, family, kernel_size, channels=channels)
    voltage, counts = torch.randn(batch, 1, SAMPLES), torch.zeros(batch, 1, SAMPLES)
    kept = retained_bytes(lambda: dual_loss(network(voltage), counts).loss)
    found = count_update(network, batch, SAMPLES)
    counted = sum(found.kept(what) for what in ("activations", "spectra", "kernel"))
    # parameters that autograd keeps, too, are counted as state
    assert counted <= kept <= counted + found.state
    assert all(layer.activations >= 2 * batch * channels * SAMPLES * 4 for layer in found.layers)
    spectral = [layer for layer in found.layers if layer.backend in ("fft", "overlap_save")]
    assert bool(spectral) is (name == "shallow")
    assert all(bool(layer.spectra) is (layer in spectral) for layer in found.layers)


def test_the_state_is_parameters_their_moments_and_buffers():
    network = build("dilated", "discrete", 3, channels=4, depth=2)
    parameters = 4 * sum(each.numel() for each in network.parameters())
    buffers = 2 * (2 * 4 * 4 + 8)  # of two BatchNorms: mean and variance of four channels, count of batches
    assert count_update(network, 1, 100).state == 3 * parameters + buffers


def test_live_bytes_count_storages_once_and_forget_them():
    with LiveBytes() as live:
        first = torch.empty(1000, device="meta")
        views = [first[:10], first.view(10, 100).t()]
        assert live.now == 4000
        second = first + 1
        assert (live.now, live.peak) == (8000, 8000)
        del first, second
        assert live.now == 4000  # the views hold the first
        del views
        assert (live.now, live.peak) == (0, 8000)


def test_workers_share_a_card_with_their_lines_and_contexts(monkeypatch):
    monkeypatch.setattr(memory_tables, "LINES", 10)
    update = UpdateMemory(state=300, peak=700, layers=[], rest=LayerMemory(""))
    cell = 1000 + 10 * 50 * 8
    assert memory_tables.on_device(update, 50) == cell
    for card_gb in (1, 24):
        workers = memory_tables.workers_that_fit(update, 50, card_gb)
        each = cell + memory_tables.CONTEXT_BYTES
        assert workers * each <= 0.9e9 * card_gb < (workers + 1) * each


def test_the_command_prints_and_keeps_its_tables(bench):
    words = "--kernel-sizes 33 --channels 3,5 --batch 1 --samples 4500 --out found"
    done = bench.run("bench", "memory", *words.split())
    assert done.code == 0, done
    names = {path.stem for path in (bench.folder / "found").iterdir()}
    assert names == {"memory_update", "memory_fits", "memory_layers"}
    update = (bench.folder / "found" / "memory_update.csv").read_text().splitlines()
    assert [line.split(",")[2] for line in update[1:]] == ["64", "3", "5"]  # the first has a comma in its name
