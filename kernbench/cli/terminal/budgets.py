"""What is worked out for the networks of a study, on the terminal: sizes for a field, hyper-parameters for a budget."""

from typing import TYPE_CHECKING

import click

from kernbench.study.networks import sizes_text

if TYPE_CHECKING:
    from kernbench.kernels.budget import Solution
    from kernbench.study.selection import Selection
    from kernbench.study.study import Study


def print_worked_out(study: "Study", only: "Selection") -> None:
    """What each point of a study gets from its field and its budget, with fields and counts; nothing without them."""
    if study.budget is None and not study.sizes_networks:
        return
    from kernbench.ulm.cells.definition import resolved, solution_of
    from kernbench.ulm.cells.plan import network_facts
    from kernbench.ulm.cells.preflight import points_of_networks

    if study.budget is not None:
        click.echo(f"  {study.budget.line}")
    for params in points_of_networks(study, only):
        place = ", ".join(f"{name} = {params[name]}" for name in study.axes)
        said = [sizes_text(network_facts(resolved(study.definition, params, "network")))] * study.sizes_networks
        if (solution := solution_of(study, params)) is not None:
            said.append(_met(study, solution))
        click.echo(f"  {place}: {'; '.join(said)}")


def _met(study: "Study", solution: "Solution") -> str:
    budget = study.budget
    assert budget is not None
    setting = ", ".join(f"{name} = {value}" for name, value in solution.solved.items()) or "as it is"
    count = f"{solution.count:,} of {solution.target:,} {budget.quantity}, ratio {solution.ratio:.3f}"
    total = f" ({solution.target / budget.total:.3f} of {budget.total:,})" if budget.channels else ""
    return f"{setting}: {count}{total}"
