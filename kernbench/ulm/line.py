"""The RF line: rates, lengths and constants that simulator, scores and data share."""

SAMPLES = 8446  # of a whole line: 0.1 m of depth and back

LABEL_SUPPORT = (312, 8177)  # [first, stop) of the samples that can carry a label: bubbles are 3.7 to 96.3 mm deep

SAMPLE_RATE_HZ = 62.5e6

IMAGING_DEPTH_M = 0.1

SPEED_OF_SOUND_M_PER_S = 1480.0

DEFAULT_PULSE = "default"  # of Blanken et al. (2022)

PULSE_FREQUENCY_HZ = 1.7e6  # of the default pulse

DEPTH_RANGE_M = (3.7e-3, 96.3e-3)  # of bubbles under the default pulse

# Under every other pulse, as in Zorgdrager et al. (2025), so that long echoes fit into the line.
LONG_ECHO_DEPTH_RANGE_M = (3.7e-3, 85e-3)
LONG_ECHO_SUPPORT = (312, 7228)


def depth_range_of(pulse: str) -> tuple[float, float]:
    """Depths of the bubbles that a population has under a pulse [m]."""
    return DEPTH_RANGE_M if pulse == DEFAULT_PULSE else LONG_ECHO_DEPTH_RANGE_M


def label_support_of(pulse: str) -> tuple[int, int]:
    """[first, stop) of the samples that can carry a label under a pulse."""
    return LABEL_SUPPORT if pulse == DEFAULT_PULSE else LONG_ECHO_SUPPORT


def scored_name(digest: str, mhz: float, delay: int = 0) -> str:
    """Name of lines as they are scored: their digest, and rate and delay of the labels where they are not the usual.

    Args:
        digest: of the lines.
        mhz: sampling rate.
        delay: of the labels [samples].
    """
    at_rate = digest if mhz == SAMPLE_RATE_HZ / 1e6 else f"{digest}@{mhz:g}MHz"
    return f"{at_rate}@delay{delay}" if delay else at_rate


def without_rate(name: str) -> str:
    """The digest in such a name: lines of the same bubbles, whatever their rate and the delay of their labels."""
    return name.partition("@")[0]
