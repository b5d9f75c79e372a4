"""Training side by side: a step against matrix products, an epoch against a plain loop, peak memory.

The plain loop is ours, written from the description of the published procedure (protocol 4 and 5.1): gradients of all
batches summed, one step per epoch, validation loss batch by batch with its graph kept, and for the scores one forward
pass per tolerance and threshold.
"""

import contextlib
import ctypes
from collections.abc import Callable
from functools import partial
from itertools import product

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from kernbench.bench.metrics import DENSITY, one_pair
from kernbench.bench.timing import Timing, fresh_peak, interleaved
from kernbench.host.memory import return_freed_tensors
from kernbench.networks.bundled import DILATED, SHALLOW
from kernbench.networks.network import Network, build
from kernbench.training.batches import TrainingData
from kernbench.training.loop import train
from kernbench.training.settings import Hooks, Settings
from kernbench.ulm.data.recipe import Split
from kernbench.ulm.evaluation.noise import Noise
from kernbench.ulm.evaluation.predict import predict
from kernbench.ulm.evaluation.workbench import Workbench
from kernbench.ulm.line import SAMPLES
from kernbench.ulm.scoring.loss import TrainingLoss, dual_loss, gaussian_taps
from kernbench.ulm.scoring.protocol import score
from kernbench.ulm.scoring.scores import THRESHOLDS, TOLERANCES

MATRIX = 2048
DILATED_FLOP = 6 * 2.05e9  # forward and backward of one line, 2.05 GMAC forward (protocol 3.4)

Timings = dict[str, Timing]  # by who does the work


def plain_network(channels: int = DILATED.channels, depth: int = DILATED.depth) -> nn.Sequential:
    """The dilated network of Blanken et al. (2022) in torch's own modules."""
    layers: list[nn.Module] = [nn.ReflectionPad1d(2**depth - 1)]
    for level in range(depth):
        convolution = nn.Conv1d(channels if level else 1, channels, 3, dilation=2**level)
        layers += [convolution, nn.BatchNorm1d(channels), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv1d(channels, 1, 1))


def plain_loss(output: Tensor, counts: Tensor, alpha: float = 0.1) -> Tensor:
    """The dual loss as the protocol words it (4.1): output and label smoothed each."""
    taps = gaussian_taps(alpha).to(output)[None, None]
    smooth, wanted = (functional.conv1d(each, taps, padding=29) for each in (output, counts))
    clipped, label = output.clamp(0, 1), counts.clamp(0, 1)
    dice = 2 * (clipped * label).sum(dim=2) / (clipped.sum(dim=2) + label.sum(dim=2) + 1e-6)
    return (smooth - wanted).abs().mean() + 1.6 * (1 - dice).mean()


