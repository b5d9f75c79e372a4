"""One training run: a loss that is handed in, Adam, one update per batch or per epoch, step decay, checkpointed."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from kernbench.errors import DivergedError
from kernbench.host.accelerator import random_states, set_random_states
from kernbench.kernels.base import KernelModule
from kernbench.kernels.trained import constrain, kernel_modules, penalties
from kernbench.training.batches import Lines, TrainingData
from kernbench.training.families import grouped, penalized, sizes
from kernbench.training.settings import Epoch, Hooks, Interrupted, Loss, Settings


@dataclass(eq=False)
class Run:
    """Everything that changes while a network is trained, so that a checkpoint is one call.

    Attributes:
        network: what is trained.
        loss: what is minimized, see Loss.
        settings: see Settings.
        generator: of batch order and seeds of fresh noise.
        forward: the network, or a compiled form of it that shares its parameters.
        device: of the data and of the network.
        epoch: finished epochs.
        seconds: that they took.
        curve: their rows.
        families: kernel modules of the network.
        regularized: those that add to the loss.
    """

    network: nn.Module
    loss: Loss
    settings: Settings
    generator: torch.Generator
    forward: Callable[[Tensor], Tensor]
    device: torch.device | str = "cpu"
    epoch: int = 0
    seconds: float = 0.0
    curve: list[Epoch] = field(default_factory=list)
    families: list[KernelModule] = field(init=False)
    regularized: list[KernelModule] = field(init=False)
    optimizer: torch.optim.Optimizer = field(init=False)
    scheduler: torch.optim.lr_scheduler.LRScheduler = field(init=False)

    def __post_init__(self) -> None:
        """Adam with default betas and eps, no weight decay, as published, where no family says otherwise."""
        self.families = kernel_modules(self.network)
        self.regularized = [each for each in self.families if penalties(each)]
        # one kernel for all parameters: a fifth of the time of a loop over them
        fused = all(each.is_floating_point() for each in self.network.parameters())
        self.optimizer = torch.optim.Adam(grouped(self.network, self.settings.rate), lr=self.settings.rate, fused=fused)
        self.scheduler = torch.optim.lr_scheduler.MultiStepLR(
            self.optimizer, [self.settings.decay_epoch], self.settings.decay_factor
        )

    @property
    def rate(self) -> float:
        """Learning rate of what no family gives a rate of its own."""
        first = self.optimizer.param_groups[0]
        return float(first["lr"] / first.get("lr_mult", 1.0))

    def state(self) -> dict[str, Any]:
        """Checkpoint content after `epoch` finished epochs; loads under weights_only."""
        return {
            "epoch": self.epoch,
            "seconds": self.seconds,
            "curve": [row.columns() for row in self.curve],
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "order": self.generator.get_state(),
            "torch": torch.get_rng_state(),
            "cuda": random_states(self.device),  # the name that stored checkpoints have
        }

    def snapshot(self) -> dict[str, Any]:
        """The state in memory of its own, to go back to while training goes on."""
        # rows of the curve are copies already, and there are many of them
        return {name: value if name == "curve" else _copied(value) for name, value in self.state().items()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint of the same settings."""
        self.epoch = state["epoch"]
        self.seconds = state["seconds"]
        self.curve = [Epoch.from_columns(row) for row in state["curve"]]
        for name in ("network", "optimizer", "scheduler"):
            getattr(self, name).load_state_dict(state[name])
        self.generator.set_state(state["order"])
        torch.set_rng_state(state["torch"])
        set_random_states(state["cuda"], self.device)


def fits(network: nn.Module, state: dict[str, Any]) -> bool:
    """Whether a checkpoint state is complete and has the weights of this network, in the groups that learn alike."""
    keys = {"epoch", "seconds", "curve", "network", "optimizer", "scheduler", "order", "torch", "cuda"}
    if not keys <= set(state):
        return False
    own, its = network.state_dict(), state["network"]
    if sizes(network) != [len(each["params"]) for each in state["optimizer"]["param_groups"]]:
        return False
    return set(own) == set(its) and all(own[name].shape == its[name].shape for name in own)


