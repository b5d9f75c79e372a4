"""One-to-one matching against an assignment solver."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from kernbench.errors import DataError
from kernbench.ulm.pairing.decoders import Decoder, decode
from kernbench.ulm.pairing.matching import closest_pairs, kept_before, reach, sweep
from kernbench.ulm.pairing.points import label_points, points


def assigned(detections, truths, tolerance):
    """Most pairs, then least sum of squared distances: (pairs, sum) by the assignment solver."""
    distance = np.subtract.outer(np.asarray(detections, float), np.asarray(truths, float))
    allowed = np.abs(distance) <= tolerance
    bonus = min(distance.shape) * tolerance**2 + 1
    rows, columns = linear_sum_assignment(np.where(allowed, distance**2 - bonus, 0))
    used = allowed[rows, columns]
    return int(used.sum()), float((distance[rows, columns][used] ** 2).sum())


def swept(found, truths, tolerances):
    """Number of pairs of each line at each tolerance."""
    return sweep(reach(found, truths, tolerances), truths)


def check(detections, truths, tolerance):
    """Sweep and closest pairing of lines, each a list of positions, equal the solver's."""
    found, true = points(detections), points(truths)
    counts = swept(found, true, [tolerance])[0]
    pairs = closest_pairs(found, true, tolerance)
    assert len(set(pairs.detection.tolist())) == len(pairs) == len(set(pairs.truth.tolist()))
    assert np.array_equal(found.line[pairs.detection], true.line[pairs.truth])
    assert (np.abs(pairs.distance) <= tolerance).all()
    squares = np.bincount(true.line[pairs.truth], pairs.distance**2, minlength=true.lines)
    expected = [assigned(*line, tolerance) for line in zip(detections, truths, strict=True)]
    assert counts.tolist() == pairs.per_line.tolist() == [number for number, _ in expected]
    assert squares == pytest.approx([total for _, total in expected], abs=1e-9)


# Sixteenths of a sample: fractional positions, and distances that equal the tolerance exactly.
def positions(step):
    return st.lists(st.integers(0, 40 * step).map(lambda n: n / step), max_size=14)


cases = st.sampled_from([1, 16]).flatmap(lambda step: st.tuples(positions(step), positions(step)))


@settings(max_examples=200)
@given(st.lists(cases, min_size=1, max_size=4), st.sampled_from([0, 1, 2, 4, 9, 0.5]))
def test_matching_equals_the_assignment_solver(lines, tolerance):
    check([detections for detections, _ in lines], [truths for _, truths in lines], tolerance)


@pytest.mark.parametrize("tolerance", [0, 0.5, 1, 4, 9])
def test_matching_equals_the_assignment_solver_on_ten_thousand_lines(tolerance):
    """Two thousand lines together for each tolerance, every second one with positions in sixteenths of a sample."""
    rng = np.random.default_rng(int(2 * tolerance))
    lengths = [(int(rng.integers(5, 120)), 1 + line % 2 * 15) for line in range(2000)]
    detections, truths = (
        [rng.integers(0, n * step, rng.integers(0, 25)) / step for n, step in lengths] for _ in range(2)
    )
    check(detections, truths, tolerance)


def test_worked_check_of_the_protocol(worked):
    output, counts = worked
    found, truths = decode(output, 0.3, Decoder("raw")).points, label_points(counts)
    pairs = swept(found, truths, range(10))
    f1 = 2 * pairs / (found.per_line + truths.per_line)
    assert f1[0] == pytest.approx([0.4, 2 / 3])
    # One detection cannot serve the truths 200 and 201: 2/3, where the dilation metric gives 1.
    assert f1[1:] == pytest.approx(np.tile([0.8, 2 / 3], (9, 1)))


def test_ties_go_to_the_earlier_truth_and_to_the_earlier_detection():
    assert closest_pairs(points([[5]]), points([[4, 6]]), 1).distance.tolist() == [1]
    assert closest_pairs(points([[4, 6]]), points([[5]]), 1).distance.tolist() == [-1]


def test_no_lines_have_nothing_to_match():
    assert swept(points([]), points([]), [0, 4]).shape == (2, 0)
    assert len(closest_pairs(points([]), points([]), 4)) == 0


def test_thinned_reach_equals_that_of_the_thinned_table():
    rng = np.random.default_rng(1)
    found, truths = (points([rng.integers(0, 90, 30) for _ in range(6)]) for _ in range(2))
    kept = rng.random(len(found)) > 0.5
    within, expected = reach(found, truths, [0, 3]).among(kept_before(kept)), reach(found[kept], truths, [0, 3])
    assert np.array_equal(within.stop - within.first, expected.stop - expected.first)
    assert np.array_equal(sweep(within, truths), sweep(expected, truths))


def test_windows_of_more_detections_than_two_bytes_can_count():
    truths = np.arange(5) + 60_000.0
    pairs = closest_pairs(points([np.arange(70_000)]), points([truths]), 65_000)
    assert pairs.distance.tolist() == [0] * len(truths)


def test_bad_arguments_are_refused():
    with pytest.raises(DataError, match="cover 2 lines, truths 1"):
        swept(points([[], []]), points([[]]), [0])
    for tolerances in ([], [-1], [np.nan]):
        with pytest.raises(DataError, match="samples >= 0"):
            swept(points([[]]), points([[]]), tolerances)
