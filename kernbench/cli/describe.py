"""`kernbench describe`: what a kernel family costs in a network, and what can be tuned."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from kernbench.cli import completing

if TYPE_CHECKING:
    from kernbench.kernels.budget import Solution
    from kernbench.kernels.family import KernelFamily
    from kernbench.networks.architecture import Architecture


@click.command()
@click.argument("plugin", shell_complete=completing.family)
@click.option(
    "--network",
    shell_complete=completing.network,
    help="Network: an installed name or ./file.py:name.  [the one of profile quick]",
)
@click.option("--kernel-size", type=int, help="Taps per layer.  [the network's own]")
@click.option("--channels", type=click.IntRange(1), help="Channels of the hidden layers.  [the network's own]")
@click.option("--depth", type=click.IntRange(1), help="Layers.  [the network's own]")
@click.option(
    "--length", type=click.IntRange(1), default=8446, help="Samples of a line, for operations.", show_default=True
)
@click.option(
    "--layer",
    type=click.Choice(("plain", "separable", "branches", "tiled")),
    default="plain",
    help="Form of every layer.",
    show_default=True,
)
@click.option(
    "--tiles", type=click.IntRange(1), default=2, help="Kernels in rotation of --layer tiled.", show_default=True
)
@click.option(
    "--side",
    type=click.Choice(("centered", "causal", "anticausal")),
    default="centered",
    help="Lags of every kernel: around the output's own sample, up to it, from it on.",
    show_default=True,
)
@click.option(
    "--boundary",
    type=click.Choice(("mirror", "zero", "replicate", "symmetric", "circular")),
    default="mirror",
    help="What lies beyond the ends of a line.",
    show_default=True,
)
@click.option(
    "--boundary-at",
    type=click.Choice(("input", "layer")),
    default="input",
    help="Pad the line once, or what each layer takes.",
    show_default=True,
)
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A hyper-parameter; several times.")
@click.option(
    "--like",
    shell_complete=completing.family,
    help="Choose the size of the family so that the network has as many parameters as with this one.",
)
def describe_command(
    plugin: str,
    network: str | None,
    kernel_size: int | None,
    channels: int | None,
    depth: int | None,
    length: int,
    layer: str,
    tiles: int,
    side: str,
    boundary: str,
    boundary_at: str,
    settings: tuple[str, ...],
    like: str | None,
) -> None:
    """Parameters per layer, operations, receptive field and search space of a kernel family."""
    import torch

    from kernbench.cli.terminal import console
    from kernbench.errors import first_line_of
    from kernbench.networks import cost as measure
    from kernbench.networks.boundary import bounded
    from kernbench.networks.fitting import check_kernel_size
    from kernbench.networks.network import build
    from kernbench.networks.sided import on_side
    from kernbench.registry import find, find_network
    from kernbench.study.reading import profiles

    found, offered = find(plugin), find_network(network or profiles()["quick"]["network"]["name"])
    family, plan = found.family, bounded(on_side(offered.architecture, side), boundary, boundary_at)
    size = plan.kernel_size if kernel_size is None else kernel_size
    check_kernel_size(plan, size, depth, length, f"family {family.name}", channels)
    torch.manual_seed(0)
    hyper = _hyper(settings)
    form: dict[str, Any] = {"layer": layer, "tiles": tiles}
    solution = None if like is None else _solved(plan, found.family, like, (size, channels, depth), form, hyper)
    net = build(plan, family, size, channels, hyper if solution is None else solution.hyper, depth, **form)
    # before anything is printed: they may refuse
    costs, supports, making = measure.layer_costs(net, length), measure.supports(net), measure.flops_generation(net)
    click.echo(f"{family.name}: {family.description or first_line_of(family.load().__doc__)}")
    licence = family.licence and f"licence of its reference: {family.licence}"
    origin = (f"from {found.distribution} {found.version}", family.citation, licence)
    click.echo("; ".join(str(each) for each in origin if each))
    field = net.receptive_field
    source = plan.source and f"; {plan.source}"
    shown_side = "" if side == "centered" else f", {side}"
    shown_side += "" if (boundary, boundary_at) == ("mirror", "input") else f", {boundary} at the {boundary_at}"
    click.echo(
        f"network {offered.source}{shown_side}, K = {size}: receptive field {field} samples "
        f"({field * 16e-3:.2f} us){source}"
    )
    columns: dict[str, Callable[[measure.LayerCost], str] | None] = {
        "layer": lambda cost: str(cost.layer + 1),  # counted from 1, as in the report
        "channels": lambda cost: f"{cost.spec.in_channels} -> {cost.spec.out_channels}",
        "taps, dilation": lambda cost: f"{cost.spec.kernel_size}, {cost.spec.dilation}",
        "kernel": lambda cost: f"{cost.kernel:,}",
        "bias, gain": lambda cost: f"{cost.bias + cost.amplitude:,}",
        "mixing": (lambda cost: f"{cost.mixing:,}") if any(cost.mixing for cost in costs) else None,
        "norm": lambda cost: f"{cost.norm:,}",
        "uses": (lambda cost: str(cost.uses)) if any(cost.uses != 1 for cost in costs) else None,
        "gain as drawn": lambda cost: f"{cost.raw_gain:.3g}",
        "MFLOP direct": lambda cost: f"{cost.flops('direct') / 1e6:,.1f}",
        "MFLOP": lambda cost: f"{cost.flops() / 1e6:,.1f}",
        "backend": lambda cost: cost.backend,
    }
    if any(supports):
        columns["taps in use"] = lambda cost: _taps(supports[cost.layer])
    shown = {name: text for name, text in columns.items() if text is not None}
    console.print_table(None, list(shown), [[text(cost) for text in shown.values()] for cost in costs])
    total = measure.parameter_count(net)
    click.echo(
        f"parameters in all: {total:,}; one line of {length} samples forward: "
        f"{measure.flops_forward(net, length) / 1e9:.2f} GFLOP as direct sums, "
        f"{measure.flops_forward(net, length, 'auto') / 1e9:.2f} GFLOP by the backends used"
        + ("" if making is None else f"; making all kernels once: {making / 1e6:,.1f} MFLOP")
    )
    if solution is not None:
        chosen = ", ".join(f"{name} = {value}" for name, value in solution.solved.items()) or "its size is fixed"
        click.echo(f"as many parameters as {like}, {solution.target:,}: {chosen}, ratio {solution.ratio:.3f}")
    if family.parameters:
        click.echo("hyper-parameters; a study with [tuning] draws those that it does not fix:")
    else:
        click.echo("no hyper-parameters: a study with [tuning] draws settings of the training alone, if any")
    for name, parameter in family.parameters.items():
        click.echo(f"  {name}: {parameter.describe()}, default {parameter.start}. {parameter.doc}".rstrip())


def _taps(support: tuple[int, int] | None) -> str:
    """A learned support, taps counted from 1."""
    return "" if support is None else f"{support[0] + 1} .. {support[1]}"


def _solved(
    plan: "Architecture",
    family: "KernelFamily",
    like: str,
    sizes: tuple[int, int | None, int | None],
    form: dict[str, Any],
    hyper: dict[str, object],
) -> "Solution":
    """Hyper-parameters with which the network has as many parameters as with the family `like`."""
    from kernbench.kernels.budget import kernels_count, solve
    from kernbench.kernels.layer_options import made_by
    from kernbench.networks.beside import numbers_beside_kernels
    from kernbench.networks.fitting import layers_of
    from kernbench.registry import find_family

    layers = [made_by(form["layer"], spec, form["tiles"]) for spec in layers_of(plan, *sizes)]
    beside = numbers_beside_kernels(plan, *sizes, **form)
    return solve(family, layers, beside + kernels_count(find_family(like), layers), hyper, beside=beside)


_TRUTH = {"True": "true", "False": "false"}  # as this command prints them


def _hyper(settings: tuple[str, ...]) -> dict[str, object]:
    import tomllib

    from kernbench.errors import KernbenchError

    values: dict[str, object] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise KernbenchError(f"--set: expected NAME=VALUE, got {setting!r}")
        try:
            values[name] = tomllib.loads(f"value = {_TRUTH.get(value, value)}")["value"]
        except tomllib.TOMLDecodeError:
            values[name] = value
    return values
