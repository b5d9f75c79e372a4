"""What follows from a network's layers: padding, receptive field, and the kernel sizes that a line can take."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any

from kernbench.errors import KernbenchError, PluginError, counted, first_line
from kernbench.host.memory import is_out_of_memory
from kernbench.host.process_state import kept
from kernbench.kernels.base import KernelSpec
from kernbench.networks.altered import unaltered
from kernbench.networks.architecture import Architecture
from kernbench.networks.boundary import MIRROR, boundary_of
from kernbench.networks.spread import Spread
from kernbench.registry import find_network

LARGEST = 65535  # taps, as in a study


def architecture_of(network: str | Architecture) -> Architecture:
    """The network of a name, installed or FILE.py:NAME; PluginError with a close match if there is none."""
    return find_network(network).architecture if isinstance(network, str) else network


def is_stack(network: Architecture) -> bool:
    """Whether its layers follow one another, as they do where `build` is not overridden."""
    return type(unaltered(network)).build is Architecture.build


def layers_of(
    network: str | Architecture,
    kernel_size: int,
    channels: int | None = None,
    depth: int | None = None,
    context: str = "",
) -> tuple[KernelSpec, ...]:
    """The convolution layers of a network, checked.

    Args:
        network: an architecture, or its name.
        kernel_size: taps, as in a study.
        channels: width; the network's default if left out.
        depth: layers; the network's default if left out.
        context: added to the message, such as "family siren, study k_sweep, profile quick".

    Raises:
        KernbenchError: a kernel size that is not odd and positive or that the network refuses, or a depth below 1.
        PluginError: `layers` of the network raises, or gives what is no row of layers.
    """
    plan = architecture_of(network)
    depth, where = plan.depth if depth is None else depth, f" ({context})" if context else ""
    if isinstance(kernel_size, bool) or not isinstance(kernel_size, int) or kernel_size < 1:
        raise KernbenchError(f"kernel size must be a positive odd number, got {kernel_size!r}{where}")
    if depth < 1:
        raise KernbenchError(f"depth must be at least 1, got {depth} (network {plan.name})")
    try:
        given = asked(plan, plan.layers, kernel_size, plan.channels if channels is None else channels, depth)
    except PluginError:
        raise
    except KernbenchError as error:  # a network need not take every size, nor know who asks
        raise type(error)(f"{error}{where}") from error
    if not isinstance(given, list | tuple) or not given or not all(isinstance(each, KernelSpec) for each in given):
        raise PluginError(
            f"layers() of network {plan.name!r} must return a list of kernbench.KernelSpec, got {given!r}"
        )
    layers = tuple(given)
    _check_taps(plan, layers, kernel_size, where)
    if is_stack(plan):
        _check_row(plan, layers)
    return layers


def checked_length(network: str | Architecture, name: str, layers: Sequence[KernelSpec]) -> int:
    """What `padding` or `receptive_field` of a network says of its layers; PluginError if that is no length."""
    plan, least = architecture_of(network), 0 if name == "padding" else 1
    value = asked(plan, getattr(plan, name), layers)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise PluginError(f"{name}() of network {plan.name!r} must be a whole number >= {least}, got {value!r:.60}")
    return value


def largest_kernel_size(
    network: str | Architecture, line_length: int, depth: int | None = None, channels: int | None = None
) -> int:
    """Largest odd K whose padding fits a line, 0 if none does; with a boundary that takes any, the largest there is."""
    plan = architecture_of(network)
    odd = range(1, LARGEST + 1, 2)
    fitting = bisect_left(odd, True, key=lambda size: not _fits(plan, size, channels, depth, line_length))
    return odd[fitting - 1] if fitting else 0


def check_kernel_size(
    network: str | Architecture,
    kernel_size: int,
    depth: int | None = None,
    line_length: int | None = None,
    context: str = "",
    channels: int | None = None,
    field: int | None = None,
) -> None:
    """Refuse a kernel size that the network or the line cannot take.

    Args:
        network: an architecture, or its name.
        kernel_size: taps, as in a study.
        depth: layers; the network's default if left out.
        line_length: samples of a line; left out, only the kernel size itself is checked.
        context: added to the message, such as "family siren, study k_sweep, profile quick".
        channels: width; the network's default if left out.
        field: `network.field` where the kernel size was worked out from it, so that the message speaks of that.

    Raises:
        KernbenchError: K is not odd and positive, or needs more padding than the line can give.
        PluginError: see `layers_of`.
    """
    plan = architecture_of(network)
    layers = layers_of(plan, kernel_size, channels, depth, context)
    need, shortest = _needed(plan, layers)
    if line_length is None or line_length >= shortest:
        return
    where = f" ({context})" if context else ""
    advice = _advice(plan, kernel_size, channels, depth, line_length, field)
    given = "" if field is None else f"network.field = {field} of network {plan.name}: "
    end = {"centered": "on each side", "causal": "at its start", "anticausal": "at its end"}[layers[0].side]
    boundary = boundary_of(plan)
    kind = "" if boundary.policy == MIRROR else f"{boundary.policy} "
    inside = " of what a layer takes" if boundary.in_layers else ""
    raise KernbenchError(
        f"{given}{_spell(kernel_size, layers)} needs {counted(need, 'sample')} of {kind}padding {end}{inside}, the "
        f"line has {line_length}{where}. Use {advice}longer lines."
    )


def asked(network: Architecture, method: Callable[..., Any], *given: object) -> Any:  # whatever it returns
    """What a method of a network returns.

    Raises:
        PluginError: it raised, or tried to end the program; with the first line of the reason.
    """
    try:
        with kept():
            return method(*given)
    except (Exception, SystemExit) as error:  # a plugin must not end the program
        if isinstance(error, KernbenchError) or is_out_of_memory(error):
            raise
        raise PluginError(f"{method.__name__}() of network {network.name!r} raised {first_line(error)}") from error


def _check_taps(plan: Architecture, layers: Sequence[KernelSpec], kernel_size: int, where: str) -> None:
    """Odd taps, all on one side or all around the output's own sample: the line keeps its length."""
    for number, layer in enumerate(layers, 1):
        # a module of its own pads as it likes, and is checked for both ends alone
        wanted = layers[0].side if is_stack(plan) else "centered"
        if layer.side != wanted:
            raise PluginError(f"layer {number} of network {plan.name!r} is {layer.side}; expected a {wanted} one")
        if layer.kernel_size % 2:
            continue
        if kernel_size % 2:
            raise PluginError(
                f"layer {number} of network {plan.name!r} has K = {layer.kernel_size} at kernel size {kernel_size}; "
                "expected an odd number, to keep the line's length"
            )
        raise KernbenchError(
            f"network {plan.name} needs an odd kernel size to keep the line's length, got K = {kernel_size}{where}. "
            f"Use K = {kernel_size - 1} or {kernel_size + 1}."
        )


