"""Networks built: the layers of an architecture, with kernels from any family."""

import contextlib
import functools
import itertools
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from kernbench.conv.spectral import spectra_made_again
from kernbench.errors import KernbenchError, PluginError, close_match
from kernbench.kernels.gain import calibrate
from kernbench.kernels.layer import KernelConv
from kernbench.kernels.layer_options import PLAIN, TILES, make_layer
from kernbench.kernels.trained import check_trainable
from kernbench.networks import fitting
from kernbench.networks.architecture import Architecture
from kernbench.networks.boundary import MIRROR, PUBLISHED, Boundary
from kernbench.networks.contract import KernelNetwork, check_module
from kernbench.networks.padding import PaddedBlock, ends_of, padded
from kernbench.networks.sided import CENTERED
from kernbench.registry import find_family

if TYPE_CHECKING:
    from kernbench.kernels.family import KernelFamily

GAINS = ("unit", "published")
# Lines per evaluation pass. On a CPU the activations of a layer have to stay in the cache: 32 lines of 12 layers with
# 64 channels take four times as long per line as 4, while few short lines do not fill an FFT's matrix products.
LINES_AT_ONCE = 32
_CACHED_BYTES = 16 * 2**20


class Network(nn.Module):
    """One reflection pad, then [KernelConv, BatchNorm1d, ReLU] x depth and a 1x1 convolution, all without padding.

    So it is as published; `set_boundary` pads in another way, or in every layer.

    Args:
        layers: the convolutions, input side first.
        pad: see `padding`.
        field: see `receptive_field`.
        outputs: channels that the 1x1 convolution gives.

    Attributes:
        blocks: the layers in order.
        head: Conv1d(channels -> outputs, one tap, bias).
        padding: samples of reflection on each side, or at the one end that one-sided layers look to; in every layer,
            the sum over layers.
        receptive_field: input samples that can reach one output sample.
        side: of all layers, see `kernbench.KernelSpec`.
        boundary: what stands beyond the ends of a line, and where.
        recompute: in training, keep the activations between a few segments only and compute the others, and all
            spectra, again in the backward pass: the same result, bit for bit, in less memory and more time.
    """

    recompute: bool = False
    side: str = CENTERED
    boundary: Boundary = PUBLISHED

    def __init__(self, layers: Sequence[KernelConv], pad: int, field: int, outputs: int = 1) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(layer, nn.BatchNorm1d(layer.spec.out_channels), nn.ReLU(inplace=True)) for layer in layers
        )
        self.head = nn.Conv1d(layers[-1].spec.out_channels, outputs, 1)
        self.padding = pad
        self.side = layers[0].spec.side
        self.receptive_field = field

    def set_boundary(self, boundary: Boundary) -> None:
        """Take another boundary; parameters and random numbers stay.

        Args:
            boundary: of lines, or of what each layer takes.
        """
        self.boundary = boundary
        kind = functools.partial(PaddedBlock, boundary.policy) if boundary.in_layers else nn.Sequential
        self.blocks = nn.ModuleList(kind(*block.children()) for block in self.blocks)

    def kernel_layers(self) -> list[KernelConv]:
        """The convolution layers, input side first.

        Returns:
            One for each layer of the architecture.
        """
        found = [module for module in self.modules() if isinstance(module, KernelConv)]
        within = {id(module.plain) for module in found if module.plain is not module}
        return [module for module in found if id(module) not in within]

    @property
    def ends(self) -> tuple[int, int]:
        """Samples before and behind a line that its outputs see: all of the padding."""
        return (0 if self.side == "anticausal" else self.padding, 0 if self.side == "causal" else self.padding)

    def forward(self, signal: Tensor) -> Tensor:
        """Localize: RF lines (N, 1, L) -> scores (N, 1, L), unbounded.

        Args:
            signal: RF lines, shape (N, 1, L).

        Returns:
            Scores, shape (N, 1, L): the higher, the more likely is a bubble at this sample.

        Raises:
            KernbenchError: the lines are too short for the padding.
        """
        self.check_length(signal)
        return torch.as_tensor(self.head(self.through(self.blocks, self._bounded(signal))))

    def check_length(self, signal: Tensor) -> None:
        """Refuse lines that are too short for the padding.

        Args:
            signal: RF lines, shape (N, 1, L).

        Raises:
            KernbenchError: they are; says what is needed.
        """
        length, (least, why) = signal.shape[-1], needed_length(self)
        if length < least:
            raise KernbenchError(f"this network {why}, so lines need at least {least} samples, got {length}")

    def through(self, blocks: Iterable[nn.Module], hidden: Tensor) -> Tensor:
        """Blocks one after the other; where `recompute` asks for it, their activations are computed again.

        A forward pass of your own that takes all its blocks through here can recompute: set `recompute = False` in the
        class, to say so.

        Args:
            blocks: of the network, in the order in which they are passed.
            hidden: what the first one takes.

        Returns:
            What the last one gives.
        """
        blocks = list(blocks)
        if self.recompute and self.training and torch.is_grad_enabled():
            for segment in _segments(blocks):
                hidden = _recomputed(segment, hidden)
        else:
            for block in blocks:
                hidden = block(hidden)
        return hidden

    def layer_lengths(self, length: int) -> list[int]:
        """Samples that each layer takes, padding included: right for layers in a row.

        Args:
            length: samples of a line.

        Returns:
            One length a layer, from the first to the last.
        """
        reaches = [sum(ends_of(layer.spec)) for layer in self.kernel_layers()]
        if self.boundary.in_layers:
            return [length + reach for reach in reaches]
        return list(itertools.accumulate(reaches[:-1], operator.sub, initial=length + sum(self.ends)))

    def _bounded(self, signal: Tensor) -> Tensor:
        if self.boundary.in_layers:
            return signal
        if self.boundary == PUBLISHED:  # mirrored once, then valid
            return functional.pad(signal, self.ends, mode="reflect")
        return padded(signal, self.ends, self.boundary.policy)


