"""Searches of tuned studies on the terminal: how far each is, and what it has found."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from kernbench.errors import counted
from kernbench.study.cell import ENDED
from kernbench.study.tuning import DRAW

if TYPE_CHECKING:
    import optuna

    from kernbench.store.reading.records import Run
    from kernbench.study.cell import CellState


def is_tuned(study: "optuna.Study") -> bool:
    """Whether a stored study draws hyper-parameters."""
    return "tuning" in json.loads(study.user_attrs.get("definition", "{}"))


def print_searches(study: "optuna.Study", states: "Sequence[CellState]") -> None:
    """One line for each search: draws so far and the best of them; then the cells that failed, run or are lost."""
    tuned = json.loads(study.user_attrs["definition"])["kernel"]["tuned"]
    drawn = {t.user_attrs.get("cell"): t.params for t in study.get_trials(deepcopy=False)}
    searches: dict[str, list[CellState]] = {}
    for state in states:
        searches.setdefault(search_of(state.cell), []).append(state)
    for name, members in searches.items():
        click.echo(f"  {name}: {_progress(members)}{_best(members, drawn, tuned)}")
    for state in states:
        if state.state in ("failed", "lost", "running"):
            click.echo(f"  {state.cell}: {state.state}{f': {state.detail}' if state.detail else ''}")


def search_of(cell: str) -> str:
    """What a cell's id says beside its draw: `kernel_size=65,seed=0`."""
    return ",".join(pair for pair in cell.split(",") if not pair.startswith(f"{DRAW}="))


def print_chosen(runs: "Sequence[Run]") -> None:
    """The chosen draw of each search, what it has drawn, and the default setting beside it."""
    from kernbench.report.numbers.searches import searches_of, setting_text, validation_f1

    for search in searches_of(runs):
        if search.chosen is None:
            continue
        point = ", ".join(f"{name} = {value}" for name, value in search.point.items())
        found = f"F1 {validation_f1(search.chosen):.3f} on validation lines"
        default = search.validation.get(0)
        beside = "" if default is None or not search.tuned else f", default setting {default:.3f}"
        drawn = setting_text(search.setting(search.chosen)) or "nothing to tune"
        click.echo(f"  {point}: draw {search.chosen.params[DRAW]} of {len(search.draws)} ({drawn}), {found}{beside}")


def _progress(states: "Sequence[CellState]") -> str:
    ended = [state for state in states if state.state in (*ENDED, "failed")]
    kinds = sorted({state.state for state in ended} - {"done"})
    counts = [f"{sum(s.state == kind for s in ended)} {kind}" for kind in kinds]
    return ", ".join([f"{len(ended)} of {counted(len(states), 'draw')}", *counts])


def _best(states: "Sequence[CellState]", drawn: "dict[str | None, dict[str, object]]", tuned: "Sequence[str]") -> str:
    from kernbench.report.numbers.searches import choose, setting_text

    scores = {place: state.score for place, state in enumerate(states) if state.score is not None}
    best = choose(scores)
    if best is None:
        return ""
    setting = {name: drawn[states[best].cell][name] for name in tuned}
    text = setting_text(setting) or "nothing to tune"  # type: ignore[arg-type]  # Optuna's values are plain
    return f"; best F1 {scores[best]:.3f} (validation), {text}"
