"""A training step against the machine's matrix product, and an epoch against a plain loop that does as published."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from kernbench.bench.table import Table
from kernbench.bench.timing import interleaved
from kernbench.evaluation import Workbench
from kernbench.measure import flops_forward
from kernbench.networks import build
from kernbench.training import Hooks, Settings, TrainingData, train
from kernbench.ulm.dataset import Recipe, load_split
from kernbench.ulm.loss import dual_loss
from kernbench.ulm.protocol import HEADLINE_TOLERANCE

SAMPLES = 8446
SETTINGS = Settings(1, 2, "per-epoch", 0.01, 1000, 0.1, 1.0, 1.6, 0.1, 1)


def step_table(lines: int = 2, samples: int = SAMPLES, turns: int = 5, channels: int = 64) -> Table:
    """Rate of one training step of the published dilated network beside that of a 2,048-cubed matrix product."""
    torch.manual_seed(0)
    network = build("dilated", family="discrete", kernel_size=3, channels=channels)
    voltage, counts = _lines(lines, samples)
    square = torch.randn(2048, 2048)
    found = interleaved({"step": _step(network, voltage, counts), "matmul": lambda: square @ square}, turns=turns)
    # backward makes two convolutions of each: gradients of signal and kernel
    operations = 3 * flops_forward(network, samples, "direct", lines)
    step, matmul = operations / found["step"].median / 1e9, 2 * 2048**3 / found["matmul"].median / 1e9
    return Table(
        "train_step",
        f"Training step, dilated network, {channels} channels, K = 3, {lines} lines of {samples:,} samples, one thread",
        ["part", "s", "GFLOP/s", "share of the matrix product"],
        [
            ["forward and backward", found["step"].median, step, step / matmul],
            ["2,048-cubed matrix product", found["matmul"].median, matmul, 1.0],
        ],
    )


def siren_table(kernel_size: int = 527, channels: int = 22, lines: int = 4, samples: int = SAMPLES) -> Table:
    """One training step of the shallow SIREN, on `auto` and on the package that the thesis used."""
    voltage, counts = _lines(lines, samples)
    peers: dict[str, Callable[[], object]] = {}
    for backend in ("auto", "fft_conv"):
        torch.manual_seed(0)
        network = build("shallow", family="siren", kernel_size=kernel_size, channels=channels, backend=backend)
        peers[backend] = _step(network, voltage, counts)
    found = interleaved(peers, turns=3)
    ours = found["auto"].median
    return Table(
        "train_siren",
        f"Training step, shallow SIREN, K = {kernel_size}, {channels} channels, {lines} lines of {samples:,} samples, "
        "one thread",
        ["backend", "s", "times auto"],
        [[name, timing.median, timing.median / ours] for name, timing in found.items()],
    )


def epoch_table(train_lines: int = 8, validation_lines: int = 8, channels: int = 64, depth: int = 10) -> Table:
    """One epoch with a look at the validation lines, here and as a plain loop with the published procedure.

    The plain loop sums the gradients of all batches, takes one step, and computes the validation loss with its graph
    kept. Ours also computes the validation F1 at the headline tolerance in that time.
    """
    recipe = Recipe({"train": train_lines, "validation": validation_lines}, window=2048)
    bench = Workbench({split: load_split(recipe, split) for split in recipe.lines}, 0.0, 0, "cpu")
    data = bench.training_data()
    torch.manual_seed(0)
    mine = build("dilated", family="discrete", kernel_size=3, channels=channels, depth=depth)
    torch.manual_seed(0)
    plain = build("dilated", family="discrete", kernel_size=3, channels=channels, depth=depth)
    optimizer = torch.optim.Adam(plain.parameters(), lr=SETTINGS.rate)
    hooks = Hooks(validate=lambda network: bench.look(network, SETTINGS, HEADLINE_TOLERANCE))
    found = interleaved(
        {
            "kernbench": lambda: train(mine, data, SETTINGS, hooks, order_seed=0),
            "plain loop": lambda: plain_epoch(plain, optimizer, data, bench.lines("validation")),
        },
        turns=3,
    )
    ours = found["kernbench"].median
    return Table(
        "train_epoch",
        f"One epoch with validation, dilated network, {channels} channels, {depth} layers, {train_lines} training and "
        f"{validation_lines} validation windows of 2,048 samples, batch {SETTINGS.batch_size}, one thread",
        ["way", "s", "times ours"],
        [[name, timing.median, timing.median / ours] for name, timing in found.items()],
    )


def plain_epoch(
    network: nn.Module, optimizer: torch.optim.Optimizer, data: TrainingData, validation: tuple[Tensor, Tensor]
) -> float:
    """One epoch as the protocol describes the published code: one step per epoch, graph kept in validation."""
    network.train()
    optimizer.zero_grad()
    size = SETTINGS.batch_size
    for rows in torch.randperm(len(data.counts)).split(size):
        loss = dual_loss(network(data.voltage[rows].unsqueeze(1)), data.counts[rows].unsqueeze(1))[0]
        loss.backward()
        float(loss.detach())
    optimizer.step()
    network.eval()
    total = 0.0
    for voltage, counts in zip(validation[0].split(size), validation[1].split(size), strict=True):
        loss = dual_loss(network(voltage.unsqueeze(1)), counts.unsqueeze(1))[0]
        total += float(loss.detach())
    return total


def _lines(lines: int, samples: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    voltage = torch.randn(lines, 1, samples, generator=generator)
    return voltage, (torch.rand(lines, 1, samples, generator=generator) < 0.06).float()


def _step(network: nn.Module, voltage: Tensor, counts: Tensor) -> Callable[[], None]:
    def run() -> None:
        network.zero_grad()
        dual_loss(network(voltage), counts)[0].backward()

    network.train()
    return run