def _segments(blocks: Sequence[nn.Module]) -> list[nn.Sequential]:
    """Blocks in runs of about sqrt(depth / 3).

    A block keeps about three activations for its backward pass, a segment that is computed again only its input:
    the peak is depth / size inputs and 3 size activations, least at this size.
    """
    size = max(1, round((len(blocks) / 3) ** 0.5))
    return [nn.Sequential(*blocks[i : i + size]) for i in range(0, len(blocks), size)]


def _recomputed(segment: nn.Sequential, hidden: Tensor) -> Tensor:
    """Output of a segment of which autograd keeps the input only."""
    contexts = spectra_made_again(), _Again(segment)
    return torch.as_tensor(checkpoint(segment, hidden, use_reentrant=False, context_fn=lambda: contexts))


class _Again:
    """Entered for each further forward pass of a batch that has been counted: as in training, but no statistic changes.

    BatchNorm normalizes by its batch; its running statistics and the count of batches would change a second time.
    Copies take their place meanwhile: without any, autograd would save other tensors than in the first pass.
    """

    def __init__(self, segment: nn.Module) -> None:
        norms = [module for module in segment.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
        self._kept = [(norm, name, buffer) for norm in norms for name, buffer in norm.named_buffers(recurse=False)]
        self._spectra = contextlib.ExitStack()

    def __enter__(self) -> None:
        self._spectra.enter_context(spectra_made_again())
        for norm, name, buffer in self._kept:
            setattr(norm, name, buffer.clone())

    def __exit__(self, *_error: object) -> None:
        for norm, name, buffer in self._kept:
            setattr(norm, name, buffer)
        self._spectra.close()


def side_of(network: nn.Module) -> str:
    """Side of all kernels of a network; one with a module of its own is centered."""
    return network.side if isinstance(network, Network) else CENTERED


def ends_seen(network: nn.Module) -> tuple[int, int]:
    """Samples before and behind a line that the outputs of a network see; a module of its own sees both ends alike."""
    return cast("tuple[int, int]", getattr(network, "ends", (network.padding, network.padding)))


def needed_length(network: nn.Module) -> tuple[int, str]:
    """Samples that lines need at least, and why: "reflects 16 samples on each side"."""
    boundary = network.boundary if isinstance(network, Network) else PUBLISHED
    ends, each = ends_seen(network), [0]
    if boundary.in_layers:
        assert isinstance(network, Network)
        each = [max(ends_of(layer.spec)) for layer in network.kernel_layers()]
    samples = boundary.at_one_time(each, max(ends))
    where = "on each side" if all(ends) or not any(ends) else "at one end"
    verb = "reflects" if boundary.policy == MIRROR else f"needs, for {boundary.policy} padding,"
    inside = " of what a layer takes" if boundary.in_layers else ""
    return boundary.shortest(samples), f"{verb} {samples} samples {where}{inside}"


def lines_at_once(network: nn.Module, length: int, device: str | torch.device) -> int:
    """Lines in one forward pass of an evaluation.

    A function of shapes and kind of device alone: the last bits of an output depend on it, as convolutions choose
    their algorithm by it.

    Args:
        network: (N, 1, L) -> (N, 1, L).
        length: samples of a line.
        device: where it runs.
    """
    if torch.device(device).type != "cpu" or not isinstance(network, KernelNetwork):
        return LINES_AT_ONCE
    widest = max(layer.width for layer in network.kernel_layers())
    fitting_lines = _CACHED_BYTES // (4 * widest * _longest(network, length))
    return int(min(LINES_AT_ONCE, 2 ** (max(1, fitting_lines).bit_length() - 1)))


def _longest(network: nn.Module, length: int) -> int:
    """Samples of a padded line, or of what the widest layer takes."""
    if isinstance(network, Network):
        return max(network.layer_lengths(length))
    return length + sum(ends_seen(network))


def build(
    network: str | Architecture,
    family: "str | KernelFamily",
    kernel_size: int,
    channels: int | None = None,
    hyper: Mapping[str, object] | None = None,
    depth: int | None = None,
    gain: str = "unit",
    backend: str = "auto",
    layer: str = PLAIN,
    tiles: int = TILES,
) -> Network:
    """A network with fresh weights, drawn from torch's global random generator.

    Args:
        network: an architecture, or the name of one: installed or FILE.py:NAME.
        family: a kernel family or the name of an installed one.
        kernel_size: taps, odd.
        channels: width; the network's default if left out.
        hyper: hyper-parameters of the family, the same in every layer.
        depth: layers; the network's default if left out.
        gain: "unit" starts every layer at gain 1; "published" leaves the family's own start.
        backend: how to convolve.
        layer: form of every layer, see `kernbench.kernels.layer_options.make_layer`.
        tiles: kernels in rotation, where the form is "tiled".

    Returns:
        A module that maps (N, 1, L) to (N, 1, L): a `Network`, or what the architecture's own `build` gives, which
        keeps `kernbench.networks.contract.KernelNetwork`.

    Raises:
        KernbenchError: a name, size or hyper-parameter that does not fit.
        PluginError: a family or a network that breaks its contract.
    """
    offered = find_family(family) if isinstance(family, str) else family
    plan = fitting.architecture_of(network)
    specs = fitting.layers_of(plan, kernel_size, channels, depth, f"family {offered.name}")
    if gain not in GAINS:
        raise KernbenchError(f"gain must be unit or published, got {gain!r}{close_match(str(gain), GAINS)}")
    layers = [make_layer(layer, offered, spec, hyper, backend, tiles) for spec in specs]
    for each in layers:
        _check_dtype(each)
        check_trainable(each.kernel_module)
    if gain == "unit":
        for each in layers:
            calibrate(each)
    module = fitting.asked(plan, plan.build, layers)
    if not fitting.is_stack(plan):
        check_module(module, plan, layers)
    return cast("Network", module)  # or what has all of it that kernbench uses


def _check_dtype(layer: KernelConv) -> None:
    """Refuse a kernel that no signal fits: signals and the last layer have torch's default dtype."""
    if layer.dtype != (wanted := torch.get_default_dtype()):
        raise PluginError(
            f"{layer.label} draws its parameters in {layer.dtype}: expected {wanted} ({layer.place}). "
            "Leave out dtype=, or write dtype=torch.get_default_dtype()."
        )


def set_recompute(network: Network, wanted: bool) -> None:
    """Ask a network to compute activations again in the backward pass, or not.

    Raises:
        KernbenchError: its forward pass is its own, and it does not say that it can.
    """
    own = type(network)
    classes = [each for each in own.__mro__ if each is not Network]
    can = own.forward is Network.forward or any("recompute" in vars(each) for each in (network, *classes))
    if wanted and not can:
        raise KernbenchError(
            f"{own.__name__} cannot compute its activations again (it has no attribute recompute); "
            "take training.recompute = false"
        )
    if can:
        network.recompute = wanted
