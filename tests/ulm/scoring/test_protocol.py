"""Threshold choice and frozen evaluation, against the published lists and direct argmax."""

import numpy as np
import pytest

from kernbench.errors import DataError
from kernbench.ulm.scoring.protocol import (
    THRESHOLDS,
    TOLERANCES,
    Choice,
    ScoreTable,
    choose_thresholds,
    evaluate,
    freeze,
    join,
    score,
    tolerance_index,
)
from kernbench.ulm.scoring.scores import f1_scores, skill, tolerance_ns, tolerance_um, tolerance_wavelengths


def lines(seed, n=12, length=600):
    """Labels and a prediction that knows a little about them."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(0.05, (n, length))
    return (0.3 * np.roll(counts, 1, axis=1) + rng.normal(0, 0.15, counts.shape)).astype(np.float32), counts


def test_lists_are_the_published_ones(reference):
    published = np.load(reference / "srml1d/PrecisionRecall/threshold_list.npy")
    assert len(THRESHOLDS) == 25
    np.testing.assert_allclose(published[10:35], THRESHOLDS, rtol=0, atol=1e-12)
    assert list(TOLERANCES) == np.load(reference / "srml1d/PrecisionRecall/tolerance_list.npy").tolist()


def test_every_published_threshold_is_in_the_list(reference):
    for file in (reference / "srml1d").rglob("thresholds_optimal.npy"):
        distance = np.abs(np.load(file)[:, None] - np.array(THRESHOLDS))
        assert distance.min(axis=1).max() < 1e-12, file


def test_choice_is_the_first_maximum_of_the_mean():
    counts = np.zeros((1, 3, 2), int) + np.array([[5], [8], [8]])
    table = ScoreTable(np.array([4]), np.array([0.1, 0.2, 0.3]), counts, 10 - counts, counts * 0)
    choice = choose_thresholds(table, "validation")
    assert choice.thresholds.tolist() == [0.2]
    assert choice.split == "validation"
    assert choice.mean_f1 == pytest.approx(f1_scores(8, 2, 0))


def test_evaluation_reads_the_frozen_threshold_not_the_best():
    choice = choose_thresholds(score(*lines(0)), "train")
    table = score(*lines(1))
    result = freeze(table, choice)
    for i, threshold in enumerate(choice.thresholds):
        j = THRESHOLDS.index(threshold)
        assert np.array_equal(result.tp[i], table.tp[i, j])
        assert result.mean_f1[i] == pytest.approx(table.f1[i, j].mean())
        assert result.oracle_gap[i] == pytest.approx(table.f1[i].mean(axis=1).max() - table.f1[i, j].mean())
    assert result.threshold_split == "train"
    assert result.at(4) == result.mean_f1[4]


def test_evaluate_is_score_and_freeze_and_takes_thresholds_outside_the_list():
    choice = choose_thresholds(score(*lines(0)), "train")
    z, y = lines(1)
    one, other = evaluate(z, y, choice), freeze(score(z, y), choice)
    for name in ("tp", "fn", "fp", "oracle_gap", "f1"):
        assert np.array_equal(getattr(one, name), getattr(other, name))
    choice = Choice("train", np.array([2]), np.array([0.123]), np.array([0.5]))
    assert np.array_equal(evaluate(z, y, choice).tp, score(z, y, [2], [0.123]).tp[:, 0])


def test_joined_parts_equal_the_whole():
    z, y = lines(2)
    whole, parts = score(z, y), join([score(z[:5], y[:5]), score(z[5:], y[5:])])
    for name in ("tp", "fn", "fp"):
        assert np.array_equal(getattr(whole, name), getattr(parts, name))


def test_freeze_refuses_another_grid():
    table = score(*lines(1), tolerances=[0, 1])
    with pytest.raises(DataError, match="tolerances differ"):
        freeze(table, choose_thresholds(score(*lines(0)), "train"))
    with pytest.raises(DataError, match="lacks a chosen threshold"):
        freeze(table, Choice("train", np.array([0, 1]), np.array([0.123, 0.2]), np.zeros(2)))
    with pytest.raises(DataError, match="tolerance 7 was not evaluated"):
        tolerance_index(table.tolerances, 7)


def test_tolerance_units_are_those_of_the_protocol():
    assert tolerance_ns(np.arange(10)) == pytest.approx(16.0 * np.arange(10))
    assert tolerance_um([0, 1, 4, 9]) == pytest.approx([0, 11.84, 47.36, 106.56])
    assert 100 * tolerance_wavelengths([0, 1, 4, 9]) == pytest.approx([0, 1.36, 5.44, 12.24], abs=5e-3)


def test_skill_of_the_published_model():
    assert skill([0.9439, 0.6158, 0.1875], 0.6158) == pytest.approx([0.854, 0, -1.115], abs=5e-4)
    assert np.isnan(skill(1.0, 1.0))
