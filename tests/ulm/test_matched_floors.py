"""Blind floors of the one-to-one metric against the protocol and against a literal sweep."""

import numpy as np
import pytest

from kernbench.errors import DataError
from kernbench.ulm.matched_floors import matched_comb_f1, matched_random_f1
from kernbench.ulm.scores import skill

# Protocol 5.4, at the published bubble numbers, t = 0..9.
SPACINGS = (1, 3, 5, 7, 9, 9, 9, 10, 12, 14)
SUPPORT_COMB = [0.1187, 0.2863, 0.3932, 0.4621, 0.5067, 0.5385, 0.5646, 0.5889, 0.6047, 0.6107]
WHOLE_COMB = [0.1111, 0.2700, 0.3730, 0.4405, 0.4844, 0.5150, 0.5399, 0.5637, 0.5810, 0.5876]
RANDOM = [0.1111, 0.2047, 0.2742, 0.3286, 0.3718, 0.4074, 0.4356, 0.4621, 0.4844, 0.5032]


def test_comb_of_the_protocol(published_counts):
    got = matched_comb_f1(published_counts, spacings=SPACINGS).mean(axis=1)
    assert got == pytest.approx(SUPPORT_COMB, abs=0.002)


@pytest.mark.slow
def test_best_comb_is_the_protocols_or_better(published_counts):
    """The protocol's spacings are best up to t = 5 and at 7; beyond, s = 10 or 11 is better than its 9, 12 and 14."""
    best = matched_comb_f1(published_counts).mean(axis=1)
    assert best[[0, 1, 2, 3, 4, 5, 7]] == pytest.approx(np.take(SUPPORT_COMB, [0, 1, 2, 3, 4, 5, 7]), abs=0.002)
    assert (best > np.array(SUPPORT_COMB) - 0.002).all()
    assert best[9] > 0.62
    whole = matched_comb_f1(published_counts, support=(0, 8446)).mean(axis=1)
    assert whole[:5] == pytest.approx(WHOLE_COMB[:5], abs=0.002)
    assert (whole > np.array(WHOLE_COMB) - 0.002).all()


@pytest.mark.slow
def test_random_row_of_the_protocol(published_counts):
    got = matched_random_f1(published_counts, seed=1).mean(axis=1)
    assert got == pytest.approx(RANDOM, abs=0.005)


def literal_pairs(detections, truths, tolerance):
    """Two pointers, as the protocol words it."""
    i = j = pairs = 0
    while i < len(detections) and j < len(truths):
        if abs(detections[i] - truths[j]) <= tolerance:
            i, j, pairs = i + 1, j + 1, pairs + 1
        elif detections[i] < truths[j]:
            i += 1
        else:
            j += 1
    return pairs


def literal_f1(counts, detected, tolerance):
    scores = []
    for line, mask in zip(counts, detected, strict=True):
        truths, detections = np.flatnonzero(line), np.flatnonzero(mask)
        pairs = literal_pairs(detections, truths, tolerance)
        scores.append(2 * pairs / (len(truths) + len(detections)))
    return np.array(scores)


@pytest.fixture
def windows():
    return np.random.default_rng(0).poisson(0.06, (9, 500)).astype(np.uint8)


@pytest.mark.parametrize("tolerance", [0, 1, 4])
def test_combs_by_definition(windows, tolerance):
    rows = []
    for step in range(1, 4 * tolerance + 3):
        mask = np.zeros(windows.shape, bool)
        mask[:, 40:430:step] = True
        rows.append(literal_f1(windows, mask, tolerance))
        got = matched_comb_f1(windows, [tolerance], support=(40, 430), spacings=[step])
        assert got[0] == pytest.approx(rows[-1])
    best = max(rows, key=np.mean)
    assert matched_comb_f1(windows, [tolerance], support=(40, 430))[0].mean() == pytest.approx(best.mean())


def test_random_detections_by_definition(windows):
    noise = np.random.default_rng(5).random(windows.shape, dtype=np.float32)
    for tolerance in (0, 3):
        rows = [literal_f1(windows, noise < rate, tolerance) for rate in (0.1, 0.4)]
        got = matched_random_f1(windows, [tolerance], [0.1, 0.4], seed=5)
        assert got[0] == pytest.approx(max(rows, key=np.mean))


def test_skill_is_taken_against_the_matched_comb(windows):
    floor = matched_comb_f1(windows, [4]).mean(axis=1)
    assert skill(1.0, floor) == pytest.approx([1])
    assert skill(floor, floor) == pytest.approx([0])


def test_bad_arguments_are_refused(windows):
    with pytest.raises(DataError, match="inside the line of 500"):
        matched_comb_f1(windows, support=(10, 501))
    for spacings in ([1], [1, 0], []):
        with pytest.raises(DataError, match="a spacing >= 1 for each of 2"):
            matched_comb_f1(windows, [0, 4], spacings=spacings)
