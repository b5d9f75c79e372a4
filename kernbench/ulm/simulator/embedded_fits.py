"""Compact fits that stand in for the measured tables of the SRML-1D simulator.

Source: fitted to the tables published with Blanken et al. (2022), "Super-Resolved Microbubble Localization in
Single-Channel Ultrasound RF Signals Using Deep Learning", IEEE Trans. Med. Imaging 41(9), and, for the surface tension,
Segers et al. (2018), Soft Matter 14. All fits together move a simulated line by less than 0.6 % (relative L2).
"""

from typing import NamedTuple


class Atom(NamedTuple):
    """One Gaussian wave packet of an impulse response; cosine and sine are taps at 4 ns, the rest in MHz and us."""

    cosine: float
    sine: float
    frequency_mhz: float
    centre_us: float
    width_us: float


# Largest error 1.1e-3 of the peak; only the shape counts, because the pulse is normalized afterwards.
TRANSMIT_ATOMS = (
    Atom(-0.0023291, 0.011793, 2.6709, 0.38326, 0.25657),
    Atom(-0.021835, -0.026583, 2.4294, 0.47399, 0.32993),
    Atom(0.012697, 0.014307, 2.2262, 0.51672, 0.38882),
)

# Peak of the pulse at unit amplitude. It is above 1 because an offset of the measured pulse, which the atoms lack, is
# taken off after normalization.
PULSE_PEAK = 1.000152

# Largest error 9.2e-4 of the peak; from Pa at the element to volts in arbitrary units, so the scale counts.
RECEIVE_ATOMS = (
    Atom(-0.00056762, -0.006689, 2.2667, 0.1491, 0.14249),
    Atom(-0.00030262, -0.026389, 2.3959, 0.34727, 0.23981),
    Atom(0.0043358, 0.0096111, 1.8784, 0.47752, 0.30721),
)

# Shell surface tension [N/m] at equidistant normalized areas: knots of a C2 cubic spline. A degree-10 polynomial, as
# published, cannot be evaluated in float32, and a pchip through the same knots is eight times less accurate.
AREA_FIRST = 0.920
AREA_STEP = 0.015
TENSION_KNOTS = (
    0.0,
    0.003954,
    0.012155,
    0.021231,
    0.029697,
    0.037436,
    0.044533,
    0.050951,
    0.056725,
    0.061970,
    0.066557,
    0.069916,
    0.071580,
    0.072000,
)
TENSION_END_SLOPES = (0.0635, 0.0)
AREA_AT_REST = 0.9464108435919619  # where the spline has 0.010 N/m, the tension at rest
