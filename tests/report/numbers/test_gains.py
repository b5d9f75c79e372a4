"""Gains of families over the reference family along an axis: values, verdicts, and what is left out."""

import numpy as np
import pytest

from kernbench.report.numbers.comparison import comparisons
from kernbench.report.numbers.gains import changes, gains

# all above a blind guess, 0.605
QUALITY = {"discrete": {65: 0.7, 129: 0.75}, "siren": {65: 0.7, 129: 0.85}, "gabor": {65: 0.65, 129: 0.7}}


@pytest.fixture(scope="module")
def runs(make_run):
    return [
        make_run(family, size, seed, quality=level)
        for family, levels in QUALITY.items()
        for size, level in levels.items()
        for seed in range(4)
    ]


def test_a_gain_is_the_difference_of_the_differences_of_means(runs):
    (comparison,) = comparisons(runs)
    means = {(point.runs[0].family, point.x): float(point.f1().mean()) for point in comparison.scored}
    found = gains(comparison, 65)
    names = [each.point.runs[0].family for each in found]
    assert (names, {each.point.x for each in found}) == (["gabor", "siren"], {129})
    for name, each in zip(names, found, strict=True):
        wanted = means[name, 129] - means["discrete", 129] - means[name, 65] + means["discrete", 65]
        assert each.value == pytest.approx(wanted, abs=1e-12)
        assert each.low < each.value < each.high
    assert found[1].verdict == "better"
    assert found[0].verdict != "better"
    back = gains(comparison, 129)
    assert [each.value for each in back] == pytest.approx([-each.value for each in found], abs=1e-12)
    assert back[1].verdict == "worse"


def test_without_a_gain_few_are_claimed(make_run):
    """Three families that are alike at three sizes: about one study in twenty may claim one of the four gains."""
    rng, wrong = np.random.default_rng(1), 0
    for study in range(20):
        levels = {size: rng.uniform(0.65, 0.8) for size in (33, 65, 129)}
        runs = [
            make_run(family, size, 100 * study + seed, quality=level)
            for family in ("discrete", "siren", "gabor")
            for size, level in levels.items()
            for seed in range(3)
        ]
        (comparison,) = comparisons(runs)
        wrong += any(each.verdict in ("better", "worse") for each in gains(comparison, 33))
    assert wrong <= 3


def test_a_change_is_that_of_one_family_with_all_else_equal(make_run):
    quality = {("discrete", 65): 0.8, ("siren", 65): 0.7, ("discrete", 129): 0.7, ("siren", 129): 0.8}
    runs = [
        make_run(family, params={"kernel_size": size, "side": side, "seed": seed}, quality=level)
        for (family, size), level in quality.items()
        for side in ("causal", "centered", "anticausal")
        for seed in range(3)
    ]
    (comparison,) = comparisons(runs)
    found = changes(comparison, "kernel_size", 65)
    assert len(found) == 6
    for each in found:
        start = (each.point.runs[0].family, each.point.params | {"kernel_size": 65})
        before = next(point for point in comparison.scored if (point.runs[0].family, point.params) == start)
        assert each.value == pytest.approx(each.point.f1().mean() - before.f1().mean(), abs=1e-12)
        assert each.verdict == ("worse" if each.point.runs[0].family == "discrete" else "better")
    assert changes(comparison, "kernel_size", 66) == changes(comparison, "depth", 2) == []


def test_one_seed_gains_nothing_and_an_unknown_value_neither(runs):
    kept = [run for run in runs if run.family != "siren" or run.params["seed"] == 0]
    (comparison,) = comparisons(kept)
    assert [each.point.runs[0].family for each in gains(comparison, 65)] == ["gabor"]
    assert gains(comparison, 66) == []


def test_differences_of_two_blind_networks_are_no_gain_and_no_verdict(make_run):
    quality = {("discrete", 65): 0.7, ("siren", 65): 0.7, ("discrete", 129): 0.3, ("siren", 129): 0.4}
    runs = [make_run(family, size, seed, quality=level) for (family, size), level in quality.items() for seed in (0, 1)]
    (comparison,) = comparisons(runs)
    assert {each.first.x: each.blind for each in comparison.differences} == {65: False, 129: True}
    assert gains(comparison, 65) == []


def at_two_levels(make_run, levels, families=("siren",)):
    """Networks of three seeds, each tested at two levels of noise, with about these F1."""
    runs = [
        make_run(family, params={"kernel_size": 65, "test_noise_percent": noise, "seed": seed}, quality=level)
        for family in families
        for noise, of_seeds in zip((0.0, 8.0), levels, strict=True)
        for seed, level in enumerate(of_seeds)
    ]
    (comparison,) = comparisons(runs)
    return comparison


def test_the_same_networks_tested_elsewhere_are_compared_one_by_one(make_run):
    """The means are alike: only which networks fall differs."""
    alike = at_two_levels(make_run, [(0.86, 0.82, 0.78), (0.78, 0.74, 0.70)])
    mixed = at_two_levels(make_run, [(0.86, 0.82, 0.78), (0.70, 0.74, 0.78)])
    (one,), (other,) = (changes(each, "test_noise_percent", 0.0) for each in (alike, mixed))
    assert one.value == pytest.approx(other.value, abs=0.03)
    assert (one.verdict, other.verdict) == ("worse", "undecided")
    assert one.high - one.low < (other.high - other.low) / 3
    for comparison, found in ((alike, one), (mixed, other)):
        (before, after) = sorted(comparison.scored, key=lambda point: point.params["test_noise_percent"])
        differences = (after.f1() - before.f1()).mean(axis=1)
        assert found.value == pytest.approx(differences.mean(), abs=1e-12)
        error = differences.std(ddof=1) / np.sqrt(3)
        assert (found.high - found.low) / 2 > error  # over lines, too


def test_seeds_that_one_level_lacks_are_left_out_of_the_pairs(make_run):
    comparison = at_two_levels(make_run, [(0.86, 0.82, 0.78), (0.78, 0.74)])
    (found,) = changes(comparison, "test_noise_percent", 0.0)
    (before, after) = sorted(comparison.scored, key=lambda point: point.params["test_noise_percent"])
    assert found.value == pytest.approx((after.f1() - before.f1()[:2]).mean(), abs=1e-12)
    assert changes(at_two_levels(make_run, [(0.9, 0.8), (0.82,)]), "test_noise_percent", 0.0) == []
