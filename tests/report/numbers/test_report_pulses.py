"""A study over pulses: series named by the pulse, verdicts on the same lines only, and the K that each echo needs."""

import csv
import dataclasses

import pytest

from kernbench.report.figures.places import panels_of, places_figure
from kernbench.report.figures.pulses import pulses_figure
from kernbench.report.figures.sweeps import sweep_figure
from kernbench.report.numbers.comparison import comparisons
from kernbench.report.numbers.orders import family_orders, rank_rows
from kernbench.report.numbers.pulses import pulse_table, pulses_of
from kernbench.report.numbers.sentences import cautions
from kernbench.ulm.simulator.reach import echo_of, kernel_size_needed

# 99 % of the energy of the echo has arrived, samples after the label (computed from the published code)
REACH = {"TRI": 169, "REF": 160, "S2.5": 203, "L2.5": 304, "SDC": 407, "LDC": 924, "DPT": 1165, "ExpREF": 149}
WAVES = "tolerance_wavelengths_two_way"
NEEDED = {"REF": 81, "SDC": 205, "LDC": 463, "DPT": 585}  # of four layers


@pytest.fixture
def runs(make_run):
    """Two families under two pulses, each pulse with lines of its own."""
    found = []
    for family in ("discrete", "siren"):
        for pulse in ("REF", "SDC"):
            for size in (65, 129):
                params = {"kernel_size": size, "pulse": pulse, "seed": 0}
                run = make_run(family, params=params, quality=0.6, base="pulses.v1.quick")
                definition = run.definition | {"network": {"name": "shallow", "depth": 4}}
                found.append(dataclasses.replace(run, data_digest=pulse[0].lower() * 12, definition=definition))
    return found


@pytest.mark.parametrize("pulse", REACH)
def test_echo_reaches_as_far_as_published_pulses_make_it(pulse):
    assert abs(echo_of(pulse).ninety_nine_percent - REACH[pulse]) <= 1


def test_four_layers_see_twice_k_minus_one_samples():
    for pulse, size in NEEDED.items():
        assert kernel_size_needed(pulse, 4) == size
        assert 2 * (size - 1) >= echo_of(pulse).ninety_nine_percent > 2 * (size - 3)


def test_table_has_what_the_network_must_see_and_which_k_see_it(runs):
    (comparison,) = comparisons(runs)
    assert pulses_of(comparison) == ["REF", "SDC"]
    ref, sdc = pulse_table(comparison)
    assert (ref["last"], ref["needed"], ref["seen"]) == ("160", "81", "129")
    assert (sdc["last"], sdc["needed"], sdc["seen"], sdc["micros"]) == ("407", "205", "none", "10.1")
    dilated = [dataclasses.replace(run, definition=run.definition | {"network": {"name": "dilated"}}) for run in runs]
    assert {(row["needed"], row["seen"]) for row in pulse_table(comparisons(dilated)[0])} == {("", "")}


def test_lines_of_a_pulse_are_named_by_it_alone(runs):
    (comparison,) = comparisons(runs)
    names = [series.name for series in comparison.series]
    assert len(names) == 4
    assert not any("data" in name for name in names)
    (said,) = (each for each in cautions(comparison) if "lines of its own" in each)
    assert "on the same lines only" in said
    other = dataclasses.replace(runs[0], data_digest="f" * 12)
    (mixed,) = comparisons([other, *runs[1:]])
    assert any("data" in series.name for series in mixed.series)
    assert any("different data sets" in said for said in cautions(mixed))


def test_only_families_under_one_pulse_get_verdicts(runs):
    (comparison,) = comparisons(runs)
    pairs = [(one, other) for one in comparison.scored for other in comparison.scored]
    for one, other in pairs:
        same = one.params["pulse"] == other.params["pulse"]
        assert comparison.comparable(one, other) <= same


