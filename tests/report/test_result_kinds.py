"""Kinds of places that cards, matrices and checks fill: what they count, name and refuse."""

import dataclasses
import re

import pytest
from result_places import place
from scipy.stats import ttest_ind

from kernbench.errors import KernbenchError
from kernbench.report.numbers.comparison import comparisons
from kernbench.statistics import compare
from kernbench.statistics.contrast import contrast
from kernbench.statistics.multiplicity import holm


def at_two_sizes(make_run, levels):
    """Studies of four seeds at K = 65 and 129, family -> F1 at both."""
    runs = [
        make_run(family, size, seed, level)
        for family, both in levels.items()
        for size, level in zip((65, 129), both, strict=True)
        for seed in range(4)
    ]
    return {each.base: each for each in comparisons(runs)}


def test_the_card_of_a_blind_network_has_no_rank_and_counts_its_plateaus(script, make_run):
    levels = {"discrete": 0.8, "siren": 0.1}
    runs = [make_run(family, 65, seed, level) for family, level in levels.items() for seed in range(3)]
    runs += [make_run("siren", 65, 3, status="diverged")]
    runs = [dataclasses.replace(run, plateau=run.family == "siren") for run in runs]
    found = {each.base: each for each in comparisons(runs)}
    assert script.filled(place("parameters siren 65"), found) == place("parameters siren 65", "4,321")
    assert script.filled(place("plateaus"), found) == place("plateaus", "3 of 6")
    assert script.filled(place("plateaus_of"), found) == place("plateaus_of", "3 of `siren` at K = 65")
    card = script.filled(place("card siren"), found)
    assert "| 3, 3 on the plateau, 1 failed |" in card
    assert "below blind" in card
    assert card.count("| – |") == 1
    assert "| 1 [1, 1] of 2 |" in script.filled(place("card discrete"), found)


def test_families_are_counted_and_named_by_their_verdict(script, make_run):
    levels = {"discrete": 0.75, "siren": 0.85, "gabor": 0.752, "gaussian": 0.7, "log": 0.65}
    runs = [make_run(family, 65, seed, level) for family, level in levels.items() for seed in range(4)]
    runs += [make_run("njet", 65, 0, 0.9)]  # one seed: no verdict, and not counted
    found = {each.base: each for each in comparisons(runs)}
    (comparison,) = found.values()
    outcomes = {each.first.runs[0].family: each.outcome for each in comparison.differences}
    assert (outcomes["siren"], outcomes["gaussian"], outcomes["log"]) == ("better", "worse", "worse")
    assert script.filled(place("verdicts worse 65"), found) == place("verdicts worse 65", "2 of 4")
    assert script.filled(place("families worse 65"), found) == place("families worse 65", "`log`, `gaussian`")
    assert script.filled(place("none blind 65"), found) == place("none blind 65", "none of 4")
    lines = [line.split("|")[1].strip() for line in script.filled(place("scores 65"), found).splitlines()[4:-2]]
    means = {each.runs[0].family: each.interval.mean for each in comparison.scored}
    assert lines == sorted(means, key=lambda name: -means[name])
    assert "better |" in script.filled(place("difference_matrix 65"), found)


def test_changes_are_counted_by_their_verdict(script, make_run):
    levels = {"discrete": (0.75, 0.85), "siren": (0.85, 0.7)}
    found = at_two_sizes(make_run, levels)
    for word in ("better", "worse"):
        words = f"moved {word} kernel_size 65 129"
        assert script.filled(place(words), found) == place(words, "1 of 2")
    table = script.filled(place("change_matrix kernel_size 65"), found)
    assert re.search(r"\| siren \| – \| -0\.1\d\d falls \|", table)
    assert re.search(r"\| discrete \| – \| \+0\.0\d\d rises \|", table)


