"""Mode `exact` against the definitions, one line at a time, in fractions."""

from fractions import Fraction
from statistics import median

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernbench.ulm.scoring.exact import exact_scores, summarize
from kernbench.ulm.scoring.scores import f1_scores
from kernbench.ulm.scoring.tolerance_counts import tolerance_counts

few = st.integers(0, 4)
counts = st.lists(st.tuples(few, few, few), min_size=1, max_size=8)


def f1_by_definition(tp, fn, fp):
    """None for an empty line."""
    if tp + fn + fp == 0:
        return None
    precision = Fraction(tp, tp + fp) if tp + fp else Fraction(0)
    recall = Fraction(tp, tp + fn) if tp + fn else Fraction(0)
    return 2 * precision * recall / (precision + recall) if tp else Fraction(0)


@given(counts)
def test_summary_is_by_definition(lines):
    got = summarize(*np.array(lines).T)
    f1 = [float(value) for value in (f1_by_definition(*line) for line in lines) if value is not None]
    assert got.empty == len(lines) - len(f1)
    pooled = f1_by_definition(*(sum(column) for column in zip(*lines, strict=True)))
    if not f1:
        assert np.isnan([got.mean, got.median, got.micro]).all()
        return
    assert got.mean == pytest.approx(sum(f1) / len(f1))
    assert got.median == pytest.approx(median(f1))
    assert got.micro == pytest.approx(float(pooled))


@given(few, few, few)
def test_one_to_one_f1_and_jaccard(pairs, misses, alarms):
    got = exact_scores(pairs, misses, alarms)
    if pairs + misses + alarms == 0:
        assert np.isnan(got.f1)
        return
    assert got.f1 == pytest.approx(2 * pairs / (2 * pairs + misses + alarms))
    assert got.jaccard == pytest.approx(pairs / (pairs + misses + alarms))


def test_axes_are_kept():
    rng = np.random.default_rng(0)
    tp, fn, fp = rng.integers(0, 3, (3, 2, 4, 7))
    got = summarize(tp, fn, fp)
    for index in np.ndindex(2, 4):
        alone = summarize(tp[index], fn[index], fp[index])
        for name in ("mean", "median", "micro", "micro_precision", "micro_recall", "empty"):
            assert getattr(got, name)[index] == pytest.approx(getattr(alone, name), nan_ok=True)


def test_exact_and_published_mode_differ_only_without_a_true_positive():
    rng = np.random.default_rng(1)
    z, y = rng.normal(0, 1, (40, 60)), rng.poisson(0.02, (40, 60))
    tp, fn, fp = tolerance_counts(z, y, [0, 2], [0.0, 1.5, 2.4, 9.0])
    exact, published = exact_scores(tp, fn, fp).f1, f1_scores(tp, fn, fp)
    hit = tp > 0
    assert exact[hit] == pytest.approx(published[hit])
    assert published[~hit] == pytest.approx(np.full((~hit).sum(), 0.001))
    empty = tp + fn + fp == 0
    assert np.isnan(exact[empty]).all()
    assert (exact[~hit & ~empty] == 0).all()
    assert 0 < empty.sum() < (~hit).sum()
