"""How far apart two trainings of one cell are: measured once for a profile, for studies that have one seed."""

from dataclasses import dataclass

from kernbench.statistics.contrast import Prior


@dataclass(frozen=True)
class SeedSpread:
    """Variance between the mean F1 of seeds, and where it was measured.

    Attributes:
        prior: variance at the headline tolerance, with its degrees of freedom; None where it is unknown.
        source: for the reader: "12 cells of this study with several seeds".
    """

    prior: Prior | None
    source: str


UNKNOWN = SeedSpread(None, "")

# Trainings that differ in nothing but the seed: network shallow (that of the profile), K = 65, 128 test lines,
# tolerance 4, on a CPU. Standard deviations 0.0147 (discrete) and 0.0101 (siren), 7 degrees of freedom each.
_MEASURED = {
    "quick": SeedSpread(
        Prior(1.587e-4, 14),
        "8 trainings each of discrete and siren, network shallow, K = 65, made once for profile quick",
    )
}


def measured_spread(profile: str) -> SeedSpread:
    """What is documented for a profile; unknown for the others."""
    return _MEASURED.get(profile, UNKNOWN)
