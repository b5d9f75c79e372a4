"""What a network costs: parameters, floating-point operations in closed form, latency, memory."""

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn

from kernbench.conv.auto import block_plan, choose
from kernbench.conv.cost import block_flops, direct_flops, fft_flops
from kernbench.errors import KernbenchError, PluginError
from kernbench.host.accelerator import wait
from kernbench.kernels import capabilities
from kernbench.kernels.asked import ask, who
from kernbench.kernels.base import KernelSpec
from kernbench.kernels.counting import trainable_numbers
from kernbench.kernels.layer import KernelConv
from kernbench.networks.contract import other_operations, uses_of
from kernbench.networks.network import Network


@dataclass(frozen=True)
class LayerCost:
    """One convolution layer in numbers.

    Attributes:
        layer: position, 0 at the input.
        spec: channels, kernel size, dilation.
        kernel: trainable parameters of the kernel family.
        bias: one per output channel, or 0.
        amplitude: learnable gain per output channel, or 0.
        norm: parameters of the BatchNorm behind it; 0 where there is not one for each layer.
        uses: how often the layer convolves in one forward pass.
        mixing: those of a separable layer's 1x1 convolution, or of a second branch; 0 in a plain layer.
        raw_gain: gain as the family drew it.
        gain: gain at the start of training.
        operations: forward operations of all uses by backend: direct, fft, overlap_save.
        backend: what the layer uses at this length, never "auto".
    """

    layer: int
    spec: KernelSpec
    kernel: int
    bias: int
    amplitude: int
    norm: int
    mixing: int
    uses: int
    raw_gain: float
    gain: float
    operations: Mapping[str, float]
    backend: str

    def flops(self, backend: str = "auto") -> float:
        """Forward operations by a backend, or by the one that the layer uses."""
        chosen = self.backend if backend == "auto" else backend
        # fft-conv-pytorch does the operations of a single FFT
        return self.operations.get(chosen, self.operations["fft"])


def parameter_count(module: nn.Module) -> int:
    """Trainable parameters of a module, as real numbers."""
    return trainable_numbers(module)


def layer_costs(network: Network, length: int) -> list[LayerCost]:
    """Cost of every convolution layer for a line of a length.

    Args:
        network: made by `kernbench.networks.build`.
        length: samples of the line, before padding.

    Returns:
        One `LayerCost` per layer, input side first.
    """
    layers = network.kernel_layers()
    norms = _unshared(_outside_families(network, nn.modules.batchnorm._BatchNorm))
    norms = norms if len(norms) == len(layers) else [0] * len(layers)
    return [
        _layer_cost(position, layer, taken, norm)
        for position, (layer, taken, norm) in enumerate(zip(layers, _lengths(network, length), norms, strict=True))
    ]


def flops_forward(network: Network, length: int, backend: str = "direct") -> float:
    """Operations of the forward pass of one line: convolutions, and plain ones of torch, such as the 1x1 at the end.

    Making the kernels is counted by `flops_generation`; BatchNorm and ReLU are left out, as usual. What else a module
    of its own does counts as its `other_operations` says.

    Args:
        network: made by `kernbench.networks.build`.
        length: samples of a line.
        backend: "direct", "fft", "overlap_save", or "auto" for what each layer really uses.
    """
    if backend not in ("direct", "fft", "overlap_save", "auto"):
        raise KernbenchError(f"operations are known for direct, fft, overlap_save and auto, got {backend!r}")
    plain: float = _plain_operations(network, length) + other_operations(network, length)
    return plain + sum(cost.flops(backend) for cost in layer_costs(network, length))


def flops_generation(network: Network) -> int | None:
    """Operations to make all kernels once (per training step; never again in eval); None if a family is silent.

    Raises:
        PluginError: a family whose `kernel_flops` raises, or gives no whole number >= 0.
    """
    total = 0
    for layer in network.kernel_layers():
        module = layer.kernel_module
        if capabilities.of(module, "kernel_flops") is None:
            return None
        operations = ask(module, "kernel_flops", layer.plain.spec, **module.hyper)
        if not isinstance(operations, Integral) or operations < 0:
            raise PluginError(f"{who(module)}: kernel_flops() must give a whole number >= 0, got {operations!r:.60}")
        total += int(operations)
    return total


