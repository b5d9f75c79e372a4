"""Precision-recall curves against the published arrays and against textbook rankings."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from kernbench.errors import DataError
from kernbench.ulm.scoring.curves import (
    CURVE_THRESHOLDS,
    Curve,
    average_precision,
    break_even,
    precision_recall,
    score_quantiles,
)
from kernbench.ulm.scoring.exact import exact_scores
from kernbench.ulm.scoring.tolerance_counts import tolerance_counts

# Protocol 8.3, HS_01: t -> max F1, its threshold, precision and recall there, break-even, average precision.
PUBLISHED = {
    0: (0.4367, 0.1, 0.3756, 0.5320, 0.4147, 0.3069),
    1: (0.7145, 0.15, 0.7122, 0.7215, 0.7166, 0.7104),
    2: (0.8505, 0.1, 0.8828, 0.8227, 0.8465, 0.8816),
    3: (0.9060, 0.1, 0.9472, 0.8691, 0.8961, 0.9361),
    4: (0.9273, 0.03162, 0.9493, 0.9073, 0.9184, 0.9555),
    5: (0.9377, 0.03162, 0.9562, 0.9208, 0.9307, 0.9651),
}


@pytest.fixture(scope="module")
def matrices(reference):
    folder = reference / "srml1d/PrecisionRecall"
    return {name: np.load(folder / f"{name}_matrix.npy") for name in ("precision", "recall", "F1")}


def test_thresholds_of_the_published_curve(reference):
    published = np.load(reference / "srml1d/PrecisionRecall/threshold_list.npy")
    assert len(CURVE_THRESHOLDS) == 44
    np.testing.assert_allclose(CURVE_THRESHOLDS, published, rtol=0, atol=1e-12)


@pytest.mark.parametrize("tolerance", PUBLISHED)
def test_published_curve(matrices, tolerance):
    curve = Curve("macro", np.array(CURVE_THRESHOLDS), matrices["precision"], matrices["recall"])
    best = matrices["F1"][tolerance].argmax()
    got = (
        matrices["F1"][tolerance, best],
        CURVE_THRESHOLDS[best],
        curve.precision[tolerance, best],
        curve.recall[tolerance, best],
        curve.break_even[tolerance],
        curve.average_precision[tolerance],
    )
    assert got == pytest.approx(PUBLISHED[tolerance], abs=5.1e-5)


@pytest.mark.parametrize("tolerance", range(10))
def test_average_precision_is_the_area_under_the_envelope(matrices, tolerance):
    precision, recall = matrices["precision"][tolerance], matrices["recall"][tolerance]
    grid = (np.arange(200_000) + 0.5) / 200_000
    envelope = np.where(recall >= grid[:, None], precision, 0).max(axis=1)
    assert average_precision(precision, recall) == pytest.approx(envelope.mean(), abs=1e-4)


@given(st.permutations(range(12)), st.lists(st.booleans(), min_size=12, max_size=12))
def test_average_precision_of_a_ranking(scores, hits):
    """Every threshold between distinct scores: the mean, over truths, of the best precision at their rank or later."""
    z, y = np.array(scores, float)[None], np.array(hits)[None]
    thresholds = np.arange(-1, 12) + 0.5
    ranked = y[0][np.argsort(-z[0])]
    precision = ranked.cumsum() / np.arange(1, 13)
    expected = np.mean([precision[rank:].max() for rank in np.flatnonzero(ranked)]) if ranked.any() else 0
    curve = precision_recall(*tolerance_counts(z, y, [0], thresholds), thresholds, "micro")
    assert curve.average_precision == pytest.approx([expected])


def test_averages_over_lines():
    rng = np.random.default_rng(0)
    tp, fn, fp = rng.integers(0, 3, (3, 2, 5, 9))
    thresholds = np.arange(5)
    published = precision_recall(tp, fn, fp, thresholds)
    exact = precision_recall(tp, fn, fp, thresholds, "macro-exact")
    pooled = precision_recall(tp, fn, fp, thresholds, "micro")
    for t, j in np.ndindex(2, 5):
        lines = list(zip(tp[t, j], fn[t, j], fp[t, j], strict=True))
        assert published.precision[t, j] == pytest.approx(np.mean([h / (h + a) if h else 0.001 for h, _, a in lines]))
        assert published.recall[t, j] == pytest.approx(np.mean([h / (h + m) if h else 0.001 for h, m, _ in lines]))
        full = [line for line in lines if sum(line)]
        assert exact.precision[t, j] == pytest.approx(np.mean([h / (h + a) if h else 0 for h, _, a in full]))
        h, m, a = np.sum(lines, axis=0)
        assert (pooled.precision[t, j], pooled.recall[t, j]) == pytest.approx((h / (h + a), h / (h + m)))
    assert exact_scores(tp, fn, fp).f1.shape == tp.shape


def test_break_even_of_silence_is_no_break_even():
    """Thresholds without a hit: both are the guard, or one is undefined."""
    assert np.isnan(break_even([], []))
    assert np.isnan(break_even([0.9, 0.95, 0.001], [0.6, 0.3, 0.001]))
    assert np.isnan(break_even([0.1, 0.2, 0.001], [0.6, 0.5, 0.001]))
    assert np.isnan(break_even([0.1, 0.2, np.nan, 0], [0.6, 0.5, 0, 0]))
    # empty below, silent above: a network that answers at a few thresholds only
    assert break_even([0.001, 0.3, 0.7, 0.001], [0.001, 0.7, 0.3, 0.001]) == pytest.approx(0.5)


def test_lines_that_fall_silent_leave_the_break_even_of_counts():
    """Two lines, one never answers; from the third threshold on none does."""
    tp = np.array([[[4, 0], [2, 0], [0, 0], [0, 0]]])
    fn, fp = np.array([4, 9]) - tp, np.array([[[6, 0], [0, 0], [0, 0], [0, 0]]])
    curve = precision_recall(tp, fn, fp, np.arange(4))
    both = (curve.precision[0] + curve.recall[0]) / 2
    assert curve.precision[0, 2] == curve.recall[0, 2] == pytest.approx(0.001)
    # precision 0.4 -> 1 and recall 1 -> 0.5 on the line that answers: equal at 0.4 + 6/11 x 0.6
    assert curve.break_even[0] == pytest.approx((0.4 + 6 / 11 * 0.6 + 0.001) / 2)
    assert both[2] < curve.break_even[0]


TENTHS = st.integers(1, 10).map(lambda n: n / 10)  # equal at a threshold, and several roots


@given(st.lists(st.tuples(st.floats(0.01, 1) | TENTHS, st.floats(0.01, 1) | TENTHS), min_size=2, max_size=8))
def test_break_even_is_the_largest_root_of_the_difference(pairs):
    precision, recall = np.array(pairs).T
    place = np.arange(len(pairs))

    def gap(x):
        return np.interp(x, place, precision) - np.interp(x, place, recall)

    ends = [(i, i + 1) for i in place[:-1] if gap(i) * gap(i + 1) < 0]
    roots = [brentq(gap, *each, xtol=1e-14) for each in ends] + [i for i in place if gap(i) == 0]
    if not roots:
        assert np.isnan(break_even(precision, recall))
    else:
        assert break_even(precision, recall) == pytest.approx(max(np.interp(roots, place, precision)), abs=1e-9)


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_quantiles_leave_the_stated_shares_above(kind):
    z = np.random.default_rng(0).permutation(10_000).astype(np.float32).reshape(4, -1)
    levels = score_quantiles(kind(z), 100)
    above = [(z > level).sum() for level in levels[::-1]]
    assert above == np.unique(np.rint((np.arange(101) / 100) ** 3 * 10_000)).tolist()


def test_quantiles_of_equal_scores_are_merged():
    levels = score_quantiles(np.array([[0, 0, 0, 0, 1]]), 100)
    assert levels.tolist()[1:] == [0, 1]
    assert levels[0] < 0


def test_more_quantiles_do_not_move_the_average_precision():
    rng = np.random.default_rng(2)
    y = rng.random((20, 2000)) < 0.06
    z = np.where(y, rng.normal(1, 0.6, y.shape), rng.normal(0, 0.3, y.shape))
    areas = []
    for count in (200, 4000):
        levels = score_quantiles(z, count)
        areas.append(precision_recall(*tolerance_counts(z, y, [0, 4], levels), levels).average_precision)
    assert areas[0] == pytest.approx(areas[1], abs=0.004)


def test_bad_arguments_are_refused():
    with pytest.raises(DataError, match="3 thresholds"):
        precision_recall(*np.zeros((3, 1, 2, 5)), [0.1, 0.2, 0.3])
    for bad in ([], [0, np.nan], [np.inf, 0]):
        with pytest.raises(DataError, match="finite scores"):
            score_quantiles(np.array(bad))


VALUES = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.001, 0.5, 1.0, float("nan")]))


@given(st.lists(st.lists(st.tuples(VALUES, VALUES), min_size=7, max_size=7), min_size=1, max_size=4))
def test_many_curves_together_are_each_curve_by_itself(rows):
    precision, recall = np.moveaxis(np.array(rows), -1, 0)
    for of_curve in (average_precision, break_even):
        each = [of_curve(p, r) for p, r in zip(precision, recall, strict=True)]
        np.testing.assert_array_equal(of_curve(precision, recall), each)


@given(st.lists(st.tuples(VALUES, VALUES), max_size=9))
def test_thresholds_with_nan_are_left_out(rows):
    precision, recall = np.array(rows).reshape(-1, 2).T
    known = ~(np.isnan(precision) | np.isnan(recall))
    for of_curve in (average_precision, break_even):
        expected = of_curve(precision[known], recall[known])
        np.testing.assert_allclose(of_curve(precision, recall), expected, rtol=1e-12)