def test_families_are_compared_and_ranked_under_one_pulse_and_at_one_kernel_size(make_run):
    gain = {("discrete", 65): 0.6, ("siren", 65): 0.7, ("discrete", 129): 0.8, ("siren", 129): 0.9}
    found = []
    for (family, size), quality in gain.items():
        for pulse in ("REF", "S2.5", "SDC"):
            for seed in range(3):
                params = {"kernel_size": size, "pulse": pulse, "seed": seed}
                run = make_run(family, params=params, quality=quality, base="pulses.v1.quick")
                found.append(dataclasses.replace(run, data_digest=pulse[0].lower() * 8 + f"{len(pulse):04}"))
    (comparison,) = comparisons(found)
    assert comparison.axis == "pulse"
    assert len(comparison.differences) == 6
    for each in comparison.differences:
        assert each.first.params == each.second.params
        assert (each.first.runs[0].family, each.second.runs[0].family) == ("siren", "discrete")
        assert (each.verdict, each.found.difference > 0) == ("better", True)
    orders = family_orders(comparison)
    assert orders.families == ("discrete", "siren")
    assert orders.places[:2] == ("REF, K = 65", "REF, K = 129")
    assert {(row.family, row.rank) for row in rank_rows(orders)} == {("siren", 1), ("discrete", 2)}
    # a pulse that one family lacks, in whatever order, leaves the others comparable
    some = [run for run in found if not (run.family == "siren" and run.params["pulse"] == "REF")]
    assert len(comparisons(some)[0].differences) == 4


def test_page_shows_pulses_and_the_reach_needed(runs, page_of, tmp_path):
    text = page_of(runs).text
    assert "Driving pulses and what has to be seen" in text
    assert "sine, 1 cycle of 2.5 MHz" in text
    with (tmp_path / "tolerances.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["tolerance_samples"] == "4"]
    waves = {pulse: {float(row[WAVES]) for row in rows if pulse in row["point"]} for pulse in ("REF", "SDC")}
    assert {pulse: round(each, 6) for pulse, (each,) in waves.items()} == {"REF": 0.08, "SDC": 0.0832}
    usual = [dataclasses.replace(run, params=run.params | {"pulse": "default"}) for run in runs]
    assert "Driving pulses" not in page_of(usual).text


def test_figure_has_a_row_for_each_pulse(runs):
    (comparison,) = comparisons(runs)
    axes = pulses_figure(comparison).axes
    assert len(axes) == 4
    assert "REF: echo, 99 % within 160 samples" in axes[1].get_title("left")
    assert len(axes[2].lines[0].get_xdata()) == 2527


def test_a_panel_for_each_kernel_size_has_every_pulse_and_no_line_between_words(make_run, sweep):
    points = [{"kernel_size": size, "pulse": pulse} for size in (65, 129) for pulse in ("REF", "S2.5", "SDC")]
    (comparison,) = comparisons(
        make_run(family, params=each | {"seed": 0}) for family in ("discrete", "siren") for each in points
    )
    assert list(panels_of(comparison)) == ["K = 65", "K = 129"]
    figure = places_figure(comparison)
    assert len(figure.axes) == 2
    assert [label.get_text() for label in figure.axes[1].get_xticklabels()] == ["REF", "S2.5", "SDC"]
    for panel, size in zip(figure.axes, (65, 129), strict=True):
        means = [point.interval.mean for point in comparison.scored if point.params["kernel_size"] == size]
        marked = [line for line in panel.lines if line.get_marker() in ("o", "s")]
        assert sorted(y for line in marked for y in line.get_ydata()) == pytest.approx(sorted(means))
        assert {line.get_linestyle() for line in marked} == {"None"}
    assert panels_of(comparisons(sweep)[0]) == {}
    series = [line for line in sweep_figure(comparison).axes[0].lines if len(line.get_xdata()) == 3]
    assert {line.get_linestyle() for line in series if line.get_marker() in ("o", "s")} == {"None"}
