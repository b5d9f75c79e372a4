"""Whether a network learned nothing, against outputs that are known to say nothing, or something."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kernbench.ulm.scoring.floors import blind_floors
from kernbench.ulm.scoring.loss import TrainingLoss
from kernbench.ulm.scoring.plateau import constant_loss, learned_nothing, mean_loss
from kernbench.ulm.scoring.protocol import choose_thresholds, evaluate, score

TOLERANCE = 4
LOSS = TrainingLoss()


def drawn_counts(seed: int, lines: int = 6, length: int = 300, share: float = 0.02) -> np.ndarray:
    return np.random.default_rng(seed).binomial(2, share, (lines, length)).astype(np.uint8)


def random_floor(counts: np.ndarray) -> float:
    return float(blind_floors(counts, (TOLERANCE,))["random"].mean[0])


def judged(output: np.ndarray, counts: np.ndarray) -> bool:
    """As a cell judges its network, with these lines for everything."""
    choice = choose_thresholds(score(output, counts), "validation")
    return learned_nothing(
        evaluate(output, counts, choice).at(TOLERANCE),
        random_floor(counts),
        lambda: mean_loss(output, counts, LOSS),
        lambda: constant_loss(counts, LOSS),
    )


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), level=st.floats(-0.5, 0.5), ripple=st.sampled_from([0.0, 1e-7]))
def test_a_flat_output_learned_nothing_at_any_level(seed, level, ripple):
    counts = drawn_counts(seed)
    output = level + ripple * np.random.default_rng(seed).standard_normal(counts.shape)
    assert judged(output.astype(np.float32), counts)


def test_a_good_output_and_one_at_the_wrong_delay_learned_something():
    counts = drawn_counts(1)
    assert not judged(counts.astype(np.float32), counts)
    late = np.roll(counts, TOLERANCE + 2, axis=1).astype(np.float32) * 0.5  # near the truth, beyond the tolerance
    f1 = evaluate(late, counts, choose_thresholds(score(late, counts), "validation")).at(TOLERANCE)
    assert f1 < random_floor(counts)
    assert not judged(late, counts)


def test_loss_is_asked_for_only_where_f1_is_low():
    def never() -> float:
        pytest.fail("a loss costs time")

    assert not learned_nothing(0.3, 0.2, never, never)
    assert learned_nothing(0.2, 0.2, lambda: 1.99, lambda: 2.0)
    assert not learned_nothing(0.2, 0.2, lambda: 1.97, lambda: 2.0)


@pytest.mark.parametrize("share", [0.0, 0.003, 0.05, 0.4])
def test_the_smallest_loss_of_a_constant_is_that_of_a_fine_grid(share):
    counts = drawn_counts(2, share=share)
    labels = torch.from_numpy(counts).float()
    grid = [float(LOSS(torch.full_like(labels, value), labels)[0]) for value in np.linspace(0, 1, 2001)]
    assert constant_loss(counts, LOSS) == pytest.approx(min(grid), rel=1e-4)
    uneven = np.concatenate([counts] * 11)  # more lines than fit in one part
    assert constant_loss(uneven, LOSS) == pytest.approx(min(grid), rel=1e-4)