def test_later_seeds_alone_are_compared_as_if_there_were_no_others(script, make_run):
    runs = [
        make_run(family, 65, seed, 0.7 + 0.1 * (family == "siren"))
        for family in ("discrete", "siren")
        for seed in range(6)
    ]
    found = {each.base: each for each in comparisons(runs)}
    (comparison,) = found.values()
    (difference,) = comparison.differences
    rows = [point.f1()[3:] for point in (difference.first, difference.second)]
    alone = compare(*rows, prior=comparison.spread.prior)
    text = f"{alone.difference:+.3f} [{alone.low:+.3f}, {alone.high:+.3f}]"
    assert script.filled(place("later_seeds siren 65 3"), found) == place("later_seeds siren 65 3", text)
    with pytest.raises(KernbenchError, match="fewer than two seeds from 5 on"):
        script.filled(place("later_seeds siren 65 5"), found)


def test_decided_differences_are_looked_at_in_one_to_one_f1(script, make_run):
    """Of two worse families, one has as good a one-to-one F1 as free taps, and is named."""
    levels = {"discrete": (0.85, 0.6), "siren": (0.75, 0.5), "gabor": (0.75, 0.6)}
    runs = [
        dataclasses.replace(run, values=run.values | {"f1_matched": level[1] + 0.01 * seed})
        for family, level in levels.items()
        for seed in range(4)
        for run in [make_run(family, 65, seed, level[0])]
    ]
    found = {each.base: each for each in comparisons(runs)}
    assert script.filled(place("matched"), found) == place("matched", "1 of 2 (all but `gabor` at 65)")
    with pytest.raises(KernbenchError, match="no difference is decided"):
        script.filled(place("matched"), {each.base: each for each in comparisons(runs[:4])})


def test_any_two_points_and_seeds_of_one_are_compared(script, make_run):
    levels = {"discrete": (0.8, 0.7), "siren": (0.75, 0.72)}
    found = at_two_sizes(make_run, levels)
    (comparison,) = found.values()
    points = {(each.runs[0].family, each.x): each.f1() for each in comparison.scored}
    alone = compare(points["siren", 129], points["discrete", 65], prior=comparison.spread.prior)
    text = f"{alone.difference:+.3f} [{alone.low:+.3f}, {alone.high:+.3f}]"
    words = "between siren 129 discrete 65"
    assert script.filled(place(words), found) == place(words, text)
    words = "between siren kernel_size=129,kernel_size=129 discrete 65"
    with pytest.raises(KernbenchError, match="two values of one axis"):
        script.filled(place(words), found)
    means = sorted(points["siren", 65].mean(axis=1))
    gaps = [b - a for place, a in enumerate(means) for b in means[place + 1 :]]
    text = f"{sum(gaps) / 6:.3f} on average, {means[-1] - means[0]:.3f} at most"
    assert script.filled(place("seed_gaps siren 65"), found) == place("seed_gaps siren 65", text)
    text = ", ".join(f"{mean:.3f}" for mean in means)
    assert script.filled(place("trainings siren 65"), found) == place("trainings siren 65", text)


def test_columns_are_compared_over_seeds(script, make_run):
    """One-to-one F1 of siren rises, that of gabor falls, and both differ from free taps, whose F1 is the same."""
    levels = {"discrete": (0.6, 0.6), "siren": (0.5, 0.7), "gabor": (0.7, 0.5)}
    runs = [
        dataclasses.replace(run, values=run.values | {"f1_matched": matched + 0.003 * seed})
        for family, both in levels.items()
        for size, matched in zip((65, 129), both, strict=True)
        for seed in range(4)
        for run in [make_run(family, size, seed, 0.8)]
    ]
    found = {each.base: each for each in comparisons(runs)}
    shown = script.filled(place("matched_versus siren 129"), found)
    assert re.search(r">\+0\.100, p = \d", shown)
    for word, names in (("better", "`siren`"), ("worse", "`gabor`")):
        words = f"matched_families {word} 129"
        assert script.filled(place(words), found) == place(words, names)
    with pytest.raises(KernbenchError, match="expected better or worse, got 'up'"):
        script.filled(place("matched_families up 129"), found)


