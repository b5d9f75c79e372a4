"""How far the training of a running cell is: what its worker stores now and then, and what is read of it."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from kernbench.study.durations import duration


@dataclass(frozen=True)
class Progress:
    """A cell in training, as of its last stored epoch.

    Attributes:
        epoch: finished epochs.
        epochs: of the whole training.
        loss: mean training loss of the last epoch.
        left_s: training time that is left, at the speed so far [s].
    """

    epoch: int
    epochs: int
    loss: float
    left_s: float

    def stored(self) -> dict[str, float]:
        """As JSON; `read` makes the same of it."""
        return asdict(self)

    @property
    def text(self) -> str:
        """For one line: "epoch 12 of 50, loss 0.0123, 5 min left"."""
        return f"epoch {self.epoch} of {self.epochs}, loss {self.loss:.4f}, {duration(round(self.left_s))} left"


def read(stored: object) -> Progress | None:
    """What was stored; None for anything else, because it is only shown.

    Args:
        stored: JSON from a database.
    """
    try:
        values: Any = stored  # whatever it is, what follows decides
        found = Progress(int(values["epoch"]), int(values["epochs"]), float(values["loss"]), float(values["left_s"]))
    except (TypeError, KeyError, ValueError, ArithmeticError):
        return None
    usable = 0 <= found.epoch <= found.epochs and math.isfinite(found.loss) and 0 <= found.left_s < math.inf
    return found if usable else None
