"""Blind floors against the published random row, the protocol's comb row, and a direct count."""

import numpy as np
import pytest

from kernbench.errors import DataError
from kernbench.ulm.scoring.floors import NOISE_SEED, blind_floors, label_support
from kernbench.ulm.scoring.protocol import score

SUPPORT_COMB = [0.1187, 0.3057, 0.4414, 0.5410, 0.6158, 0.6732, 0.7178, 0.7530, 0.7823, 0.8057]


def uniform(counts, seed):
    return np.random.default_rng(seed).random(counts.shape, dtype=np.float32)


def test_published_random_row_is_regenerated_and_not_above_the_fitted_one(reference, published_counts):
    thresholds = np.load(reference / "srml1d/modelR/thresholds_optimal.npy")
    published = np.load(reference / "srml1d/ModelComparison/F1_test_R.npy")
    ours = score(uniform(published_counts, NOISE_SEED), published_counts, range(10), thresholds).mean_f1.diagonal()
    np.testing.assert_allclose(ours, published, rtol=0, atol=0.002)
    assert (blind_floors(published_counts)["random"].mean >= ours - 1e-9).all()


def test_comb_row_of_the_protocol(published_counts):
    np.testing.assert_allclose(blind_floors(published_counts)["comb"].mean, SUPPORT_COMB, rtol=0, atol=0.005)


def windows(density=0.06):
    return np.random.default_rng(0).poisson(density, (9, 500)).astype(np.uint8)


def best(counts, detected, tolerance):
    """Per-line F1 of the detections (N, L) of the largest mean, counted by the metric itself."""
    each = [score(some.astype(float), counts, [tolerance], [0.5]).f1[0, 0] for some in detected]
    return max(each, key=np.mean)


@pytest.mark.parametrize("density", [0.004, 0.06, 0.4])
@pytest.mark.parametrize("tolerance", [0, 1, 3, 9])
def test_comb_is_the_best_of_all_spacings(density, tolerance):
    counts = windows(density)
    combs = (np.tile(np.arange(500) % step == 0, (9, 1)) for step in range(1, 4 * tolerance + 3))
    assert blind_floors(counts, [tolerance])["comb"].f1[0] == pytest.approx(best(counts, combs, tolerance))


@pytest.mark.parametrize("tolerance", [2, 4])
def test_random_floor_is_the_best_rate_of_one_noise(tolerance):
    counts = windows()
    detected = (uniform(counts, NOISE_SEED) > np.float32(rate / 100) for rate in range(100))
    assert blind_floors(counts, [0, tolerance])["random"].f1[1] == pytest.approx(best(counts, detected, tolerance))


def test_support_is_the_window_unless_the_line_is_whole():
    assert label_support(8446) == (312, 8177)
    assert label_support(2048) == (0, 2048)
    with pytest.raises(DataError, match="floors need labels of shape"):
        blind_floors(np.zeros(5))


def test_lines_without_bubbles_get_the_guard():
    assert blind_floors(np.zeros((2, 100), np.uint8), [4])["comb"].f1.tolist() == [[0.001, 0.001]]
