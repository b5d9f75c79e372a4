"""Whether training left a network where it begins, against outputs that are known to say nothing, or something."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.ndimage import maximum_filter1d

from kernbench.ulm.scoring.loss import TrainingLoss
from kernbench.ulm.scoring.plateau import constant_loss, everywhere_f1, mean_loss, on_plateau
from kernbench.ulm.scoring.protocol import choose_thresholds, evaluate, score
from kernbench.ulm.scoring.scores import THRESHOLDS

TOLERANCE = 4
LOSS = TrainingLoss()


def drawn_counts(seed: int, lines: int = 6, length: int = 300, share: float = 0.02) -> np.ndarray:
    return np.random.default_rng(seed).binomial(2, share, (lines, length)).astype(np.uint8)


def judged(output: np.ndarray, counts: np.ndarray) -> bool:
    """As a cell judges its network, with these lines for everything."""
    choice = choose_thresholds(score(output, counts), "validation")
    return on_plateau(
        evaluate(output, counts, choice).at(TOLERANCE),
        everywhere_f1(counts, TOLERANCE),
        lambda: mean_loss(output, counts, LOSS),
        lambda: constant_loss(counts, LOSS),
    )


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), level=st.floats(-0.5, 0.5), ripple=st.sampled_from([0.0, 1e-7]))
def test_a_flat_output_is_on_the_plateau_at_any_level(seed, level, ripple):
    # where a threshold lies within its ripple, detections are random, which scores higher
    assume(np.abs(np.array(THRESHOLDS) - level).min() > 1e-6 or not ripple)
    counts = drawn_counts(seed)
    output = level + ripple * np.random.default_rng(seed).standard_normal(counts.shape)
    assert judged(output.astype(np.float32), counts)


def test_a_good_output_and_one_at_the_wrong_delay_are_not():
    counts = drawn_counts(1)
    assert not judged(counts.astype(np.float32), counts)
    for delay in (TOLERANCE + 2, 15, 40):  # beyond the tolerance: F1 is that of rare random detections
        assert not judged(np.roll(counts, delay, axis=1).astype(np.float32) * 0.5, counts)


def test_loss_is_asked_for_only_where_f1_is_low():
    def never() -> float:
        pytest.fail("a loss costs time")

    assert not on_plateau(0.3, 0.2, never, never)
    assert on_plateau(0.001, 0.0, lambda: 2.0, lambda: 2.0)  # silent
    assert on_plateau(0.209, 0.2, lambda: 1.95, lambda: 2.0)
    assert not on_plateau(0.2, 0.2, lambda: 1.9, lambda: 2.0)


@given(seed=st.integers(0, 2**32 - 1), tolerance=st.integers(0, 9))
def test_everywhere_is_every_sample(seed, tolerance):
    """Precision by another way: scipy's maximum filter says which samples are near a truth."""
    counts = drawn_counts(seed, share=0.01)
    truth = counts > 0
    near = maximum_filter1d(truth, 2 * tolerance + 1, axis=1, mode="constant").sum(axis=1)
    some = truth.sum(axis=1)
    precision = some / (some + counts.shape[1] - near)
    expected = np.where(some > 0, 2 * precision / (precision + 1), 0.001)
    np.testing.assert_allclose(everywhere_f1(counts, tolerance), expected.mean(), rtol=1e-6)


@pytest.mark.parametrize("share", [0.0, 0.003, 0.05, 0.4])
def test_the_smallest_loss_of_a_constant_is_that_of_a_fine_grid(share):
    counts = drawn_counts(2, share=share)
    labels = torch.from_numpy(counts).float()
    grid = [float(LOSS(torch.full_like(labels, value), labels)[0]) for value in np.linspace(0, 1, 2001)]
    assert constant_loss(counts, LOSS) == pytest.approx(min(grid), rel=1e-4)
    uneven = np.concatenate([counts] * 11)  # more lines than fit in one part
    assert constant_loss(uneven, LOSS) == pytest.approx(min(grid), rel=1e-4)
