"""What the strides of a network fold, as `kernbench evaluate` shows it."""

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from kernbench.cli.terminal.console import print_table

if TYPE_CHECKING:
    from torch import nn


def folding_said(network: "nn.Module") -> dict[str, Any]:
    """Print what each stride folds; the same as facts for a file, empty for a network without strides."""
    from kernbench.networks.folding import folded

    found = folded(network)
    if not found:
        return {}
    rows = [(str(each.layer), str(each.stride), f"{each.nyquist:g}", _percent(each.energy)) for each in found]
    print_table("Energy of kernels that a stride folds", ("layer", "stride", "above", "energy"), rows)
    return {"folded": [_plain(dataclasses.asdict(each)) for each in found]}


def _percent(share: float) -> str:
    """A share; a dash where there is none, as of kernels that are all 0."""
    return "–" if math.isnan(share) else f"{share:.2%}"


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """The same for a file: JSON has no NaN."""
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in values.items()}
