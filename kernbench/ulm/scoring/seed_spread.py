"""How far apart two trainings of one cell are: measured once for a profile, for studies that have one seed."""

from collections.abc import Mapping
from dataclasses import dataclass

from kernbench.statistics.contrast import Prior
from kernbench.study.toml_tables import TomlTable


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

# Trainings that differ in nothing but the seed: study k_sweep, network shallow (that of the profile), 41 families at
# their defaults, K = 33 to 257, 128 test lines, tolerance 4, on a CPU; points below the blind floor left out. Points
# differ in it: few degrees of freedom say so. 96 % of single seeds lie within its 95 % of the mean of the others, 90 %
# at K = 257 (docs/statistics.md).
_MEASURED = {
    "quick": SeedSpread(
        Prior(2.466e-4, 4.93),
        "97 points of 41 families, network shallow, K = 33 to 257, 3 to 8 trainings each, made once for profile quick",
    )
}

# How those were made, as far as it moves the spread: settings of the profile, which a study can override.
_MADE_WITH: Mapping[str, TomlTable] = {
    "quick": {
        "data": {"population": "monodisperse", "train": 128, "test": 128, "window": 2048, "noise_percent": 0.0},
        "network": {"name": "shallow", "channels": 8, "depth": 4, "gain": "unit"},
        "training": {
            "epochs": 100,
            "batch_size": 8,
            "update": "per-batch",
            "rate": 2e-3,
            "decay_epoch": 80,
            "decay_factor": 0.1,
            "soft_weight": 1.0,
            "hard_weight": 1.6,
            "alpha": 0.1,
        },
        "evaluation": {"tolerance": 4, "threshold_split": "validation"},
    }
}


def measured_spread(profile: str, definition: TomlTable) -> SeedSpread:
    """What is documented for a profile; unknown for others, and for studies with other settings.

    Args:
        profile: of the study.
        definition: of the study; parts that it lacks are those of the profile.
    """
    found = _MEASURED.get(profile)
    if found is None:
        return UNKNOWN
    others = [
        f"{part}.{name}"
        for part, settings in _MADE_WITH[profile].items()
        for name, value in settings.items()
        if part in definition and definition[part].get(name) != value  # none: it is an axis, and varies
    ]
    return UNKNOWN if others else found
