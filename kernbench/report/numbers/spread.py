"""The spread between trainings that a report reckons with: from its own cells, or from elsewhere."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kernbench.errors import counted
from kernbench.report.numbers.points import Point
from kernbench.statistics.moderation import seed_prior
from kernbench.study.settings import AXIS_TEST, axis_home
from kernbench.study.toml_tables import TomlTable
from kernbench.ulm.scoring.seed_spread import UNKNOWN, SeedSpread, measured_spread


def own_spread(points: Iterable[Point], where: str) -> SeedSpread:
    """The spread that points with several seeds show.

    Points below the blind floor are left out: networks that learned nothing agree with each other more than others do.
    Points of the same networks on other test lines count as one.

    Args:
        points: of one comparison, or of several.
        where: for the reader: "this study".
    """
    known = [point for point in points if len(point.scored) > 1 and not point.skill < 0]
    trainings = [_trainings(point) for point in known]
    prior = seed_prior([point.f1() for point in known], trainings)
    if prior is None:
        return UNKNOWN
    return SeedSpread(prior, f"{counted(len(set(trainings)), 'point')} of {where} with several seeds")


def _trainings(point: Point) -> tuple[object, ...]:
    """What tells the trainings of a point from those of others: all but its test lines, and how they are scored."""
    run = point.runs[0]
    params = sorted((name, value) for name, value in point.params.items() if name not in AXIS_TEST)
    return run.study, run.digest, point.apart, *params


@dataclass(frozen=True)
class Lender:
    """A comparison as others borrow its spread.

    Attributes:
        name: its base, which ends with its profile: "k_sweep.v1.quick".
        definition: of its cells.
        points: its points.
    """

    name: str
    definition: TomlTable
    points: Sequence[Point]

    @property
    def profile(self) -> str:
        """Last part of the name."""
        return self.name.rsplit(".", 1)[-1]

    def is_like(self, other: "Lender") -> bool:
        """Whether both were made of the same lines, with the same network, training and tolerance."""
        parts = ("data", "network", "training", "evaluation")
        same = all(self.definition.get(part) == other.definition.get(part) for part in parts)
        return same and self.profile == other.profile and not self._sweeps_settings and not other._sweeps_settings

    @property
    def _sweeps_settings(self) -> bool:
        """Whether its points differ in more than kernel size and hyper-parameters: then no one spread is theirs."""
        axes = {name for point in self.points for name in point.params} - {"kernel_size"}
        return any(axis_home(name) is not None for name in axes)

    @property
    def lends(self) -> bool:
        """Whether it has points with several seeds."""
        return any(len(point.scored) > 1 for point in self.points)


def borrowed_spread(borrower: Lender, others: Iterable[Lender]) -> SeedSpread:
    """The spread for a comparison whose cells have one seed each.

    Args:
        borrower: the comparison.
        others: the other comparisons of the report.

    Returns:
        What comparisons made alike show; else what is documented for the profile; else unknown.
    """
    alike = [other for other in others if other.lends and borrower.is_like(other)]
    # a copy of a database says nothing new: points of the very same scores count once
    points = {
        tuple((run.study, run.cell, run.started) for run in point.runs): point
        for other in alike
        for point in other.points
    }
    found = own_spread(points.values(), ", ".join(other.name for other in alike))
    return measured_spread(borrower.profile, borrower.definition) if found.prior is None else found
