"""Samples, labels and tolerances at another sampling rate."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernbench.ulm.line import LABEL_SUPPORT, SAMPLES
from kernbench.ulm.scoring.floors import blind_floors, comb, label_support
from kernbench.ulm.scoring.rates import moved_counts, moved_samples, moved_tolerances


def test_tolerances_are_never_wider_in_time():
    assert moved_tolerances(range(10), 2).tolist() == list(range(0, 20, 2))
    assert moved_tolerances(range(10), 1).tolist() == list(range(10))
    assert moved_tolerances(range(10), 0.5).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_bubbles_that_fall_on_one_sample_add_up():
    counts = np.array([[1, 2, 0, 0, 3, 0, 1]], np.uint8)
    half, twice = (moved_counts(counts, factor) for factor in (0.5, 2))
    assert half.tolist() == [[1, 2, 3, 1]]  # samples 0, 1 -> 1, 4 -> 2, 6 -> 3: half is rounded up
    assert twice.tolist() == [[1, 0, 2, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1, 0]]
    assert {half.dtype, twice.dtype} == {counts.dtype}


@given(st.lists(st.lists(st.integers(0, 3), min_size=9, max_size=9), min_size=1), st.sampled_from([0.5, 1, 2, 3]))
def test_no_bubble_is_lost_and_none_moves_more_than_half_a_sample(rows, factor):
    counts = np.array(rows, np.uint8)
    moved = moved_counts(counts, factor)
    assert moved.sum(axis=1).tolist() == counts.sum(axis=1).tolist()
    for old, new in zip(counts, moved, strict=True):
        places = np.repeat(np.arange(9), old) * factor - np.repeat(np.arange(len(new)), new)
        assert np.abs(places).max(initial=0) <= 0.5


@pytest.mark.parametrize("factor", [0.5, 2])
def test_the_label_support_of_whole_lines_moves_with_them(factor):
    whole = moved_counts(np.zeros((1, SAMPLES), np.uint8), factor).shape[1]
    start, stop = label_support(whole, factor)
    assert (start, stop - 1) == tuple(moved_samples((LABEL_SUPPORT[0], LABEL_SUPPORT[1] - 1), factor))
    assert label_support(whole) == (0, whole)  # a window of that length at the rate of training
    assert np.flatnonzero(comb(whole, 100, factor))[0] == start


def test_floors_at_another_rate_are_those_of_its_labels_and_tolerances():
    counts = (np.random.default_rng(1).random((6, 300)) < 0.03).astype(np.uint8)
    twice = moved_counts(counts, 2)
    found, by_hand = blind_floors(twice, (0, 1, 4), factor=2), blind_floors(twice, (0, 2, 8))
    for name in ("comb", "random"):
        assert np.array_equal(found[name].f1, by_hand[name].f1)
    usual = blind_floors(counts, (0, 1, 4))
    assert (found["random"].mean[1:] != usual["random"].mean[1:]).all()  # more samples to guess among
