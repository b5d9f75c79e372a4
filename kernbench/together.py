"""Training of several seeds at once: one step of a stack, and everything else of each seed its own."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from kernbench.errors import DivergedError
from kernbench.networks import Network
from kernbench.stacking import Stack
from kernbench.training import (
    Epoch,
    Hooks,
    Interrupted,
    Lines,
    Run,
    Settings,
    TrainingData,
    constrain,
    diverged,
    look,
)
from kernbench.ulm.loss import DualLoss, dual_loss

Ended = list[Epoch] | DivergedError


@dataclass(eq=False)
class Member:
    """One seed of a stack.

    Attributes:
        network: with its own initialization; on the device of the data.
        data: training lines.
        hooks: of this seed.
        order_seed: of its batch order and fresh noise.
        resume: checkpoint state to go on from; all members of a stack go on from the same epoch.
    """

    network: Network
    data: TrainingData
    hooks: Hooks
    order_seed: int
    resume: dict[str, Any] | None = None  # Any: a checkpoint's nested content


def train_together(
    members: Sequence[Member], settings: Settings, note: Callable[[str], None] = lambda _text: None
) -> list[Ended]:
    """Train networks that differ in their seeds, each as `kernbench.training.train` would, to rounding.

    Every member keeps its initialization, order of batches, noise, curve and checkpoints; a member that diverges ends
    and leaves the others alone.

    Args:
        members: of one shape, with as many training lines.
        settings: of all.
        note: told what a user should know: a family whose kernels cannot be made for all seeds at once.

    Returns:
        For each member its learning curve, or the DivergedError that ended it; networks are left in evaluation mode.

    Raises:
        Interrupted: a member's `stop` was true; checkpoints of all are saved.
    """
    group = _Group(members, settings)
    if group.note:
        note(group.note)
    try:
        while group.epoch < settings.epochs and group.alive():
            group.one_epoch()
    finally:
        group.close()
    for member in members:
        member.network.eval()
    return group.ended()


class _Group:
    """The runs of a stack and the stack itself; runs hold each seed's numbers between two epochs."""

    def __init__(self, members: Sequence[Member], settings: Settings) -> None:
        self._members, self._settings = members, settings
        generators = [torch.Generator().manual_seed(member.order_seed) for member in members]
        self._runs = [
            Run(member.network, settings, generator, member.network)
            for member, generator in zip(members, generators, strict=True)
        ]
        self._failed: dict[int, DivergedError] = {}
        for member, run in zip(members, self._runs, strict=True):
            if member.resume is not None:
                run.restore(member.resume)
            for row in run.curve:
                member.hooks.on_epoch(row)
        self._sources = [Lines(member.data, settings) for member in members]
        self._stack = Stack([member.network for member in members])
        self._optimizer = torch.optim.Adam(self._stack.parameters(), lr=settings.rate, fused=self._runs[0].fused)
        self._take_moments()
        self._last_save = time.monotonic()

    @property
    def note(self) -> str:
        return self._stack.note

    @property
    def epoch(self) -> int:
        return self._runs[0].epoch

    def alive(self) -> list[int]:
        return [place for place in range(len(self._runs)) if place not in self._failed]

    def ended(self) -> list[Ended]:
        return [self._failed.get(place, run.curve) for place, run in enumerate(self._runs)]

    def close(self) -> None:
        for source in self._sources:
            source.close()

    def one_epoch(self) -> None:
        """One pass over the training lines of every seed, their looks, their rows, their checkpoints."""
        started = time.monotonic()
        rate = self._runs[0].optimizer.param_groups[0]["lr"]
        losses = self._pass(rate)
        self._give_back()
        rows = {place: self._row(place, losses[place], rate) for place in self.alive()}
        share = (time.monotonic() - started) / len(self._runs)
        for run in self._runs:
            run.epoch += 1
            run.seconds += share
        for place, row in rows.items():
            if row is not None:
                self._runs[place].curve.append(Epoch(**row, seconds=self._runs[place].seconds))
                self._members[place].hooks.on_epoch(self._runs[place].curve[-1])
        self._save_sometimes()

    def _pass(self, rate: float) -> list[list[float]]:
        """Steps of one epoch; mean loss, soft and hard term of each seed."""
        start = [run.snapshot() for run in self._runs]
        drawn = [source.draw(run.generator, run.epoch) for source, run in zip(self._sources, self._runs, strict=True)]
        self._optimizer.param_groups[0]["lr"] = rate
        self._optimizer.zero_grad()
        sums: Tensor | float = 0.0
        steps = len(drawn[0][1])
        for step in range(steps):
            self._stop_if_asked(start)
            rows = [batches[step] for _, batches in drawn]
            voltage = torch.stack([lines[chosen] for (lines, _), chosen in zip(drawn, rows, strict=True)], dim=1)
            counts = [source.data.counts[chosen] for source, chosen in zip(self._sources, rows, strict=True)]
            sums = sums + self._backward(voltage, torch.stack(counts, dim=1))
            if self._settings.update == "per-batch" or step == steps - 1:
                self._step()
        assert isinstance(sums, Tensor)
        return [[float(value) for value in each] for each in (sums / steps).tolist()]

    def _backward(self, voltage: Tensor, counts: Tensor) -> Tensor:
        settings = self._settings

        def loss(output: Tensor, label: Tensor) -> DualLoss:
            return dual_loss(output, label, settings.soft_weight, settings.hard_weight, settings.alpha)

        losses, soft, hard = torch.vmap(loss, in_dims=1)(self._stack(voltage), counts)
        losses.sum().backward()
        return torch.stack([losses, soft, hard], dim=1).detach().to(torch.float64)

    def _step(self) -> None:
        self._optimizer.step()
        self._optimizer.zero_grad()
        if any(callable(getattr(module, "constrain_", None)) for module in self._members[0].network.modules()):
            self._stack.scatter()
            for member in self._members:
                constrain(member.network)
            self._stack.gather()

    def _row(self, place: int, losses: Sequence[float], rate: float) -> dict[str, Any] | None:
        """The row of one seed without its seconds; None if it diverged now."""
        run, loss = self._runs[place], losses[0]
        try:
            if not math.isfinite(loss):
                raise diverged(run, f"the training loss became {loss} in epoch {run.epoch}")
            val_loss, val_f1 = look(run, self._members[place].hooks)
        except DivergedError as error:
            self._failed[place] = error
            return None
        values = (run.epoch, *losses, val_loss, val_f1, rate)
        return dict(zip(("epoch", "train_loss", "soft", "hard", "val_loss", "val_f1", "rate"), values, strict=True))

    def _stop_if_asked(self, start: Sequence[dict[str, Any]]) -> None:
        if not any(member.hooks.stop() for member in self._members):
            return
        for place in self.alive():
            save = self._members[place].hooks.save
            if save is not None:
                save(start[place])
        raise Interrupted(f"stopped in epoch {self.epoch}")

    def _save_sometimes(self) -> None:
        if time.monotonic() - self._last_save < min(member.hooks.save_seconds for member in self._members):
            return
        for place in self.alive():
            save = self._members[place].hooks.save
            if save is not None:
                save(self._runs[place].state())
        self._last_save = time.monotonic()

    def _give_back(self) -> None:
        """Numbers of the stack into networks and optimizers of the seeds; schedules one epoch on."""
        self._stack.scatter()
        for place, run in enumerate(self._runs):
            for stacked, own in zip(self._stack.parameters(), run.network.parameters(), strict=True):
                kept = self._optimizer.state.get(stacked)
                if kept:
                    run.optimizer.state[own] = {
                        name: each.clone() if name == "step" else each[place].clone() for name, each in kept.items()
                    }
            run.optimizer.zero_grad()
            run.optimizer.step()  # without gradients it moves nothing; the schedule insists on a step before its own
            run.scheduler.step()

    def _take_moments(self) -> None:
        """Moments of restored seeds into the optimizer of the stack."""
        for place, stacked in enumerate(self._stack.parameters()):
            kept = [run.optimizer.state.get(list(run.network.parameters())[place]) for run in self._runs]
            if all(kept):
                self._optimizer.state[stacked] = {
                    name: each.clone() if name == "step" else torch.stack([one[name] for one in kept if one])
                    for name, each in (kept[0] or {}).items()
                }
