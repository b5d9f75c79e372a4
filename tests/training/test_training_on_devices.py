"""A training run on a GPU is that of the CPU but for last bits."""

import pytest
import torch

from kernbench.host.device import choose_device
from kernbench.networks.network import build
from kernbench.training.batches import TrainingData
from kernbench.training.loop import train
from kernbench.training.settings import Hooks, Settings
from kernbench.ulm.scoring.loss import TrainingLoss

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]


def curve(device, family):
    """Training losses of five epochs of four updates each, from the same start and on the same lines."""
    torch.manual_seed(0)
    network = build("shallow", family, 33, channels=4, depth=2).to(device)
    generator = torch.Generator().manual_seed(1)
    signal = torch.randn(16, 600, generator=generator).to(device)
    target = (torch.rand(16, 600, generator=generator) < 0.05).float().to(device)
    settings = Settings(5, 4, "per-batch", 2e-3, 1000, 0.1, 5)
    hooks = Hooks(validate=lambda _network: (0.0, 0.0))
    rows = train(network, TrainingData(signal, target), TrainingLoss(), settings, hooks, order_seed=2)
    return [row.train_loss for row in rows]


@pytest.mark.parametrize("family", ["discrete", "siren", "gaussian"])
def test_losses_are_those_of_the_cpu(family):
    device = choose_device("cuda")
    found, wanted = curve(device, family), curve("cpu", family)
    assert found == pytest.approx(wanted, rel=1e-3)
    assert found == curve(device, family)  # and the same in every run


def test_a_smoke_cell_runs_from_the_lines_to_its_scores(bench):
    import kernbench

    words = "--plugin siren --study smoke --profile smoke --only kernel_size=9 --no-baselines --device cuda"
    done = bench.run("run", *words.split(), "--storage", bench.url)
    assert done.code == 0, done
    (cell,) = kernbench.results(bench.url)
    assert cell.status == "ok"
    assert cell.values["peak_memory_mb"] > 0
