"""Lines as dense as the published test set, with fresh uniform positions."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def published_arrivals(reference):
    """Arrivals [samples] of the published bubble numbers, one array for each of 960 lines."""
    bubbles = np.load(reference / "srml1d/Statistics_HS_001/num_bub_matrix.npy")[0].astype(int)
    rng = np.random.default_rng(11)
    lines = []
    for number in bubbles:
        z, x = rng.uniform(3.7e-3, 96.3e-3, number), rng.uniform(-14e-3, 14e-3, number)
        lines.append((z + np.hypot(x, z)) / 1480 * 62.5e6)
    return lines


@pytest.fixture(scope="session")
def published_counts(published_arrivals):
    """Labels (960, 8446) of these arrivals, rounded half away from zero."""
    whole = [np.floor(line + 0.5).astype(int) for line in published_arrivals]
    return np.stack([np.bincount(line, minlength=8446) for line in whole]).astype(np.uint8)


@pytest.fixture
def worked():
    """Output and labels of the protocol's worked check."""
    y, z = np.zeros((2, 256), int), np.zeros((2, 256))
    y[0, [3, 100, 110]], y[1, [200, 201]] = [1, 1, 2], 1
    z[0, [50, 101, 110]], z[1, [200, 203, 255]] = [-0.3, 0.8, 1.4], [0.5, 0.25, 0.1]
    return z, y
