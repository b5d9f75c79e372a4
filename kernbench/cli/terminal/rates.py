"""What another sampling rate does to a network, as `kernbench evaluate --rate` shows it."""

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from kernbench.cli.terminal.console import print_table

if TYPE_CHECKING:
    from kernbench.networks.network import Network
    from kernbench.networks.rates import LayerChange
    from kernbench.ulm.evaluation.trained import Trained


def asked(trained: "Trained", split: str, factor: float | None, kernels: str | None) -> "tuple[Trained, float]":
    """A network and the rate of the lines over that of training, as options ask for them; its own where they do not.

    Raises:
        UsageError: kernels at another rate are asked for, and there is none.
    """
    from kernbench.study.settings import RESAMPLED

    factor = trained.factor(split) if factor is None else factor
    if kernels is None:
        return trained, factor
    if factor == 1:
        raise click.UsageError("--kernels says what kernels are at another rate: give --rate 31.25 or 125")
    return dataclasses.replace(trained, resampled=kernels == RESAMPLED), factor


def changes_at(network: "Network", factor: float, *, resampled: bool = False) -> "list[LayerChange]":
    """What the rate does to each layer; nothing at the rate of training.

    Args:
        network: as trained.
        factor: rate over that of training.
        resampled: see `kernbench.networks.at_rate`.

    Raises:
        KernbenchError: a network that cannot be moved to another rate.
    """
    from kernbench.networks.rates import at_rate, layer_changes

    return [] if factor == 1 else layer_changes(network, at_rate(network, factor, resampled=resampled))


def said(changes: "Sequence[LayerChange]", factor: float, *, resampled: bool = False) -> dict[str, Any]:
    """Print rate and changes; the same as facts for a file, empty at the rate of training."""
    from kernbench.study.settings import EVALUATED, RESAMPLED
    from kernbench.ulm.evaluation.rates import TRAINING_MHZ

    if factor == 1:
        return {}
    mhz = factor * TRAINING_MHZ
    odd = "; odd ones are rounded down, to whole samples of that rate" if factor < 1 else ""
    click.echo(
        f"lines resampled from {TRAINING_MHZ:g} to {mhz:g} MHz, thresholds of {TRAINING_MHZ:g} MHz; tolerances and "
        f"errors in samples of {TRAINING_MHZ:g} MHz{odd}"
    )
    names = ("layer", "taps", "spacing", "dilation", "DC drift", "energy above 0.25")
    rows = [
        (
            *(str(number), str(each.taps), f"{each.spacing:g}", str(each.dilation)),
            *(_percent(each.dc_drift), _percent(each.high_energy)),
        )
        for number, each in enumerate(changes, 1)
    ]
    how = RESAMPLED if resampled else EVALUATED
    print_table(f"Kernels at that rate, {how}; energy above 0.25 cycles per tap step", names, rows)
    return {"rate_mhz": mhz, "kernels": how, "layers": [_plain(each) for each in changes]}


def _percent(share: float) -> str:
    """A share; a dash where there is none, as of kernels that are all 0."""
    return "–" if math.isnan(share) else f"{share:.2%}"


def _plain(change: "LayerChange") -> dict[str, Any]:
    """The same for a file: JSON has no NaN."""
    values = dataclasses.asdict(change).items()
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in values}
