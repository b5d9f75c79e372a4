"""Whether families come in the same order in several places, such as networks, and how sure that is."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # not its parts: they are loaded at the first comparison
from numpy.typing import ArrayLike, NDArray

from kernbench.errors import KernbenchError
from kernbench.statistics.comparison import LEVEL, adjusted, compare
from kernbench.statistics.contrast import Prior, checked_scores
from kernbench.statistics.ranks import SEED, Rank, drawn_means, ranks_of

AGREE, OPPOSE, DIFFER, OPEN = "agree", "oppose", "differ", "undecided"

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Correlation:
    """Rank correlation of the families between two places.

    Attributes:
        first: index of a place.
        second: index of another.
        tau: Kendall's, of the mean scores; NaN where all families of a place score alike.
        low: lower end of its interval over draws of seeds and lines, widened to hold `tau`.
        high: upper end.
        swapped: pairs of families (better in the first place and worse in the second, ...) of which both are decided.
        verdict: "differ" where a pair is swapped, else "agree" or "oppose" where the interval lies on one side of 0,
            else "undecided".
    """

    first: int
    second: int
    tau: float
    low: float
    high: float
    swapped: tuple[tuple[int, int], ...]
    verdict: str


@dataclass(frozen=True)
class Orders:
    """Orders of the same families in several places.

    Attributes:
        ranks: of each place, one rank a family.
        correlations: of each pair of places.
        tau: mean over these pairs.
        low: lower end of its interval.
        high: upper end.
    """

    ranks: tuple[tuple[Rank, ...], ...]
    correlations: tuple[Correlation, ...]
    tau: float
    low: float
    high: float


def orders(
    places: Sequence[Sequence[ArrayLike]],
    *,
    level: float = LEVEL,
    prior: Prior | None = None,
    seed: int = SEED,
    blind: Sequence[Sequence[bool]] = (),
) -> Orders:
    """Ranks of families in each place, and the rank correlation between any two of them.

    The draws are those of `ranks`, with the same lines for all places. Noise makes orders look less alike than they
    are, in the draws once more than in the scores; so no interval of tau proves that two orders differ. That is said
    only of a pair of families that is decided both ways: better in one place and worse in the other, each corrected by
    Holm over all pairs of families in all places.

    Args:
        places: of each place the scores (S, L) of each family, all in one order of families, on the same lines.
        level: coverage of the intervals.
        prior: variance between seeds measured elsewhere; needed where a family has one seed.
        seed: of the draws.
        blind: of each place, which families learned nothing there; nothing is decided between two such families.

    Returns:
        The orders.

    Raises:
        KernbenchError: fewer than two places or families, places with different numbers of families, and as
            `contrast`.

    Source: Kendall (1938), Biometrika 30:81.
    """
    families = {len(cells) for cells in places}
    if len(places) < 2 or len(families) != 1 or min(families) < 2:
        raise KernbenchError(
            "orders need at least two places with the same families, two or more; got "
            f"{len(places)} places with {', '.join(map(str, sorted(families))) or 'no'} families"
        )
    means = np.array([[checked_scores(cell).mean() for cell in cells] for cells in places])
    drawn = drawn_means([cell for cells in places for cell in cells], prior=prior, seed=seed)
    drawn = drawn.reshape(*means.shape, -1)  # (places, families, draws)
    decided = _decided(places, blind, level, prior)
    taus = {pair: _drawn_tau(drawn[pair[0]], drawn[pair[1]]) for pair in itertools.combinations(range(len(places)), 2)}
    found = tuple(_correlation(*pair, means, values, decided, level) for pair, values in taus.items())
    tau = float(np.mean([each.tau for each in found]))
    low, high = _ends(np.mean(list(taus.values()), axis=0), tau, level)
    ranked = tuple(tuple(ranks_of(*both, level)) for both in zip(means, drawn, strict=True))
    return Orders(ranked, found, tau, low, high)


def _correlation(
    first: int, second: int, means: Floats, values: Floats, decided: Mapping[tuple[int, int, int], str], level: float
) -> Correlation:
    tau = float(scipy.stats.kendalltau(means[first], means[second]).statistic)
    low, high = _ends(values, tau, level)
    swapped = tuple(
        (one, other)
        for one, other in itertools.permutations(range(means.shape[1]), 2)
        if decided.get((first, one, other)) == decided.get((second, other, one)) == "better"
    )
    verdict = DIFFER if swapped else AGREE if low > 0 else OPPOSE if high < 0 else OPEN
    return Correlation(first, second, tau, low, high, swapped, verdict)


def _decided(
    places: Sequence[Sequence[ArrayLike]], blind: Sequence[Sequence[bool]], level: float, prior: Prior | None
) -> dict[tuple[int, int, int], str]:
    """Place, family and another family -> verdict on the first of them, corrected over all places and pairs."""
    keys = [
        (place, one, other)
        for place, cells in enumerate(places)
        for one, other in itertools.combinations(range(len(cells)), 2)
        if not blind or not (blind[place][one] and blind[place][other])
    ]
    pairs = [(places[place][one], places[place][other]) for place, one, other in keys]
    verdicts = [each.verdict for each in adjusted([compare(*pair, level=level, prior=prior) for pair in pairs])]
    turned = {"better": "worse", "worse": "better"}
    found: dict[tuple[int, int, int], str] = dict(zip(keys, verdicts, strict=True))
    return found | {(p, other, one): turned.get(found[p, one, other], found[p, one, other]) for p, one, other in keys}


def _drawn_tau(first: Floats, second: Floats) -> Floats:
    """Kendall's tau of each draw, of means (families, draws) without ties."""
    pairs = list(itertools.combinations(range(len(first)), 2))
    signs = [np.sign(first[one] - first[other]) * np.sign(second[one] - second[other]) for one, other in pairs]
    return np.asarray(np.mean(signs, axis=0))


def _ends(values: Floats, tau: float, level: float) -> tuple[float, float]:
    """Interval over draws; noise pulls them to 0, so that the estimate may lie outside, to which it is widened."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(np.fmin(low, tau)), float(np.fmax(high, tau))