def train(
    network: nn.Module,
    data: TrainingData,
    loss: Loss,
    settings: Settings,
    hooks: Hooks,
    *,
    order_seed: int,
    resume: dict[str, Any] | None = None,
    forward: Callable[[Tensor], Tensor] | None = None,
) -> list[Epoch]:
    """Train a network in place and leave it in evaluation mode.

    Args:
        network: (N, 1, L) -> (N, 1, L), on the device of the data.
        data: training lines.
        loss: what is minimized, see Loss.
        settings: see Settings.
        hooks: see Hooks; `on_epoch` is called for restored epochs, too.
        order_seed: seed of the batch order and of fresh noise.
        resume: checkpoint state to go on from.
        forward: what computes the training step in the network's place, see `kernbench.training.compiling`.

    Returns:
        The learning curve, one row for each epoch trained.

    Raises:
        DivergedError: a loss was NaN or infinite; its `curve` attribute keeps the curve up to there.
        Interrupted: `hooks.stop()` was true.
    """
    # a module may have a length of 0, so `forward or network` will not do
    step = network if forward is None else forward
    run = Run(network, loss, settings, torch.Generator().manual_seed(order_seed), step, data.target.device)
    if resume is not None:
        run.restore(resume)
    for row in run.curve:
        hooks.on_epoch(row)
    source = Lines(data, settings)
    last_save = time.monotonic()
    try:
        while run.epoch < settings.epochs:
            row = _epoch(run, source, hooks)
            run.curve.append(row)
            hooks.on_epoch(row)
            if run.epoch < settings.epochs and hooks.enough():
                break
            if hooks.save is not None and time.monotonic() - last_save >= hooks.save_seconds:
                hooks.save(run.state())
                last_save = time.monotonic()
    finally:
        source.close()
    network.eval()
    return run.curve


def _epoch(run: Run, source: Lines, hooks: Hooks) -> Epoch:
    started = time.monotonic()
    rate = run.rate
    loss, terms = _pass(run, source, hooks)
    if not math.isfinite(loss):
        raise _diverged(run, f"the training loss became {loss} in epoch {run.epoch}")
    run.scheduler.step()
    val_loss, val_f1 = _validate(run, hooks)
    run.epoch += 1
    run.seconds += time.monotonic() - started
    return Epoch(run.epoch - 1, loss, terms, val_loss, val_f1, rate, run.seconds)


def _pass(run: Run, source: Lines, hooks: Hooks) -> tuple[float, dict[str, float]]:
    """One pass over the training lines; mean loss of its batches, and means of the terms by name."""
    # A stop in the middle of an epoch goes back to its start, so a resumed run draws the same batches.
    start = run.snapshot() if hooks.save is not None else None
    signal, batches = source.draw(run.generator, run.epoch)
    per_batch = run.settings.update == "per-batch"
    sums, names = torch.zeros((), dtype=torch.float64, device=signal.device), list[str]()
    run.network.train()
    run.optimizer.zero_grad()
    for rows in batches:
        if hooks.stop():
            if hooks.save is not None and start is not None:
                hooks.save(start)
            raise Interrupted(f"stopped in epoch {run.epoch}")
        values, names = _backward(run, signal[rows], source.data.target[rows])
        sums = sums + values
        if per_batch:
            _step(run)
    if not per_batch:
        _step(run)
    # One copy to the host an epoch: NaN and infinity survive a sum, so nothing is missed.
    mean, *terms = (sums / len(batches)).tolist()
    return mean, dict(zip(names, terms, strict=True))


def _copied(state: Any) -> Any:  # Any: nested dicts and lists of tensors and plain values
    """The same state in memory of its own; deepcopy of tensors is several times slower."""
    if isinstance(state, Tensor):
        return state.clone()
    if isinstance(state, dict):
        return {key: _copied(value) for key, value in state.items()}
    return [_copied(value) for value in state] if isinstance(state, list) else state


def _backward(run: Run, signal: Tensor, target: Tensor) -> tuple[Tensor, list[str]]:
    """Add the gradients of one batch; its loss and terms, float64 on the device, and the names of the terms."""
    loss, terms = run.loss(run.forward(signal.unsqueeze(1)), target.unsqueeze(1))
    loss, terms = penalized(loss, terms, run.regularized)
    loss.backward()
    return torch.stack([loss, *terms.values()]).detach().to(torch.float64), list(terms)


def _step(run: Run) -> None:
    run.optimizer.step()
    run.optimizer.zero_grad()
    constrain(run.families)


def _validate(run: Run, hooks: Hooks) -> tuple[float | None, float | None]:
    """Loss and F1 on the validation lines, None in epochs without a validation pass.

    Raises:
        DivergedError: one of them is not finite.
    """
    if (run.epoch + 1) % run.settings.validate_every and run.epoch + 1 != run.settings.epochs:
        return None, None
    run.network.eval()
    try:
        loss, f1 = hooks.validate(run.network)
    except DivergedError as error:
        raise _diverged(run, f"{error}, on validation lines in epoch {run.epoch}") from error
    if not math.isfinite(loss):
        raise _diverged(run, f"the validation loss became {loss} in epoch {run.epoch}")
    return loss, f1


def _diverged(run: Run, message: str) -> DivergedError:
    """The error of a run that met NaN or infinity, with its curve up to there."""
    error = DivergedError(message)
    error.curve = list(run.curve)
    return error
