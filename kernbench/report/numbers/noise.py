"""F1 against the noise level, where a study varies it, as Blanken et al. (2022), Fig. 11."""

from kernbench.report.numbers.comparison import Comparison
from kernbench.study.reference import TOLERANCE_AXIS

NOISE_AXES = {
    "noise_percent": "nominal noise, training and test [%]",
    "test_noise_percent": "nominal noise of the test lines [%]",
}


def varies_noise(comparison: Comparison) -> bool:
    """Whether the comparison runs along a noise level."""
    return comparison.axis in NOISE_AXES and bool(comparison.scored)


def noise_table(comparison: Comparison) -> list[dict[str, str]]:
    """Mean F1 of every point by tolerance, formatted, rows by noise level; none where published rows show the same."""
    covered = any(
        comparison.axis in (reference.where or {}) and reference.axis == TOLERANCE_AXIS
        for reference in comparison.references
    )
    if covered or not varies_noise(comparison):
        return []
    return [
        {"series": series.name, "level": "–" if point.x is None else str(point.x)}
        | {str(t): f"{point.mean_f1(t):.3f}" for t in point.tolerances}
        for series in comparison.series
        for point in series.scored
    ]
