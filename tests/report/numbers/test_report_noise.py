"""F1 against the noise level: drawn where it is the axis, with published rows, tabled where there are none."""

import numpy as np
import pytest
from html_page import f1_of

from kernbench.report.figures.noise import noise_figure
from kernbench.report.figures.sweeps import tolerance_figure
from kernbench.report.numbers.comparison import comparisons
from kernbench.report.numbers.noise import noise_table, varies_noise
from kernbench.study.reference import Reference


def mean(run, tolerance):
    return f1_of(run, tolerance).mean()


def noisy(make_run, axis="noise_percent", **fields):
    params = [{"kernel_size": 3, axis: level, "seed": 0} for level in (0.0, 8.0, 32.0)]
    return [make_run("siren", params=each, quality=0.8 - 0.1 * i, **fields) for i, each in enumerate(params)]


def row(level):
    values = tuple(np.linspace(0.3, 0.9, 10) - level / 100)
    where = {"noise_percent": level}
    return Reference("A, Fig. 3", "siren", "test", "mean", "tolerance", tuple(range(10)), values, where=where)


def test_levels_stand_side_by_side_with_published_means_beside(make_run):
    runs = noisy(make_run, references=(row(0.0), row(32.0)))
    (comparison,) = comparisons(runs)
    panel = noise_figure(comparison).axes[0]
    drawn = [line.get_xydata() for line in panel.lines]
    for tolerance in (0, 2, 4, 9):
        expected = [[place, mean(run, tolerance)] for place, run in enumerate(runs)]
        assert any(np.allclose(data, expected) for data in drawn)
        published = [[0, row(0.0).values[tolerance]], [1, np.nan], [2, row(32.0).values[tolerance]]]
        assert any(np.allclose(data, published, equal_nan=True) for data in drawn)
    assert [label.get_text() for label in panel.get_xticklabels()] == ["0", "8", "32"]
    assert noise_table(comparison) == []


def test_noise_of_the_test_lines_alone_has_a_table(make_run, page_of):
    runs = noisy(make_run, "test_noise_percent")
    (comparison,) = comparisons(runs)
    assert not varies_noise(comparisons([make_run(), make_run(kernel_size=17)])[0])
    table = noise_table(comparison)
    assert [each["level"] for each in table] == ["0.0", "8.0", "32.0"]
    assert [float(each["9"]) for each in table] == pytest.approx([mean(run, 9) for run in runs], abs=5.1e-4)
    page = page_of(runs, drawn=True)
    assert "Noise level and tolerance" in page.text
    assert page.figures == 5


def test_published_rows_are_drawn_in_the_colour_of_their_point(make_run):
    runs = noisy(make_run, references=(row(0.0), row(32.0)))
    (comparison,) = comparisons(runs)
    panel = tolerance_figure(comparison).axes[0]
    colours = {}
    for line in panel.lines:
        y = np.asarray(line.get_ydata(), float)
        for name, values in (("measured", [mean(runs[2], t) for t in range(10)]), ("published", row(32.0).values)):
            if len(y) == 10 and np.allclose(y, values):
                colours[name] = line.get_color()
    assert colours["measured"] == colours["published"]


def test_a_published_row_beside_several_points_is_drawn_once(make_run):
    everywhere = Reference("A", "siren", "test", "mean", "tolerance", (0, 9), (0.25, 0.75))
    (comparison,) = comparisons([make_run(kernel_size=size, references=(everywhere,)) for size in (17, 65)])
    panel = tolerance_figure(comparison).axes[0]
    assert sum(line.get_xydata().tolist() == [[0, 0.25], [9, 0.75]] for line in panel.lines) == 1
