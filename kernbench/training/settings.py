"""What a training run is given: settings, hooks; and what it tells of each epoch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn


class Interrupted(KeyboardInterrupt):
    """Training was asked to stop between two batches; a checkpoint has been saved."""


@dataclass(frozen=True)
class Settings:
    """How a network is trained.

    Attributes:
        epochs: passes over the training lines.
        batch_size: lines per batch; the last batch may be smaller.
        update: "per-batch", or "per-epoch": gradients of all batches are summed and one step is taken, as in the
            code of Blanken et al. (2022).
        rate: Adam's learning rate.
        decay_epoch: from this epoch on the rate is multiplied by `decay_factor`.
        decay_factor: see `decay_epoch`.
        soft_weight: weight of the L1 term of the dual loss.
        hard_weight: weight of the Dice term.
        alpha: width parameter of the Gaussian of the L1 term [1/samples^2].
        validate_every: epochs between two looks at the validation lines; the last epoch is always looked at.
    """

    epochs: int
    batch_size: int
    update: str
    rate: float
    decay_epoch: int
    decay_factor: float
    soft_weight: float
    hard_weight: float
    alpha: float
    validate_every: int


@dataclass(frozen=True)
class Epoch:
    """One row of the learning curve; losses are means over batches before the update, F1 is None between looks."""

    epoch: int
    train_loss: float
    soft: float
    hard: float
    val_loss: float | None
    val_f1: float | None
    rate: float
    seconds: float


@dataclass(frozen=True)
class Hooks:
    """What the loop tells, asks and hands over while it runs.

    Attributes:
        validate: network in evaluation mode -> (loss, F1) on the validation lines.
        on_epoch: called with each finished row of the curve.
        stop: asked between batches; true saves a checkpoint and raises Interrupted.
        enough: asked after each epoch but the last; true ends training there.
        save: keeps a checkpoint state; called at most every `save_seconds`.
        save_seconds: seconds between two checkpoints.
    """

    validate: Callable[[nn.Module], tuple[float, float]]
    on_epoch: Callable[[Epoch], None] = lambda _row: None
    stop: Callable[[], bool] = lambda: False
    enough: Callable[[], bool] = lambda: False
    save: Callable[[dict[str, Any]], None] | None = None
    save_seconds: float = 20.0
