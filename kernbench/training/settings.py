"""What a training run is given: a loss, settings, hooks; and what it reports of each epoch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from torch import Tensor, nn

# Output and target, (B, 1, L) each -> the loss, a scalar with gradients, and its named terms, for the curve alone.
Loss = Callable[[Tensor, Tensor], tuple[Tensor, Mapping[str, Tensor]]]


class Interrupted(KeyboardInterrupt):
    """Training was asked to stop between two batches; a checkpoint has been saved."""


@dataclass(frozen=True)
class Settings:
    """How a network is trained.

    Attributes:
        epochs: passes over the training lines.
        batch_size: lines per batch; the last batch may be smaller.
        update: "per-batch", or "per-epoch": gradients of all batches are summed and one step is taken.
        rate: Adam's learning rate.
        decay_epoch: from this epoch on the rate is multiplied by `decay_factor`.
        decay_factor: see `decay_epoch`.
        validate_every: epochs from one validation pass to the next; the last epoch always has one.
    """

    epochs: int
    batch_size: int
    update: str
    rate: float
    decay_epoch: int
    decay_factor: float
    validate_every: int


@dataclass(frozen=True)
class Epoch:
    """One row of the learning curve; losses are means over batches before the update.

    Attributes:
        epoch: from 0.
        train_loss: on the training lines.
        terms: name -> term of that loss, as the loss names them.
        val_loss: on the validation lines; None without a validation pass, as is the next.
        val_f1: on the validation lines.
        rate: Adam's learning rate.
        seconds: since training began.
    """

    epoch: int
    train_loss: float
    terms: Mapping[str, float]
    val_loss: float | None
    val_f1: float | None
    rate: float
    seconds: float

    def columns(self) -> dict[str, float | None]:
        """The row by name of its columns, see `curve_columns`."""
        known = {**vars(self), **self.terms}
        return {name: known[name] for name in curve_columns(list(self.terms))}

    @classmethod
    def from_columns(cls, columns: Mapping[str, Any]) -> "Epoch":
        """The row that gives these columns; what is no field is a term."""
        known = {each.name for each in fields(cls)}
        terms = {name: value for name, value in columns.items() if name not in known}
        return cls(terms=terms, **{name: value for name, value in columns.items() if name in known})


def curve_columns(terms: Sequence[str]) -> list[str]:
    """Names of the columns of a learning curve; the terms follow the loss that they belong to."""
    return [name for each in fields(Epoch) for name in (terms if each.name == "terms" else (each.name,))]


@dataclass(frozen=True)
class Hooks:
    """What the loop reports, asks and hands over while it runs.

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