def supports(network: Network) -> list[tuple[int, int] | None]:
    """Taps that hold each layer's kernel but for what is below a threshold of its family.

    Args:
        network: made by `kernbench.networks.build`.

    Returns:
        First tap and the one after the last, from 0, for each layer; None where the family has no learned support.

    Raises:
        PluginError: a family whose `support` raises, or gives no two taps.
    """
    found: list[tuple[int, int] | None] = []
    for layer in network.kernel_layers():
        support = ask(layer.kernel_module, "support", layer.plain.spec.grid(dtype=layer.dtype, device=layer.device))
        if support is not None and not _is_span(support, layer.spec.kernel_size):
            raise PluginError(
                f"{who(layer.kernel_module)}: support() must give whole numbers 0 <= lo < hi <= "
                f"{layer.spec.kernel_size}, got {support!r:.60}"
            )
        found.append(support)
    return found


def _is_span(support: object, taps: int) -> bool:
    """Whether what a plugin returned is a pair of taps, the first and the one after the last."""
    if not isinstance(support, tuple | list) or len(support) != 2:
        return False
    low, high = support
    return isinstance(low, int) and isinstance(high, int) and 0 <= low < high <= taps


def latency(network: nn.Module, signal: Tensor) -> float:
    """Median seconds of ten forward passes in eval mode without gradients, after two to warm up.

    Args:
        network: module on the signal's device; its mode is restored.
        signal: input, shape (N, 1, L).
    """
    mode, times = network.training, []
    network.eval()
    with torch.no_grad():
        for _ in range(12):
            start = time.perf_counter()
            network(signal)
            wait(signal.device)
            times.append(time.perf_counter() - start)
    network.train(mode)
    return statistics.median(times[2:])


def _lengths(network: Network, length: int) -> list[list[int]]:
    """Samples that each layer takes at each use: in closed form in a row of layers, else as a forward pass shows."""
    if type(network) is not Network:
        return [[use.taken for use in uses] for uses in uses_of(network, network.kernel_layers(), length)]
    return [[taken] for taken in network.layer_lengths(length)]


def _plain_operations(network: Network, length: int) -> int:
    """Operations of torch's own convolutions."""
    plain = _outside_families(network, nn.Conv1d)
    if type(network) is Network:  # one of one tap, at the length of the line
        return 2 * length * sum(int(each.weight.numel()) for each in plain)
    given = [sum(use.given for use in uses) for uses in uses_of(network, plain, length)]
    return 2 * sum(int(each.weight.numel()) * samples for each, samples in zip(plain, given, strict=True))


def _unshared(modules: list[nn.Module]) -> list[int]:
    """Trainable numbers of each module that none before it has."""
    seen: set[int] = set()
    counts = []
    for module in modules:
        own = [each for each in module.parameters() if id(each) not in seen and each.requires_grad]
        seen.update(map(id, own))
        counts.append(sum(each.numel() for each in own))
    return counts


def _outside_families(network: Network, kind: type[nn.Module]) -> list[Any]:
    """Modules of a kind that do not take part in making kernels; Any: they are of that kind."""
    making = {id(module) for layer in network.kernel_layers() for module in layer.modules()}
    return [each for each in network.modules() if isinstance(each, kind) and id(each) not in making]


def _layer_cost(position: int, layer: KernelConv, lengths: list[int], norm: int) -> LayerCost:
    runs = [run for length in lengths for run in layer.runs(length)]
    blocks = [block_flops(run.signal, run.kernel, block_plan(*run, layer.device.type)) for run in runs]
    return LayerCost(
        layer=position,
        spec=layer.spec,
        kernel=parameter_count(layer.kernel_module),
        bias=0 if layer.bias is None else layer.bias.numel(),
        amplitude=0 if layer.plain.amplitude is None else layer.plain.amplitude.numel(),
        norm=norm,
        mixing=layer.mixing,
        uses=len(lengths),
        raw_gain=layer.raw_gain,
        gain=layer.gain,
        operations={
            "direct": sum(direct_flops(*run) for run in runs),
            "fft": sum(fft_flops(*run) for run in runs),
            "overlap_save": sum(blocks),
        },
        backend=choose(*runs[0], layer.device.type) if layer.backend == "auto" else layer.backend,
    )
