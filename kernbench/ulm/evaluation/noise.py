"""Which noise the lines of a split have: its level, and the seed of its stream; without torch."""

from dataclasses import dataclass

import numpy as np

FIRST_STREAM = 1  # of noisy lines under protocol version 1
STREAM_BY_NAME = 2  # that of `noise_seed`, since the protocol version of this number


@dataclass(frozen=True)
class Noise:
    """Noise of the lines of a study.

    Attributes:
        percent: nominal level of all lines, in percent of 9.65 a.u.
        test_percent: of the test lines; below 0, that of the others.
        seed: of all streams.
    """

    percent: float = 0.0
    test_percent: float = -1.0
    seed: int = 0

    def level(self, split: str) -> float:
        """Nominal level of a split [percent]."""
        return self.test_percent if split == "test" and self.test_percent >= 0 else self.percent


def noise_seed(seed: int, split: str) -> int:
    """Seed of the noise on the lines of a split, below 2^32; training lines have it where they are scored.

    It is the first number that `numpy.random.SeedSequence` makes of the seed and the bytes of the split's name, so that
    it depends on nothing else: not on the splits beside it, nor on the number of lines. Line i has a stream of its own
    within it, see `kernbench.ulm.simulator.noise.add_noise`. Stored scores depend on it: never change it without
    raising `PROTOCOL_VERSION`.

    Args:
        seed: of the data, 0 or more.
        split: name, "train", "validation", "test" or any other.
    """
    return int(np.random.SeedSequence([seed, *split.encode()]).generate_state(1)[0])


def noise_stream(protocol: int) -> int:
    """Which stream the noisy lines of a protocol version have, `FIRST_STREAM` or `STREAM_BY_NAME`."""
    return STREAM_BY_NAME if protocol >= STREAM_BY_NAME else FIRST_STREAM
