"""Counts near the ends of lines, and inside, against counting one sample after another."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kernbench.errors import DataError
from kernbench.ulm.scoring.edges import Pooled, counts_apart, near_ends
from kernbench.ulm.scoring.tolerance_counts import tolerance_counts


@st.composite
def lines(draw):
    """Outputs and bubbles of a few short lines, threshold, tolerance and ends."""
    number, length = draw(st.integers(1, 4)), draw(st.integers(1, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    output = rng.choice(np.array([-1, 0.1, 0.2, 0.3, 2], np.float32), (number, length))
    bubbles = rng.choice([0, 0, 0, 1, 2], (number, length))
    ends = draw(st.tuples(st.integers(0, 40), st.integers(0, 40)))
    return output, bubbles, draw(st.sampled_from([0.1, 0.2, 0.25])), draw(st.integers(0, 9)), ends


def counted_by_hand(output, bubbles, threshold, tolerance, ends):
    """(tp, fn, fp) near the ends and inside."""
    counts = {True: [0, 0, 0], False: [0, 0, 0]}
    for scores, labels in zip(output, bubbles, strict=True):
        length = len(scores)
        for n in range(length):
            near = n < ends[0] or n > length - 1 - ends[1]
            around = [m for m in range(length) if abs(m - n) <= tolerance]
            if labels[n] > 0:
                counts[near][0 if any(scores[m] > np.float32(threshold) for m in around) else 1] += 1
            if scores[n] > np.float32(threshold) and not any(labels[m] > 0 for m in around):
                counts[near][2] += 1
    return Pooled(*counts[True]), Pooled(*counts[False])


@settings(max_examples=150, deadline=None)
@given(lines())
def test_counts_are_those_of_every_sample_and_add_up_to_the_whole(drawn):
    output, bubbles, threshold, tolerance, ends = drawn
    near = near_ends(output.shape[1], ends)
    edge, inner = counts_apart(output, bubbles, threshold, tolerance, near)
    assert (edge, inner) == counted_by_hand(*drawn)
    whole = [int(each.sum()) for each in tolerance_counts(output, bubbles, [tolerance], [threshold])]
    assert [edge.tp + inner.tp, edge.fn + inner.fn, edge.fp + inner.fp] == whole


def test_samples_near_an_end_are_fewer_than_so_many_from_it_and_may_be_all():
    assert near_ends(8, (2, 3)).tolist() == [True, True, False, False, False, True, True, True]
    assert near_ends(8, (2, 0), skipped=1).tolist() == [True, *[False] * 6]
    assert near_ends(8, (2, 3), skipped=3).tolist() == [False, False, True, True, True]
    assert near_ends(8, (5, 5)).all()
    assert not near_ends(8, (0, 0)).any()


def test_a_network_that_is_wrong_at_the_ends_alone_is_right_inside():
    rng = np.random.default_rng(0)
    bubbles = (rng.random((6, 200)) < 0.1).astype(float)
    output = bubbles.copy()
    output[:, :20] = 0
    output[:, 180:] = 1
    bubbles[:, 18:24] = bubbles[:, 176:182] = 0  # nothing within the tolerance of the border
    output[:, 18:24] = output[:, 176:182] = 0
    edge, inner = counts_apart(output, bubbles, 0.5, 4, near_ends(200, (20, 20)))
    assert inner.f1 == 1
    assert edge.f1 < 0.5


def test_f1_of_pooled_counts():
    assert Pooled(3, 1, 2).f1 == pytest.approx(2 * 0.6 * 0.75 / (0.6 + 0.75))
    assert Pooled(0, 1, 0).f1 == Pooled(0, 0, 1).f1 == 0
    assert Pooled(0, 0, 0).f1 is None


def test_an_output_that_is_nan_is_refused():
    with pytest.raises(DataError, match="NaN in 1 of 2 lines"):
        counts_apart(torch.tensor([[0.0, torch.nan], [0, 0]]), torch.zeros(2, 2), 0.5, 1, near_ends(2, (1, 0)))
