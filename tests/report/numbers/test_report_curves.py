"""Precision-recall curves in the report: numbers by other means, what is drawn, databases without them."""

import dataclasses

import numpy as np
import pytest

from kernbench.plotting.style import as_svg
from kernbench.report.figures.curves import precision_recall_figure, tolerance_curves_figure
from kernbench.report.numbers.comparison import comparisons
from kernbench.report.numbers.curves import curve_scores, frozen_point, point_curve, point_scores, with_curves
from kernbench.study.reference import Reference


@pytest.mark.parametrize("tolerance", [0, 4, 5])
def test_scores_of_a_curve_by_other_means(curves, tolerance):
    curve = curves()
    p, r, f1 = (each[tolerance] for each in (curve.precision, curve.recall, curve.f1))
    grid = (np.arange(100_000) + 0.5) / 100_000
    area = np.where(r >= grid[:, None], p, 0).max(axis=1).mean()
    fine = np.linspace(0, 8, 800_001)  # the last threshold is silent
    between = [np.interp(fine, np.arange(10), each) for each in (p, r)]
    crossing = between[0][np.abs(between[0] - between[1]).argmin()]
    best = max(range(10), key=lambda place: f1[place])
    got = {name: values[tolerance] for name, values in curve_scores(curve).items()}
    assert got.pop("average_precision") == pytest.approx(area, abs=1e-4)
    assert got.pop("break_even") == pytest.approx(crossing, abs=1e-4)
    assert list(got.items()) == [
        ("max_f1", f1[best]),
        ("max_f1_threshold", curve.thresholds[best]),
        ("max_f1_precision", p[best]),
        ("max_f1_recall", r[best]),
    ]


def test_scores_of_a_point_are_means_over_its_seeds(make_run, curves):
    runs = [make_run(seed=seed, curve=curves(seed)) for seed in (0, 1, 2)]
    (point,) = comparisons(runs)[0].points
    each = [curve_scores(curves(seed)) for seed in (0, 1, 2)]
    for name, values in point_scores(point).items():
        assert values == pytest.approx(np.mean([one[name] for one in each], axis=0))
    recall, precision = point_curve(point, 4)
    assert recall == pytest.approx(np.mean([curves(seed).recall[4] for seed in (0, 1, 2)], axis=0)[:-1])
    assert len(precision) == 9


def test_a_point_with_a_seed_from_an_older_database_has_no_curve(make_run, curves):
    (comparison,) = comparisons([make_run(seed=0, curve=curves()), make_run(seed=1)])
    assert with_curves(comparison.points) == []


def test_the_frozen_point_is_the_mean_of_guarded_values(make_run):
    run = make_run(quality=0.3, lines=30)
    (point,) = comparisons([run])[0].points
    scores = run.scores["test"]
    hits, wrong, missed = (each[4].astype(float) for each in (scores.tp, scores.fp, scores.fn))
    precision = np.mean([h / (h + w) if h else 0.001 for h, w in zip(hits, wrong, strict=True)])
    recall = np.mean([h / (h + m) if h else 0.001 for h, m in zip(hits, missed, strict=True)])
    assert frozen_point(point, 4) == pytest.approx((recall, precision))


def published(quantity, *values):
    return Reference("A, Fig. 1", "siren", "test", "mean", "tolerance", tuple(range(6)), values, quantity=quantity)


def drawn(panel, marker):
    return [line.get_xydata()[0].tolist() for line in panel.lines if line.get_marker() == marker]


def test_figures_draw_curves_frozen_and_published_points(make_run, curves):
    rows = (published("max_f1_recall", *np.arange(6) / 10), published("max_f1_precision", *np.arange(6) / 5))
    runs = [make_run("siren", size, curve=curves(size), references=rows) for size in (17, 65)]
    (comparison,) = comparisons([*runs, make_run("discrete", 65, curve=curves(9))])
    figure = precision_recall_figure(comparison)
    panel = figure.axes[1]
    for size in (17, 65):
        curve = np.column_stack([curves(size).recall[4], curves(size).precision[4]])[:-1]
        assert any(np.array_equal(line.get_xydata(), curve) for line in panel.lines)
    assert drawn(panel, "*") == 2 * [[0.4, 0.8]]
    assert drawn(figure.axes[0], "*") == []
    assert len(drawn(panel, "o")) == 2
    figure = tolerance_curves_figure(comparison)
    assert drawn(figure.axes[1], "*") == [[t / 10, t / 5] for t in range(6)]
    assert len(drawn(figure.axes[0], "o")) == 6
    as_svg(figure)


def test_page_and_table_hold_the_curves(page_of, make_run, curves):
    page = page_of([make_run(curve=curves())], drawn=True)
    rows = page.table("curves")
    assert [int(row["tolerance_samples"]) for row in rows] == list(range(10))
    expected = curve_scores(curves())
    assert [float(row["average_precision"]) for row in rows] == pytest.approx(expected["average_precision"])
    assert "Precision-recall curves in numbers" in page.text
    assert f"<td>{expected['break_even'][5]:.3f}</td>" in page.html
    assert page.figures == 6


def test_a_network_that_never_answers_is_drawn(page_of, make_run, curves):
    mute = dataclasses.replace(curves(), **{name: np.full((10, 10), 0.001) for name in ("precision", "recall", "f1")})
    run = make_run(curve=mute)
    for draw in (precision_recall_figure, tolerance_curves_figure):
        as_svg(draw(comparisons([run])[0]))
    page = page_of([run])
    assert [row["break_even"] for row in page.table("curves")] == 10 * [""]
    assert "<td>–</td>" in page.html


def test_without_curves_the_page_says_nothing_of_them(page_of, make_run):
    page = page_of([make_run()])
    assert "Precision-recall curves in numbers" not in page.text
    assert page.table("curves") == []
