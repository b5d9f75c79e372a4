"""The figure of differences shows what the table of differences says: places, intervals and verdicts."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from kernbench.report.figures.differences import LOOKS, compared, differences_figure
from kernbench.report.numbers.comparison import comparisons

QUALITY = {"discrete": 0.75, "siren": 0.85, "gabor": 0.752, "gaussian": 0.68}


@pytest.fixture(scope="module")
def runs(make_run):
    return [
        make_run(family, size, seed, level)
        for family, level in QUALITY.items()
        for size in (65, 129)
        for seed in range(4)
    ]


@pytest.fixture(scope="module")
def comparison(runs):
    return comparisons(runs)[0]


def marks(panel):
    """Height of a row -> its value, ends and colour."""
    found = {}
    for bar in panel.containers:
        line, _, (segments,) = bar.lines
        (ends,) = segments.get_segments()
        found[round(line.get_ydata()[0])] = (line.get_xdata()[0], *ends[:, 0], to_hex(line.get_color()).upper())
    return found


def test_every_row_has_the_difference_its_interval_and_the_colour_of_its_verdict(comparison):
    figure = differences_figure(comparison)
    rows = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert [panel.get_title(loc="left") for panel in figure.axes] == ["a  K = 65", "b  K = 129"]
    assert rows == ["siren", "gabor", "gaussian"]  # the highest on top
    assert figure.axes[0].yaxis_inverted()
    for panel, size in zip(figure.axes, (65, 129), strict=True):
        drawn = marks(panel)
        for each in (each for each in comparison.differences if each.first.x == size):
            *numbers, colour = drawn[rows.index(each.first.runs[0].family)]
            np.testing.assert_allclose(numbers, [each.found.difference, each.found.low, each.found.high], atol=1e-12)
            assert colour == LOOKS[each.outcome][0].upper()
    assert {each.outcome for each in comparison.differences} >= {"better", "worse"}
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"better", "worse"} <= set(labels)


def test_a_value_at_which_all_are_blind_has_no_panel(runs, make_run):
    blind = [make_run(family, 17, seed, 0.3) for family in QUALITY for seed in range(4)]
    assert list(compared(comparisons([*runs, *blind])[0])) == [65, 129]


def test_a_difference_beyond_the_panel_is_a_number_at_its_edge(make_run):
    levels = {"discrete": 0.9, "siren": 0.85, "gabor": 0.4}
    runs = [make_run(family, 65, seed, level) for family, level in levels.items() for seed in range(4)]
    comparison = comparisons(runs)[0]
    (difference,) = (each for each in comparison.differences if each.first.runs[0].family == "gabor")
    (panel,) = differences_figure(comparison).axes
    assert [text.get_text() for text in panel.texts] == [f"{difference.found.difference:+.2f}"]
    assert len(panel.containers) == 1  # the other one
    assert -0.25 < panel.get_xlim()[0] < -0.2


def test_one_seed_is_not_drawn(runs):
    kept = [run for run in runs if run.family != "siren" or run.params["seed"] == 0]
    assert {name for row in compared(comparisons(kept)[0]).values() for name in row} == {"gabor", "gaussian"}


def test_values_at_which_few_are_compared_have_no_panel(runs, make_run):
    more = [make_run(family, 257, seed, 0.8) for family in ("discrete", "siren") for seed in range(4)]  # no two
    assert list(compared(comparisons([*runs, *more])[0])) == [65, 129]
    alone = [run for run in runs if run.family in ("discrete", "siren")]
    assert compared(comparisons(alone)[0]) == {}


def test_blind_networks_are_crosses_without_a_verdict(make_run):
    levels = {"discrete": 0.3, "siren": 0.45, "gabor": 0.9}
    runs = [make_run(family, 65, seed, level) for family, level in levels.items() for seed in range(4)]
    (found,) = compared(comparisons(runs)[0]).values()
    assert {name: each.outcome for name, each in found.items()} == {"siren": "blind", "gabor": "better"}
    figure = differences_figure(comparisons(runs)[0])
    assert marks(figure.axes[0])[1][3] == LOOKS["blind"][0].upper()
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["better", "neither is surely above a blind guess"]


@pytest.mark.parametrize(
    ("axis", "values", "names"),
    [
        ("test_noise_percent", (-1.0, 0.0, 8.5), ["test noise as trained", "0 % noise", "8.5 % noise"]),
        ("test_rate", (31.25, 125.0), ["31.25 MHz", "125 MHz"]),
        ("boundary", ("mirror", "zero"), ["boundary = mirror", "boundary = zero"]),
    ],
)
def test_panels_along_test_lines_are_named_by_their_unit(make_run, axis, values, names):
    runs = [
        make_run(family, seed=seed, quality=quality, params={"kernel_size": 65, axis: value, "seed": seed})
        for family, quality in QUALITY.items()
        for value in values
        for seed in range(3)
    ]
    (comparison,) = comparisons(runs)
    assert comparison.axis == axis
    figure = differences_figure(comparison)
    assert [panel.get_title(loc="left")[3:] for panel in figure.axes] == names
