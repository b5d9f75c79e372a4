"""The spread between trainings that a report reckons with: from its own cells, or from elsewhere."""

from collections.abc import Iterable, Sequence

from kernbench.report.numbers.points import Point
from kernbench.statistics.moderation import seed_prior
from kernbench.ulm.scoring.seed_spread import UNKNOWN, SeedSpread, measured_spread


def own_spread(points: Iterable[Point], where: str) -> SeedSpread:
    """The spread that points with several seeds show.

    Points below the blind floor are left out: networks that learned nothing agree with each other more than others do.

    Args:
        points: of one comparison, or of several.
        where: for the reader: "this study".
    """
    known = [point for point in points if len(point.scored) > 1 and not point.skill < 0]
    prior = seed_prior([point.f1() for point in known])
    if prior is None:
        return UNKNOWN
    plural = "" if len(known) == 1 else "s"
    return SeedSpread(prior, f"{len(known)} point{plural} of {where} with several seeds")


def borrowed_spread(base: str, others: Sequence[tuple[str, Sequence[Point]]]) -> SeedSpread:
    """The spread for a comparison whose cells have one seed each.

    Args:
        base: its name, which ends with its profile: "k_sweep.v1.quick".
        others: names and points of the other comparisons of the report.

    Returns:
        What comparisons of the same profile show; else what is documented for the profile; else unknown.
    """
    profile = base.rsplit(".", 1)[-1]
    alike = [(name, points) for name, points in others if name.rsplit(".", 1)[-1] == profile]
    found = own_spread([point for _, points in alike for point in points], ", ".join(name for name, _ in alike))
    return measured_spread(profile) if found.prior is None else found
