"""What is solved for a budget, on the terminal."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from kernbench.study.selection import Selection
    from kernbench.study.study import Study


def print_budget(study: "Study", only: "Selection") -> None:
    """Hyper-parameters that each point of a study gets from its budget, with their counts; nothing without a budget."""
    if study.budget is None:
        return
    from kernbench.ulm.cells.definition import solution_of
    from kernbench.ulm.cells.preflight import points_of_networks

    click.echo(f"  {study.budget.line}")
    for params in points_of_networks(study, only):
        solution = solution_of(study, params)
        assert solution is not None  # the study has a budget
        place = ", ".join(f"{name} = {params[name]}" for name in study.axes)
        setting = ", ".join(f"{name} = {value}" for name, value in solution.solved.items()) or "as it is"
        count = f"{solution.count:,} of {solution.target:,} {study.budget.quantity}, ratio {solution.ratio:.3f}"
        click.echo(f"  {place}: {setting}: {count}")
