"""Grouping of runs into comparisons, their axis, series, best points and paired differences."""

import dataclasses

import numpy as np
import pytest

from kernbench.report.numbers.comparison import comparisons


def direct_f1(run, tolerance=4):
    """F1 per line written out with the guard."""
    scores = run.scores["test"]
    tp, fp, fn = (each[tolerance].astype(float) for each in (scores.tp, scores.fp, scores.fn))
    return np.where(tp == 0, 0.001, 2 * tp / np.maximum(2 * tp + fp + fn, 1))


def test_sweep_over_kernel_size(sweep):
    (found,) = comparisons(sweep)
    assert found.axis == "kernel_size"
    assert [series.name for series in found.series] == ["discrete", "gaussian", "siren"]
    assert [point.x for point in found.series[2].points] == [17, 65, 129, 257]
    assert len(found.not_ok) == 2
    for point in found.scored:
        assert point.interval.mean == pytest.approx(direct_f1(point.runs[0]).mean())


def test_other_axes(make_run):
    runs = [make_run(params={"kernel_size": k, "omega_0": w, "seed": 0}) for w in (30, 10, 20) for k in (131, 527)]
    (found,) = comparisons(runs)
    assert found.axis == "omega_0"
    assert [series.name for series in found.series] == ["siren, kernel_size = 131", "siren, kernel_size = 527"]
    assert [point.x for point in found.series[0].points] == [10, 20, 30]


def test_a_family_without_the_axis_stays_in(make_run):
    runs = [make_run(params={"kernel_size": 65, "omega_0": w, "seed": 0}) for w in (10, 20)]
    (found,) = comparisons([*runs, make_run("discrete")])
    assert found.axis == "omega_0"
    assert found.series[0].points[0].x is None


def test_seeds_form_one_point_and_failures_are_counted(make_run):
    runs = [make_run(seed=0), make_run(seed=1), make_run(seed=2, status="diverged")]
    (point,) = comparisons(runs)[0].points
    assert point.f1().shape == (2, 64)
    assert point.status == "ok 2, diverged 1"
    assert point.interval.mean == pytest.approx(np.mean([direct_f1(run) for run in runs[:2]]))
    assert point.mean("seconds") == pytest.approx(48)


def test_skill_uses_the_better_floor(make_run):
    run = make_run()
    (point,) = comparisons([run])[0].points
    floor = max(run.lines.floors["comb"][4], run.lines.floors["random"][4])
    assert point.skill == pytest.approx((direct_f1(run).mean() - floor) / (1 - floor))


def test_best_point_is_chosen_on_validation(make_run):
    strong, weak = make_run(kernel_size=65, quality=0.9), make_run(kernel_size=129, quality=0.5)
    swapped = [
        dataclasses.replace(strong, scores={**strong.scores, "validation": weak.scores["validation"]}),
        dataclasses.replace(weak, scores={**weak.scores, "validation": strong.scores["validation"]}),
    ]
    (found,) = comparisons(swapped)
    assert found.best_on_validation
    assert found.series[0].best.x == 129


def test_differences_are_paired_with_the_discrete_family(sweep):
    (found,) = comparisons(sweep)
    assert [(each.first.name, each.second.x) for each in found.differences] == [
        (f"siren (kernel_size = {k})", k) for k in (17, 65, 129, 257)
    ]
    for each in found.differences:
        expected = (direct_f1(each.first.runs[0]) - direct_f1(each.second.runs[0])).mean()
        assert each.found.difference == pytest.approx(expected)


def test_other_data_is_never_paired_nor_pooled(make_run):
    runs = [make_run("discrete"), make_run("siren", data_digest="another")]
    (found,) = comparisons(runs)
    assert found.differences == []
    assert [series.name for series in found.series] == ["discrete, data ba9876543210", "siren, data another"]


def test_bases_are_kept_apart(make_run):
    assert [each.base for each in comparisons([make_run(), make_run(base="a.v1.quick")])] == [
        "a.v1.quick",
        "k_sweep.v1.quick",
    ]