def test_counts_of_verdicts_may_be_of_families_with_so_many_seeds(script, make_run):
    seeds = {"discrete": 4, "siren": 4, "gabor": 2, "log": 2}
    levels = {"discrete": 0.7, "siren": 0.85, "gabor": 0.85, "log": 0.7}
    runs = [make_run(name, 65, seed, levels[name]) for name, count in seeds.items() for seed in range(count)]
    found = {each.base: each for each in comparisons(runs)}
    for words, text in (("65", "2 of 3"), ("65 4", "1 of 1"), ("65 2", "1 of 2")):
        assert script.filled(place(f"verdicts better {words}"), found) == place(f"verdicts better {words}", text)


def test_a_family_may_gain_more_than_another(script, make_run):
    found = at_two_sizes(make_run, {"discrete": (0.7, 0.7), "siren": (0.7, 0.8), "gabor": (0.7, 0.85)})
    (comparison,) = found.values()
    cells = {(each.runs[0].family, each.x): each.f1() for each in comparison.scored}
    four = [cells[key] for key in (("gabor", 129), ("gabor", 65), ("siren", 129), ("siren", 65))]
    expected = contrast(four, (1, -1, -1, 1), comparison.spread.prior)
    text = "{:+.3f} [{:+.3f}, {:+.3f}]".format(expected.value, *expected.interval(0.95))
    assert expected.value > 0.02
    assert script.filled(place("outgains gabor siren 65 129"), found) == place("outgains gabor siren 65 129", text)


def test_a_family_of_few_sizes_is_no_curve_where_others_have_more(script, make_run):
    runs = [make_run("discrete", size, 0, 0.8) for size in (33, 65, 129)]
    runs += [make_run("siren", size, 0, 0.8) for size in (65, 129)]
    for cells, names in ((runs, ["discrete"]), (runs[1:], ["discrete", "siren"])):
        (legend,) = script.draw.__globals__["FIGURES"]["sweep"].make(comparisons(cells)[0]).legends
        assert [text.get_text() for text in legend.get_texts()] == names


def test_points_of_two_axes_are_compared(script, make_run):
    runs = [
        make_run("siren", seed=seed, quality=level, params={"kernel_size": size, "omega_0": omega, "seed": seed})
        for (size, omega), level in {(65, 7.5): 0.8, (65, 30.0): 0.8, (129, 7.5): 0.7, (129, 30.0): 0.75}.items()
        for seed in range(3)
    ]
    found = {each.base: each for each in comparisons(runs)}
    (comparison,) = found.values()
    points = {(each.params["kernel_size"], each.params["omega_0"]): each.f1() for each in comparison.scored}
    alone = compare(points[129, 30.0], points[65, 7.5], prior=comparison.spread.prior)
    text = f"{alone.difference:+.3f} [{alone.low:+.3f}, {alone.high:+.3f}]"
    words = "between siren kernel_size=129,omega_0=30.0 siren kernel_size=65,omega_0=7.5"
    assert script.filled(place(words), found) == place(words, text)


def test_the_published_f1_is_tested_over_seeds_alone_as_the_other_one_is(script, make_run):
    found = at_two_sizes(make_run, {"discrete": (0.7, 0.7), "siren": (0.8, 0.72)})
    (comparison,) = found.values()
    means = {(each.runs[0].family, each.x): each.f1().mean(axis=1) for each in comparison.scored}
    p_values = [float(ttest_ind(means["siren", x], means["discrete", x], equal_var=False).pvalue) for x in (65, 129)]
    for size, p in zip((65, 129), holm(p_values), strict=True):
        difference = means["siren", size].mean() - means["discrete", size].mean()
        words = f"seeds_alone siren {size}"
        assert script.filled(place(words), found) == place(words, f"{difference:+.3f}, p = {p:.2g}")
    words = "welch siren 129 discrete 129"
    assert script.filled(place(words), found) == place(words, f"p = {p_values[1]:.2g}")


def test_trainings_of_two_points_lie_apart_or_the_page_is_refused(script, make_run):
    found = at_two_sizes(make_run, {"discrete": (0.7, 0.75), "siren": (0.85, 0.75)})
    words = "apart discrete 65 siren 65"
    assert script.filled(place(words), found) == place(words, "all 4 below all 4")
    for words in ("apart siren 65 discrete 65", "apart siren 129 discrete 129"):
        with pytest.raises(KernbenchError, match="not each training of siren"):
            script.filled(place(words), found)