def lines(number: int, samples: int = SAMPLES, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Voltage and counts (N, samples); what they hold does not matter to a clock."""
    generator = torch.Generator().manual_seed(seed)
    voltage = torch.randn(number, samples, generator=generator)
    return voltage, (torch.rand(number, samples, generator=generator) < DENSITY).float()


def step_times(turns: int = 7) -> Timings:
    """Forward and backward of two lines of the dilated network, and a product of two matrices."""
    left, right = torch.randn(2, MATRIX, MATRIX).unbind()
    networks = {"kernbench": build(DILATED, "discrete", DILATED.kernel_size), "plain torch": plain_network()}
    steps = {way: partial(_step, network.train(), *lines(2)) for way, network in networks.items()}
    return interleaved(steps | {"matmul": lambda: left @ right}, turns)


def epoch_times(number: int = 8, batch: int = 2, turns: int = 3) -> Timings:
    """One epoch of the dilated network on some lines and its validation pass on as many others, one update."""
    data, checked = lines(number), lines(number, seed=1)
    settings, loss = Settings(1, batch, "per-epoch", 1e-3, 1000, 0.1, 1), TrainingLoss()
    ours, plain = build(DILATED, "discrete", DILATED.kernel_size), plain_network()
    optimizer = torch.optim.Adam(plain.parameters(), lr=1e-3)
    known = checked[0].numpy(), checked[1].numpy().astype(np.uint8)
    bubbles, pressure, starts = (np.zeros(number, kind) for kind in (int, float, int))  # they do not matter
    split = Split("validation", *known, bubbles, pressure, starts)
    bench = Workbench({"validation": split}, Noise())
    hooks = Hooks(validate=lambda network: bench.validate(network, loss, 4), save=lambda _state: None)

    def plain_epoch() -> None:
        plain.train()
        optimizer.zero_grad()
        for voltage, counts in zip(*(each.split(batch) for each in data), strict=True):
            plain_loss(plain(voltage.unsqueeze(1)), counts.unsqueeze(1)).backward()
        optimizer.step()
        plain.eval()
        losses = [
            plain_loss(plain(voltage.unsqueeze(1)), counts.unsqueeze(1))  # the graph is kept
            for voltage, counts in zip(*(each.split(batch) for each in checked), strict=True)
        ]
        torch.stack(losses).mean().item()

    return interleaved(
        {
            "kernbench": lambda: train(ours, TrainingData(*data), loss, settings, hooks, order_seed=0),
            "plain loop": plain_epoch,
        },
        turns,
    )


def score_times(number: int = 2) -> Timings:
    """Counts of a few lines at every tolerance and threshold, from the network on."""
    voltage, counts = lines(number)
    ours = build(DILATED, "discrete", DILATED.kernel_size).eval()

    @torch.no_grad()
    def pair_by_pair() -> None:
        truth = (counts > 0.5).float()[:, None]
        for pair in product(TOLERANCES, THRESHOLDS):
            one_pair(ours(voltage.unsqueeze(1)), truth, *pair)

    peers: dict[str, Callable[[], object]] = {
        "one pass (kernbench)": lambda: score(predict(ours, voltage), counts.numpy()),
        "a pass per pair": pair_by_pair,
    }
    return interleaved(peers, turns=1, warm_up=0)


def backend_times(kernel_size: int = 527, number: int = 4, turns: int = 3) -> Timings:
    """Forward and backward of the shallow SIREN, on `auto` and on the package that the thesis used."""
    peers = {}
    for backend in ("auto", "fft_conv"):
        torch.manual_seed(0)
        network = build(SHALLOW, "siren", kernel_size, backend=backend).train()
        peers[backend] = partial(_step, network, *lines(number))
    return interleaved(peers, turns)


def _step(network: nn.Module, voltage: Tensor, counts: Tensor) -> None:
    _backward(network, voltage, counts)
    network.zero_grad()


def _backward(network: nn.Module, voltage: Tensor, counts: Tensor) -> None:
    dual_loss(network(voltage.unsqueeze(1)), counts.unsqueeze(1)).loss.backward()


def one_update(
    network: str, family: str, kernel_size: int, channels: int, batch: int, recompute: bool
) -> Callable[[], None]:
    """One update, ready to be run for its peak memory: what it adds to the network, the lines and the libraries."""
    for used in ("direct", "fft"):  # an update of next to nothing loads what libraries load when first used
        _update_of(build(network, family, 3, channels=2, depth=2, backend=used).train(), *lines(1, 64))()
    torch.manual_seed(0)
    module = build(network, family, kernel_size, channels=channels).train()
    module.recompute = recompute
    if recompute:
        return_freed_tensors()
    update = _update_of(module, *lines(batch))
    with contextlib.suppress(OSError, AttributeError):  # give free memory back, or a peak would hide in it
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    return update


def _update_of(module: Network, voltage: Tensor, counts: Tensor) -> Callable[[], None]:
    optimizer = torch.optim.Adam(module.parameters(), fused=True)

    def update() -> None:
        _backward(module, voltage, counts)
        optimizer.step()

    return update


def update_memory(network: str, family: str, kernel_size: int, channels: int, batch: int) -> list[float]:
    """Peak memory of one update without and with recomputed activations, each in a fresh process [MiB].

    It is what the update adds to the network, the lines and the libraries: activations, temporaries, gradients and the
    moments of Adam, with what the allocator wastes.
    """
    sizes = (network, family, kernel_size, channels, batch)
    return [fresh_peak("kernbench.bench.training:one_update", *sizes, again) for again in (False, True)]
