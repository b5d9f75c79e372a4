"""Seeds of one point of the axes, trained at once where that is asked for and can be done."""

import dataclasses
import time
from collections.abc import Iterator, Sequence

import torch

from kernbench.compiling import OFF
from kernbench.engine.cell import CellContext, Outcome
from kernbench.engine.study import Study
from kernbench.errors import KernbenchError, first_line
from kernbench.experiment import Begun, begin, end, run_cell
from kernbench.memory import release
from kernbench.together import Ended, Member, train_together

AUTO, NONE = "auto", "off"


def stack_size(asked: str, study: Study, device: str) -> int:
    """How many seeds are trained at once, at most.

    Args:
        asked: "auto", "off" or a number. On a CPU auto is off: cells of three seeds took 0.9 to 1.16 times as long at
            once as one by one. On a GPU, which was not measured, auto takes all seeds.
        study: the study.
        device: "cpu" or "cuda:0".

    Raises:
        KernbenchError: neither of these, or together with recomputed activations, a compiled network or tuning.
    """
    if asked not in (AUTO, NONE) and not (asked.isascii() and asked.isdigit() and int(asked) > 0):
        raise KernbenchError(f"--stack-seeds: expected auto, off or a number of seeds, got {asked!r}")
    if asked.isdigit() and int(asked) > 1 and study.tuning is not None:
        raise KernbenchError(f"--stack-seeds {asked} is for grids: here each seed draws settings of its own")
    plain = not study.runtime.get("recompute") and study.runtime.get("compile", OFF) == OFF
    if asked.isdigit() and int(asked) > 1 and not plain:
        raise KernbenchError(
            f"--stack-seeds {asked} does not go together with training.recompute or training.compile; leave one out"
        )
    if asked.isdigit():
        return int(asked)
    able = asked == AUTO and plain and study.tuning is None and torch.device(device).type != "cpu"
    return len(study.seeds) if able else 1


def run_seeds(contexts: Sequence[CellContext]) -> Iterator[tuple[int, Outcome | BaseException]]:
    """Train and evaluate cells that differ in their seed only.

    Those whose checkpoints end at the same epoch are trained at once; where that fails, as for want of memory, one by
    one, and the observer is told.

    Args:
        contexts: the cells and where they run.

    Yields:
        Place and outcome of each cell as it ends, or the error that ended it.

    Raises:
        Interrupted: the worker was asked to leave; checkpoints are saved.
    """
    if len(contexts) == 1:
        yield 0, _alone(contexts[0])
        return
    observer = contexts[0].observer
    cells, trained = _trained(contexts)
    # the first one last: its trial is told when all have ended, and its checkpoint goes with its result
    for place in (*range(1, len(contexts)), 0):
        context = contexts[place]
        if place in trained:
            try:
                yield place, end(cells[place], trained[place])
            except Exception as error:
                yield place, error
        else:
            observer.note(f"cell {context.cell} is trained by itself")
            yield place, _alone(context)


def _trained(contexts: Sequence[CellContext]) -> tuple[list[Begun], dict[int, Ended]]:
    """The cells, and how training ended for those that could be trained at once: all or some of them, or none."""
    observer = contexts[0].observer
    try:
        cells = [begin(context) for context in contexts]
        starts = [0 if cell.state is None else int(cell.state["epoch"]) for cell in cells]
        places = [place for place, start in enumerate(starts) if start == starts[0]]
        group = [cells[place] for place in places]
        if len(group) == 1:
            return cells, {}
        observer.note(f"seeds {', '.join(str(cell.context.params['seed']) for cell in group)} are trained at once")
        members = [
            Member(cell.network, cell.bench.training_data(), cell.hooks, cell.seeds["order"], cell.state)
            for cell in group
        ]
        return cells, dict(zip(places, train_together(members, group[0].settings, observer.note), strict=True))
    except Exception as error:
        # a plugin that works by itself only, or memory: each cell has its own chance, and its own failure
        observer.note(f"seeds cannot be trained at once ({first_line(error)})")
        release(error)
        return [], {}


def _alone(context: CellContext) -> Outcome | BaseException:
    began = time.monotonic()
    try:
        outcome = run_cell(context)
    except Exception as error:
        return error
    # else it would have a share of the time of all
    return dataclasses.replace(outcome, details={**outcome.details, "own_seconds": time.monotonic() - began})
