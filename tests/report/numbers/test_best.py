"""What is surely best in a column: only what is better than every other score there."""

import dataclasses

import numpy as np
import pytest

from kernbench.report.numbers.best import surely_best
from kernbench.report.numbers.comparison import comparisons
from kernbench.report.numbers.matrix import matrix
from kernbench.statistics import compare
from kernbench.statistics.multiplicity import holm

FAMILIES = ("discrete", "siren", "gaussian")


def bold(runs):
    """(family, value of the axis) of what is surely best."""
    comparison = comparisons(runs)[0]
    best = surely_best(comparison, matrix(comparison))
    return {(point.runs[0].family, point.x) for point in comparison.points if best.is_best(point)}


@pytest.fixture
def table(make_run):
    """Runs of families at sizes 65 and 129, three seeds; quality of each family at each size."""

    def make(qualities, seeds=range(3), **fields):
        return [
            make_run(family, size, seed, quality, **fields)
            for family, values in qualities.items()
            for size, quality in zip((65, 129), values, strict=True)
            for seed in seeds
        ]

    return make


CLEAR = {"discrete": (0.9, 0.6), "siren": (0.7, 0.3), "gaussian": (0.5, 0.6)}


def test_the_best_of_a_column_is_better_than_every_other_score_there(table):
    assert bold(table(CLEAR)) == {("discrete", 65)}  # at 129 two are as good as each other


@pytest.mark.parametrize("seed", range(12))
def test_bold_is_what_holm_over_all_columns_leaves(table, seed):
    rng = np.random.default_rng(seed)
    runs = table({family: rng.uniform(0.85, 0.92, 2) for family in FAMILIES})
    comparison = comparisons(runs)[0]
    scores = {(p.runs[0].family, p.x): p.f1() for p in comparison.points}
    pairs = {}
    for size in (65, 129):
        first = max(FAMILIES, key=lambda family, size=size: scores[family, size].mean())
        for other in set(FAMILIES) - {first}:
            prior = comparison.spread.prior
            pairs[first, other, size] = compare(scores[first, size], scores[other, size], prior=prior)
    adjusted = dict(zip(pairs, holm([each.p_value for each in pairs.values()]), strict=True))
    same = dict(zip(pairs, holm([each.p_equivalence for each in pairs.values()]), strict=True))
    expected = {
        (first, size)
        for first, _, size in pairs
        if all(adjusted[key] < 0.05 <= same[key] for key in pairs if (key[0], key[2]) == (first, size))
    }
    assert bold(runs) == expected


def test_what_is_not_surely_better_than_a_blind_guess_is_not_bold(table):
    low = {family: tuple(0.5 * quality for quality in qualities) for family, qualities in CLEAR.items()}
    runs = table(low)
    comparison = comparisons(runs)[0]
    assert {point.place for point in comparison.scored} == {"below"}
    assert bold(runs) == set()


def test_one_seed_makes_nothing_bold(table, make_run):
    assert bold(table(CLEAR, seeds=[0])) == set()
    some = [run for run in table(CLEAR) if run.family != "gaussian" or run.params["seed"] == 0]
    assert bold(some) == set()  # better than one of two, and the other has one seed


def test_a_score_alone_in_its_column_or_on_other_lines_makes_nothing_bold(table):
    runs = table(CLEAR)
    assert bold([run for run in runs if run.family == "discrete"]) == set()
    other = [dataclasses.replace(run, data_digest="other") if run.family == "siren" else run for run in runs]
    assert bold(other) == set()


def test_what_has_no_score_takes_no_part(table, make_run):
    failed = [make_run("log", 65, seed, status="diverged") for seed in range(3)]
    assert bold(table(CLEAR) + failed) == {("discrete", 65)}
