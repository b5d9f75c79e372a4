"""What a place of a page may show: a function for each kind. `make_results.py` fills the pages."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from result_cards import card, ranked
from result_checks import (
    apart,
    between,
    later_seeds,
    matched,
    matched_families,
    matched_versus,
    outgains,
    seed_gaps,
    seeds_alone,
    trainings,
    welch,
)
from result_joined import reference, verdicts_alike
from result_learning import learning
from result_matrices import (
    below,
    change_matrix,
    change_table,
    compared,
    difference_matrix,
    families,
    gain_table,
    gainers,
    moved,
    movers,
    none,
    scores,
    seeing,
    verdicts,
)
from result_orders import agreement, ranking, swapped, tau, tau_between
from result_pictures import FIGURES, IMG, picture_name
from result_points import (
    CHANGED,
    GAINED,
    OPEN,
    SAID,
    axis_value,
    check_families,
    difference_of,
    difference_text,
    f1_text,
    gain_text,
    point_of,
    points_at,
    signed,
    table,
    typed_value,
    where,
)
from result_published import published
from result_searches import chosen_parameters, picked, searches

from kernbench.errors import KernbenchError, close_match
from kernbench.report.numbers.comparison import Comparison, Difference
from kernbench.report.numbers.gains import Gain, changes, gains
from kernbench.report.numbers.orders import (
    NOUNS,
    place_name,
    row_name,
    shared_axes,
)
from kernbench.report.numbers.over_sizes import over_sizes
from kernbench.report.numbers.points import Point
from kernbench.statistics.comparison import LEVEL
from kernbench.statistics.power import smallest_detectable


def f1(comparison: Comparison, family: str, *at: str) -> str:
    """FAMILY VALUE ...: mean F1 with its interval."""
    return f1_text(point_of(comparison, family, at))


def versus(comparison: Comparison, family: str, *at: str) -> str:
    """FAMILY VALUE ...: the difference from the reference family, with interval and verdict."""
    return difference_text(difference_of(comparison, family, at))


def claim(comparison: Comparison, word: str, family: str, *at: str) -> str:
    """VERDICT FAMILY VALUE ...: the same; refused where the data do not say this verdict."""
    found = difference_of(comparison, family, at)
    if found.outcome != word:
        text = difference_text(found)
        raise KernbenchError(
            f"{comparison.base}: {family} at {where(comparison, at)} was said to be {word}; the data say {text}"
        )
    return difference_text(found)


def cells(comparison: Comparison) -> str:
    """How many cells ended, of how many families."""
    families = len(comparison.families)
    return f"{len(comparison.runs):,} cells of {'1 family' if families == 1 else f'{families} families'}"


def parameters(comparison: Comparison, family: str, *at: str) -> str:
    """FAMILY VALUE ...: how many trainable parameters the network has."""
    return f"{point_of(comparison, family, at).value('n_params'):,.0f}"


def plateaus(comparison: Comparison, *families: str) -> str:
    """[FAMILY ...]: how many cells with a score never left the plateau, of these families or all."""
    check_families(comparison, families)
    points = [point for point in comparison.scored if not families or point.runs[0].family in families]
    return f"{sum(len(point.on_plateau) for point in points)} of {sum(len(point.scored) for point in points)}"


def plateaus_of(comparison: Comparison) -> str:
    """Points with trainings on the plateau, and how many of each."""
    found = [(point, len(point.on_plateau)) for point in comparison.scored if point.on_plateau]
    names = comparison.series_names
    said = [
        f"{count} of `{names[id(point)]}` at {place_name({comparison.axis: point.x}, [comparison.axis])}"
        for point, count in found
    ]
    return ", ".join(said) or "none"


def differences(comparison: Comparison, only: str = "") -> str:
    """["decided"]: differences from the reference family, all or those that are decided; see `detectable`."""
    if only not in ("", "decided"):
        raise KernbenchError(f'{comparison.base}: differences takes "decided" or nothing, not {only!r}')
    shown = [each for each in comparison.differences if not only or each.outcome not in OPEN]
    rows = [
        [
            comparison.series_names[id(each.first)],
            str(each.first.x),
            signed(each.found.difference, each.found.low, each.found.high),
            f"{each.found.p_value:.3g}",
            SAID.get(each.outcome, each.outcome),
            f"{_detectable(each, comparison):.3f}",
        ]
        for each in shown
    ]
    of_axis = NOUNS.get(comparison.axis, comparison.axis)
    header = ["family", of_axis, "difference from discrete", "p (Holm)", "verdict", "would be found"]
    return table(header, rows)


def blind(comparison: Comparison) -> str:
    """How many of the differences are between two blind networks."""
    return f"{sum(each.blind for each in comparison.differences)} of {len(comparison.differences)}"


def floor(comparison: Comparison) -> str:
    """F1 of the better blind guess on these lines."""
    if not comparison.floors:
        raise KernbenchError(f"{comparison.base}: no blind guess that is one for all points")
    return f"{max(comparison.floors):.3f}"


def detectable(comparison: Comparison) -> str:
    """Smallest and largest of the true differences that 80 % of such studies would find, each among all of them.

    It is reckoned with the level that Holm's correction gives the smallest p-value.
    """
    found = [_detectable(each, comparison) for each in comparison.differences if not each.blind]
    if not found:
        raise KernbenchError(f"{comparison.base}: no differences from a reference family")
    return f"{min(found):.2f} to {max(found):.2f}"


def _detectable(each: Difference, comparison: Comparison) -> float:
    level = 1 - (1 - LEVEL) / len(comparison.differences)
    return smallest_detectable(each.found.error, each.found.df, level)


def decided(comparison: Comparison, *families: str) -> str:
    """[FAMILY ...]: how many of the differences from the reference family have a verdict, without those of `blind`."""
    check_families(comparison, families)
    seeing = [each for each in comparison.differences if not each.blind]
    shown = [each for each in seeing if not families or each.first.runs[0].family in families]
    return f"{sum(each.outcome not in OPEN for each in shown)} of {len(shown)}"


def gained(comparison: Comparison, at: str) -> str:
    """VALUE: what each family gains over the reference family from this value of the axis to the others."""
    found = gains(comparison, typed_value(comparison, comparison.axis, at))
    return _along(comparison, comparison.axis, f"gain over discrete from {at}", found, GAINED)


def changed(comparison: Comparison, axis: str, start: str) -> str:
    """AXIS VALUE: how each family changes from this value of an axis to the others, all else equal."""
    found = changes(comparison, axis, typed_value(comparison, axis, start))
    return _along(comparison, axis, f"change from {start}", found, CHANGED)


def change(comparison: Comparison, word: str, axis: str, start: str, family: str, *at: str) -> str:
    """VERDICT AXIS VALUE FAMILY VALUE ...: one row of `changed`; refused where the data do not say "better", ..."""
    point = point_of(comparison, family, at)
    found = changes(comparison, axis, typed_value(comparison, axis, start))
    return _one(comparison, word, point, found, CHANGED)


def gain(comparison: Comparison, word: str, start: str, family: str, *at: str) -> str:
    """VERDICT VALUE FAMILY VALUE ...: one row of `gained`; refused where the data do not say "better", ..."""
    point = point_of(comparison, family, at)
    return _one(comparison, word, point, gains(comparison, typed_value(comparison, comparison.axis, start)), GAINED)


def _one(comparison: Comparison, word: str, point: Point, found: Sequence[Gain], said: Mapping[str, str]) -> str:
    each = next((each for each in found if each.point is point), None)
    if each is None:
        raise KernbenchError(f"{comparison.base}: {point.name} is measured from nothing")
    text = f"{gain_text(each)}, {said[each.verdict]}"
    if each.verdict != word:
        raise KernbenchError(f"{comparison.base}: {point.name} was said to be {word}; the data say {text}")
    return text


def _along(comparison: Comparison, axis: str, head: str, found: Sequence[Gain], said: Mapping[str, str]) -> str:
    others = [name for name in shared_axes(comparison)[1] if name != axis]
    shared = shared_axes(comparison)[0]
    rows = [
        [
            row_name(each.point, shared),
            *(place_name(each.point.params, [name]) for name in (*others, axis)),
            gain_text(each),
            f"{each.p_value:.3g}",
            said[each.verdict],
        ]
        for each in found
    ]
    return table(["family", *(NOUNS.get(name, name) for name in (*others, axis)), head, "p (Holm)", "verdict"], rows)


def order(comparison: Comparison, *at: str) -> str:
    """VALUE ...: families by mean F1 there, with the interval of the rank and the share of draws with it in front."""
    shared, axes = shared_axes(comparison)
    free = [name for name in axes if name not in dict(axis_value(comparison, word) for word in at)]
    if free:
        raise KernbenchError(f"{comparison.base}: order needs a value of {', '.join(free)}")
    of_all = points_at(comparison, at)
    found = ranked(comparison, of_all)
    if not found:
        raise KernbenchError(f"{comparison.base}: fewer than two families have two seeds at {where(comparison, at)}")
    in_order = sorted(found.items(), key=lambda pair: pair[1].rank)
    rows = [
        [row_name(point, shared), f1_text(point), f"{rank.rank:g} [{rank.low:g}, {rank.high:g}]", f"{rank.first:.0%}"]
        for point, rank in in_order
    ]
    rows += [[row_name(each, shared), f1_text(each), "one seed", "–"] for each in of_all if each not in found]
    return table(["family", "F1", "rank", "first in"], rows)


def sizes(comparison: Comparison) -> str:
    """How F1 of each family changes when the kernel size doubles."""
    rows = [
        [
            each.name,
            f"{each.smallest} to {each.largest}",
            signed(each.change, each.change_low, each.change_high),
            each.trend,
        ]
        for each in over_sizes(comparison)
    ]
    return table(["family", "K", "change of F1 when K doubles", "verdict"], rows)


def figure(comparison: Comparison, name: str, text: str) -> str:
    """NAME "WHAT IT SHOWS": a picture of the report, one of `FIGURES`."""
    if name not in FIGURES:
        raise KernbenchError(f"{comparison.base}: no figure {name!r}{close_match(name, FIGURES) or ''}")
    if not FIGURES[name].drawn(comparison):
        raise KernbenchError(f"{comparison.base}: nothing to draw for the figure {name}")
    return f"\n\n![{text}]({IMG}/{picture_name(comparison, name)})\n\n"


_ALL = (
    *(
        f1,
        versus,
        claim,
        cells,
        parameters,
        plateaus,
        plateaus_of,
        scores,
        differences,
        detectable,
        decided,
        blind,
        floor,
    ),
    *(
        difference_matrix,
        change_matrix,
        change_table,
        gain_table,
        gainers,
        verdicts,
        families,
        none,
        seeing,
        below,
        compared,
        moved,
        movers,
        matched,
        matched_families,
        matched_versus,
        seeds_alone,
        later_seeds,
        between,
        welch,
        apart,
        outgains,
        seed_gaps,
        trainings,
    ),
    *(card, gained, gain, changed, change, order, sizes, searches, picked, chosen_parameters, published, figure),
    *(ranking, agreement, tau, tau_between, swapped, learning),
)
_OF_TWO = (reference, verdicts_alike)
KINDS: Mapping[str, Callable[..., str]] = MappingProxyType({each.__name__: each for each in (*_ALL, *_OF_TWO)})
OF_TWO = frozenset(each.__name__ for each in _OF_TWO)  # kinds whose first word names a second study