def _check_row(plan: Architecture, layers: Sequence[KernelSpec]) -> None:
    """Each layer takes what the one before gives."""
    channels = 1
    for number, layer in enumerate(layers, 1):
        if layer.in_channels != channels:
            raise PluginError(
                f"layer {number} of network {plan.name!r} takes {layer.in_channels} channels; expected {channels}, "
                f"{'of the line' if number == 1 else 'which the layer before gives'}"
            )
        channels = layer.out_channels


def _needed(plan: Architecture, layers: Sequence[KernelSpec]) -> tuple[int, int]:
    """Samples of padding at an end, at one time, and samples that a line needs for it."""
    boundary, together = boundary_of(plan), checked_length(plan, "padding", layers)
    each = [checked_length(plan, "padding", [layer]) for layer in layers] if boundary.in_layers else [0]
    samples = boundary.at_one_time(each, together)
    return samples, boundary.shortest(samples)


def _fits(plan: Architecture, kernel_size: int, channels: int | None, depth: int | None, line_length: int) -> bool:
    try:
        layers = layers_of(plan, kernel_size, channels, depth)
        return _needed(plan, layers)[1] <= line_length
    except KernbenchError:  # a network need not take every kernel size or depth
        return False


def _advice(
    plan: Architecture,
    kernel_size: int,
    channels: int | None,
    depth: int | None,
    line_length: int,
    field: int | None,
) -> str:
    """What fits instead: smaller kernels, or fewer layers where no smaller kernel does; empty if neither."""
    if isinstance(plan, Spread):  # it reaches equally far at every size
        return "a smaller network.reach, or "
    largest = largest_kernel_size(plan, line_length, depth, channels)
    if field is not None:  # with fewer layers, kernels of the same field are larger
        layers = layers_of(plan, max(largest, 1), channels, depth)
        seen = checked_length(plan, "receptive_field", layers)
        return f"network.field <= {seen}, or " if largest >= 3 else ""
    if largest >= 3:
        return f"K <= {largest} at this depth, or "
    fewer = 1
    while fewer < (depth or plan.depth) and _fits(plan, kernel_size, channels, fewer + 1, line_length):
        fewer += 1
    return f"depth <= {fewer}, or " if _fits(plan, kernel_size, channels, fewer, line_length) else ""


def _spell(kernel_size: int, layers: Sequence[KernelSpec]) -> str:
    """`K = 3 with dilation 1 .. 2048 in 12 layers`."""
    taps, steps = ([getattr(each, name) for each in layers] for name in ("kernel_size", "dilation"))
    by_layer = "" if set(taps) == {kernel_size} else f" ({_span(taps)} by layer)"
    return f"K = {kernel_size}{by_layer} with dilation {_span(steps)} in {counted(len(layers), 'layer')}"


def _span(values: Sequence[int]) -> str:
    return str(values[0]) if len(set(values)) == 1 else f"{values[0]} .. {values[-1]}"
