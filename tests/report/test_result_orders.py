"""Orders of the families in two places, on a page: rank correlation, and which pairs swap with verdicts."""

import pytest
from result_places import place

from kernbench.errors import KernbenchError
from kernbench.report.numbers.comparison import comparisons

# gabor and siren change places, discrete stays below them
QUALITY = {"discrete": (0.68, 0.66), "siren": (0.9, 0.75), "gabor": (0.75, 0.9)}


@pytest.fixture(scope="module")
def found(make_run):
    runs = [
        make_run(family, size, seed, quality=level)
        for family, levels in QUALITY.items()
        for size, level in zip((65, 129), levels, strict=True)
        for seed in range(4)
    ]
    return {each.base: each for each in comparisons(runs)}


def shown(script, found, words):
    return script.filled(place(words), found).partition("-->")[2].removesuffix("<!-- / -->")


def test_pairs_that_swap_are_named_in_the_order_of_the_first_place(script, found):
    assert shown(script, found, "swapped 'K = 65' 'K = 129'") == "`siren` and `gabor`"
    assert shown(script, found, "swapped 'K = 129' 'K = 65'") == "`gabor` and `siren`"


def test_the_correlation_of_the_only_two_places_is_their_mean_one(script, found):
    """Of three pairs two are kept: tau is 1/3."""
    text = shown(script, found, "tau_between 'K = 65' 'K = 129'")
    assert text == shown(script, found, "tau_between 'K = 129' 'K = 65'")
    assert text.startswith("+0.33 [")
    assert shown(script, found, "tau").startswith("+0.33 [")


def test_places_that_are_not_there_are_refused(script, found):
    with pytest.raises(KernbenchError, match="expected one of K = 65; K = 129, got 'K = 33'"):
        shown(script, found, "swapped 'K = 33' 'K = 65'")
    with pytest.raises(KernbenchError, match="expected two places, got 'K = 65' twice"):
        shown(script, found, "tau_between 'K = 65' 'K = 65'")
