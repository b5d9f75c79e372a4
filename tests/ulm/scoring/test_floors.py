"""Blind floors against the published random row, the protocol's comb row, and a direct count."""

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from kernbench.errors import DataError
from kernbench.ulm.scoring.floors import comb_f1, label_support, random_f1
from kernbench.ulm.scoring.protocol import score
from kernbench.ulm.scoring.scores import f1_scores

SUPPORT_COMB = [0.1187, 0.3057, 0.4414, 0.5410, 0.6158, 0.6732, 0.7178, 0.7530, 0.7823, 0.8057]
WHOLE_COMB = [0.1111, 0.2887, 0.4197, 0.5173, 0.5916, 0.6489, 0.6939, 0.7300, 0.7596, 0.7837]


def test_published_random_row_is_regenerated(reference, published_counts):
    thresholds = np.load(reference / "srml1d/modelR/thresholds_optimal.npy")
    published = np.load(reference / "srml1d/ModelComparison/F1_test_R.npy")
    ours = random_f1(published_counts, range(10), thresholds, seed=1).mean(axis=1)
    np.testing.assert_allclose(ours, published, rtol=0, atol=0.002)


@pytest.mark.parametrize(
    ("options", "row"),
    [
        ({"spacing": "best"}, SUPPORT_COMB),
        ({"spacing": "widest"}, SUPPORT_COMB),
        ({"spacing": "widest", "support": (0, 8446)}, WHOLE_COMB),
    ],
)
def test_comb_row_of_the_protocol(published_counts, options, row):
    np.testing.assert_allclose(comb_f1(published_counts, **options).mean(axis=1), row, rtol=0, atol=0.005)


def windows(density=0.06):
    return np.random.default_rng(0).poisson(density, (9, 500)).astype(np.uint8)


def direct_comb(counts, tolerance, step, start, stop):
    """Per-line F1 of one comb, counted by the metric itself."""
    comb = np.zeros(counts.shape)
    comb[:, start:stop:step] = 1
    table = score(comb, counts, [tolerance], [0.5])
    return table.f1[0, 0]


@pytest.mark.parametrize("tolerance", [0, 1, 4, 9])
def test_comb_agrees_with_the_metric(tolerance):
    counts = windows()
    got = comb_f1(counts, [tolerance], support=(40, 430), spacing="widest")[0]
    assert got == pytest.approx(direct_comb(counts, tolerance, 2 * tolerance + 1, 40, 430))


@pytest.mark.parametrize("density", [0.004, 0.06, 0.4])
def test_best_comb_is_the_best_of_all_spacings(density):
    counts = windows(density)
    means = [direct_comb(counts, 3, step, 0, 500).mean() for step in range(1, 15)]
    assert comb_f1(counts, [3]).mean() == pytest.approx(max(means))


def test_random_floor_is_counted_on_seeded_noise():
    counts = windows()
    noise = np.random.default_rng(5).random(counts.shape, dtype=np.float32)
    detected, truth, wide = noise > np.float32(0.8), counts > 0, np.ones((1, 5), bool)
    tp = (truth & binary_dilation(detected, wide)).sum(axis=1)
    fp = (detected & ~binary_dilation(truth, wide)).sum(axis=1)
    expected = f1_scores(tp, truth.sum(axis=1) - tp, fp)
    assert random_f1(counts, [2], [0.8], seed=5)[0] == pytest.approx(expected)


def test_thresholds_of_the_random_floor_follow_their_tolerances():
    counts = windows()
    both = random_f1(counts, [0, 4], [0.9, 0.2], seed=5)
    assert np.array_equal(both[0], random_f1(counts, [0], [0.9], seed=5)[0])
    assert np.array_equal(both[1], random_f1(counts, [4], [0.2], seed=5)[0])


def test_fitted_random_floor_is_not_below_any_fixed_rate():
    counts = windows()
    best = random_f1(counts, [4], seed=5).mean()
    assert best >= max(random_f1(counts, [4], [rate], seed=5).mean() for rate in (0.0, 0.3, 0.7, 0.9, 0.95))


def test_support_is_the_window_unless_the_line_is_whole():
    assert label_support(8446) == (312, 8177)
    assert label_support(2048) == (0, 2048)
    with pytest.raises(DataError, match="inside the line of 500"):
        comb_f1(windows(), support=(10, 501))


def test_lines_without_bubbles_get_the_guard():
    assert comb_f1(np.zeros((2, 100), np.uint8), [4]).tolist() == [[0.001, 0.001]]
