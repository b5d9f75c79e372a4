"""Orders of families in several places, against scipy and simulated truth."""

import itertools

import numpy as np
import pytest
import scipy
from crossed import crossed

from kernbench.errors import KernbenchError
from kernbench.statistics.agreement import _drawn_tau, orders
from kernbench.statistics.moderation import seed_prior
from kernbench.statistics.ranks import drawn_means, ranks

SPREAD = np.linspace(0.7, 0.9, 5)
FLAT = [0.8] * 5


def studied(rng, *means, seeds=3):
    """Orders of as many places, of families with these means."""
    cells = crossed(rng, np.concatenate(means), [0.013] * sum(map(len, means)), [seeds] * sum(map(len, means)), 128)
    places = [cells[place * 5 : place * 5 + 5] for place in range(len(means))]
    return orders(places, prior=seed_prior(cells)), places, seed_prior(cells)


def test_tau_is_scipys_and_so_is_that_of_every_draw():
    found, places, prior = studied(np.random.default_rng(0), SPREAD, FLAT, SPREAD[::-1])
    means = [[cell.mean() for cell in cells] for cells in places]
    for each, (one, other) in zip(found.correlations, itertools.combinations(range(3), 2), strict=True):
        assert (each.first, each.second) == (one, other)
        assert each.tau == scipy.stats.kendalltau(means[one], means[other]).statistic
        assert each.low <= each.tau <= each.high
    drawn = drawn_means([cell for cells in places for cell in cells], prior=prior).reshape(3, 5, -1)
    taus = _drawn_tau(drawn[0], drawn[1])
    for draw in range(0, taus.size, 1000):
        assert taus[draw] == pytest.approx(scipy.stats.kendalltau(drawn[0, :, draw], drawn[1, :, draw]).statistic)
    assert found.tau == pytest.approx(np.mean([each.tau for each in found.correlations]))


def test_ranks_of_a_place_are_those_of_ranks_alone_but_for_the_draws():
    found, places, prior = studied(np.random.default_rng(1), SPREAD, FLAT)
    alone = ranks(places[0], prior=prior)
    assert [each.rank for each in found.ranks[0]] == [each.rank for each in alone] == [5, 4, 3, 2, 1]
    assert found.ranks[0][4].first == pytest.approx(alone[4].first, abs=0.03)
    assert sum(each.first for each in found.ranks[1]) == pytest.approx(1)


def test_orders_that_are_the_same_or_reversed_are_found_and_said():
    rng = np.random.default_rng(2)
    same, reversed_ = studied(rng, SPREAD, SPREAD)[0], studied(rng, SPREAD, SPREAD[::-1])[0]
    assert same.correlations[0].verdict == "agree"
    assert same.correlations[0].swapped == ()
    assert same.low > 0.5
    assert reversed_.correlations[0].verdict == "differ"
    assert (4, 0) in reversed_.correlations[0].swapped
    assert (0, 4) not in reversed_.correlations[0].swapped
    assert reversed_.high < -0.5


@pytest.mark.parametrize("second", [FLAT, list(SPREAD)])
def test_nothing_is_claimed_where_a_place_has_no_order(second):
    rng = np.random.default_rng(3)
    verdicts = [studied(rng, FLAT, second)[0].correlations[0].verdict for _ in range(8)]
    assert verdicts.count("undecided") >= 7


@pytest.mark.parametrize("places", [[], [[np.ones((2, 4))] * 2], [[np.ones((2, 4))]] * 2])
def test_fewer_than_two_places_or_families_are_refused(places):
    with pytest.raises(KernbenchError, match="at least two places with the same families, two or more"):
        orders(places)


def test_one_seed_without_a_spread_is_refused():
    with pytest.raises(KernbenchError, match="one seed shows nothing"):
        orders([[np.linspace(0, 1, 4)] * 2] * 2)


def test_families_that_learned_nothing_in_a_place_are_not_decided_there():
    _, places, prior = studied(np.random.default_rng(2), SPREAD, SPREAD[::-1])
    blind = [[False] * 5, [True, True, True, True, False]]
    found = orders(places, prior=prior, blind=blind).correlations[0]
    assert {4} <= {family for pair in found.swapped for family in pair}
    assert all(4 in pair for pair in found.swapped)
    assert orders(places, prior=prior, blind=[[False] * 5, [True] * 5]).correlations[0].swapped == ()
