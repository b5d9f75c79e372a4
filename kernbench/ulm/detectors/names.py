"""Classical detectors, scored by the very protocol of the networks; `METHODS` names them, nothing here imports torch.

A detector turns lines into a score z >= 0 on the sample grid. Its delay, its settings and its thresholds are fitted on
the split on which the networks' thresholds are chosen. The blind methods are the floors of the scored lines themselves.
"""

METHODS: dict[str, str] = {
    "random": "blind: every sample with one probability, the best on the scored lines",
    "comb": "blind: every s-th sample of the label support, s the best on the scored lines",
    "envelope": "peaks of the envelope, with a smallest prominence",
    "matched-filter": "correlation with one simulated echo (2.4 um, 100 kPa, 50 mm)",
    "wiener": "Wiener deconvolution by that echo",
    "fista-single": "sparse non-negative deconvolution by that echo (FISTA)",
    "fista-bank": "FISTA with 32 echoes together: 8 pressures x 4 depths",
    "fista-per-line": "FISTA with 4 depths, at the pressure of the smallest residual of each line",
    "omp": "orthogonal matching pursuit, with one echo, 32 together, or 4 at the pressure that takes the fewest",
    "fir-257": "one linear filter of 257 taps and a bias, trained on the dual loss",
    "fir-1025": "the same with 1025 taps",
    "fir-4097": "the same with 4097 taps; needs lines longer than 2048 samples",
}
BLIND = ("random", "comb")
QUICK = ("random", "comb", "envelope", "matched-filter", "wiener", "fista-single")
"""What `kernbench run` adds to every data set and noise level: seconds at `quick`, where the others take minutes."""


def taps(name: str) -> int:
    """Length of a linear filter by its name, `fir-257`; 1 for other methods."""
    return int(name.removeprefix("fir-")) if name.startswith("fir-") else 1


def fits(name: str, length: int) -> bool:
    """Whether lines of that many samples are long enough for a method's padding."""
    return (taps(name) - 1) // 2 < length
