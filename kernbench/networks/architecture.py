"""The two networks in numbers: layers, dilations, padding, receptive field, kernel sizes that fit (no torch)."""

from dataclasses import dataclass

from kernbench.errors import KernbenchError, close_match


@dataclass(frozen=True)
class Architecture:
    """A stack of [convolution, BatchNorm, ReLU] layers and a 1x1 convolution.

    Attributes:
        description: one line for `kernbench list networks`.
        depth: default number of layers.
        channels: default width.
        kernel_size: default taps per layer.
        dilation_base: layer l has dilation dilation_base ** l.
        source: where the network comes from.
    """

    description: str
    depth: int
    channels: int
    kernel_size: int
    dilation_base: int
    source: str


ARCHITECTURES = {
    "dilated": Architecture(
        "12 layers, 64 channels, dilation 1, 2, 4, ... 2048: a long view from few taps",
        depth=12,
        channels=64,
        kernel_size=3,
        dilation_base=2,
        source="Blanken et al. 2022, IEEE TMI (SRML-1D)",
    ),
    "shallow": Architecture(
        "4 layers, 22 channels, dilation 1: a long view from many taps",
        depth=4,
        channels=22,
        kernel_size=131,
        dilation_base=1,
        source="Jonker 2023, University of Twente",
    ),
}
NETWORKS = {name: architecture.description for name, architecture in ARCHITECTURES.items()}


def architecture(network: str) -> Architecture:
    """The defaults of a network; KernbenchError with a close match if there is none of that name."""
    if network not in ARCHITECTURES:
        hint = close_match(network, ARCHITECTURES)
        raise KernbenchError(f"no network {network!r}; there are {', '.join(ARCHITECTURES)}{hint}")
    return ARCHITECTURES[network]


def dilations(network: str, depth: int | None = None) -> tuple[int, ...]:
    """Samples between neighbouring taps in each layer, shape (depth,)."""
    plan = architecture(network)
    layers = plan.depth if depth is None else depth
    if layers < 1:
        raise KernbenchError(f"depth must be at least 1, got {layers} (network {network})")
    return tuple(plan.dilation_base**layer for layer in range(layers))


def padding(network: str, kernel_size: int, depth: int | None = None) -> int:
    """Samples of reflection on each side of the line: sum over layers of dilation (K - 1) / 2, K odd."""
    return sum(dilations(network, depth)) * (kernel_size - 1) // 2


def receptive_field(network: str, kernel_size: int, depth: int | None = None) -> int:
    """Input samples that can reach one output sample: 1 + sum over layers of dilation (K - 1).

    Source: Araujo, Norris, Sim (2019), "Computing receptive fields of convolutional neural networks", Distill.
    """
    return 1 + sum(dilations(network, depth)) * (kernel_size - 1)


def largest_kernel_size(network: str, line_length: int, depth: int | None = None) -> int:
    """Largest odd K whose padding fits a line: reflection can give at most line_length - 1 samples."""
    return 2 * ((line_length - 1) // sum(dilations(network, depth))) + 1


def check_kernel_size(
    network: str,
    kernel_size: int,
    depth: int | None = None,
    line_length: int | None = None,
    context: str = "",
) -> None:
    """Refuse a kernel size that the network or the line cannot take.

    Args:
        network: a name in `NETWORKS`.
        kernel_size: taps per layer.
        depth: layers; the network's default if left out.
        line_length: samples of a line; left out, only the kernel size itself is checked.
        context: added to the message, such as "family siren, study k_sweep, profile quick".

    Raises:
        KernbenchError: K is not odd and positive, or needs more reflection than the line can give.
    """
    where = f" ({context})" if context else ""
    steps = dilations(network, depth)
    if isinstance(kernel_size, bool) or not isinstance(kernel_size, int) or kernel_size < 1:
        raise KernbenchError(f"kernel size must be a positive odd number, got {kernel_size!r}{where}")
    if kernel_size % 2 == 0:
        raise KernbenchError(
            f"network {network} needs an odd kernel size to keep the line's length, got K = {kernel_size}{where}. "
            f"Use K = {kernel_size - 1} or {kernel_size + 1}."
        )
    need = padding(network, kernel_size, depth)
    if line_length is None or need <= line_length - 1:
        return
    largest = largest_kernel_size(network, line_length, depth)
    advice = f"K <= {largest}" if largest >= 3 else f"depth <= {_largest_depth(network, kernel_size, line_length)}"
    raise KernbenchError(
        f"K = {kernel_size} with {_spell(steps)} needs {need} samples of padding on each side, the line has "
        f"{line_length}{where}. Use {advice}{' at this depth' if largest >= 3 else ''}, or longer lines."
    )


def _largest_depth(network: str, kernel_size: int, line_length: int) -> int:
    depth = 1
    while padding(network, kernel_size, depth + 1) <= line_length - 1:
        depth += 1
    return depth


def _spell(steps: tuple[int, ...]) -> str:
    if len(set(steps)) == 1:
        return f"dilation {steps[0]} in {len(steps)} layer{'s' if len(steps) > 1 else ''}"
    return f"dilation {steps[0]} .. {steps[-1]} in {len(steps)} layers"
