"""Families as rows, values of the axis as columns; and how many families have a verdict at a value."""

from collections.abc import Callable, Mapping, Sequence

from result_points import CHANGED, GAINED, SAID, f1_text, gain_text, points_at, table, typed_value

from kernbench.errors import KernbenchError
from kernbench.report.numbers.comparison import Comparison, Difference
from kernbench.report.numbers.gains import Gain, changes, gains
from kernbench.report.numbers.matrix import matrix
from kernbench.report.numbers.orders import place_name, row_name, shared_axes
from kernbench.report.numbers.points import BELOW, Point, Value

VERDICTS = ("better", "worse", "equivalent", "undecided", "blind")


def scores(comparison: Comparison, by: str = "") -> str:
    """[VALUE]: F1 with intervals, and how many seeds; families by name, or by their F1 at a value of the axis."""
    return by_value(comparison, by, lambda point: f"{f1_text(point)} ({len(point.scored)})")


def difference_matrix(comparison: Comparison, by: str = "") -> str:
    """[VALUE]: differences from the reference family with their verdicts; families as for `scores`."""
    found = {each.first: each for each in comparison.differences}

    def text(point: Point) -> str:
        each = found.get(point)
        return "–" if each is None else f"{each.found.difference:+.3f} {SAID.get(each.outcome, each.outcome)}"

    return by_value(comparison, by, text, without_reference=True)


def change_matrix(comparison: Comparison, axis: str, start: str) -> str:
    """AXIS VALUE: how F1 of each family changes from this value of the axis, with verdicts; sorted by F1 there."""
    value = typed_value(comparison, axis, start)
    found = {each.point: f"{each.value:+.3f} {CHANGED[each.verdict]}" for each in changes(comparison, axis, value)}
    return by_value(comparison, start, lambda point: found.get(point, "–"))


def change_table(comparison: Comparison, axis: str, start: str, end: str, by: str = "") -> str:
    """AXIS VALUE VALUE [VALUE]: how each family changes between two values of an axis, at each value of the main one.

    Families by name, or by their change at a value of the main axis.
    """
    return _between(comparison, changes(comparison, axis, typed_value(comparison, axis, start)), axis, end, by, CHANGED)


def gain_table(comparison: Comparison, axis: str, start: str, end: str, by: str = "") -> str:
    """AXIS VALUE VALUE [VALUE]: likewise, how much more than the reference family each of the others changes."""
    return _between(comparison, gains(comparison, typed_value(comparison, axis, start), axis), axis, end, by, GAINED)


def _between(
    comparison: Comparison, found: Sequence[Gain], axis: str, end: str, by: str, said: Mapping[str, str]
) -> str:
    ends = typed_value(comparison, axis, end)
    shared = shared_axes(comparison)[0]
    rows: dict[str, dict[Value | None, Gain]] = {}
    for each in found:
        if each.point.params[axis] == ends:
            rows.setdefault(row_name(each.point, shared), {})[each.point.x] = each
    if not rows:
        raise KernbenchError(f"{comparison.base}: nothing to compare along {axis}, up to {end}")
    if by:
        at = typed_value(comparison, comparison.axis, by)
        rows = dict(sorted(rows.items(), key=lambda row: -row[1][at].value if at in row[1] else 1.0))
    columns = sorted({x for row in rows.values() for x in row}, key=lambda x: (isinstance(x, str), x))
    shown = [
        [name, *(f"{gain_text(row[x])} {said[row[x].verdict]}" if x in row else "–" for x in columns)]
        for name, row in rows.items()
    ]
    return table(["family", *(place_name({comparison.axis: x}, [comparison.axis]) for x in columns)], shown)


def by_value(comparison: Comparison, by: str, text: Callable[[Point], str], *, without_reference: bool = False) -> str:
    """Families as rows, values of the axis as columns, a text for each point with a score; in the order of `scores`."""
    found = matrix(comparison)
    rows = dict(found.rows)
    if by:
        column = found.columns.index(typed_value(comparison, comparison.axis, by))
        rows = dict(sorted(rows.items(), key=lambda row: _height(row[1][column])))
    if without_reference:
        rows = {name: points for name, points in rows.items() if any(found.difference(point) for point in points)}
    shown = [[name, *(text(each) if each and each.scored else "–" for each in row)] for name, row in rows.items()]
    columns = [place_name({comparison.axis: value}, [comparison.axis]) for value in found.columns]
    return table(["family", *columns], shown)


def _height(point: Point | None) -> float:
    """For sorting: the highest mean first, what has none last."""
    return 0.0 if point is None or point.interval is None else -point.interval.mean


def _at(comparison: Comparison, word: str, at: str) -> tuple[list[Difference], list[Difference]]:
    """Differences with this verdict at a value of the axis, and all that are not between two blind networks."""
    if word not in VERDICTS:
        raise KernbenchError(f"{comparison.base}: expected one of {', '.join(VERDICTS)}, got {word!r}")
    value = typed_value(comparison, comparison.axis, at)
    here = [each for each in comparison.differences if each.first.x == value and min(each.found.seeds) > 1]
    seeing = [each for each in here if not each.blind]
    return [each for each in (here if word == "blind" else seeing) if each.outcome == word], seeing


def verdicts(comparison: Comparison, word: str, at: str, seeds: str = "") -> str:
    """VERDICT VALUE [SEEDS]: how many of the families that are compared there have this verdict; with so many seeds."""
    counted = [
        [each for each in group if not seeds or len(each.first.scored) == int(seeds)]
        for group in _at(comparison, word, at)
    ]
    return f"{len(counted[0])} of {len(counted[1])}"


def families(comparison: Comparison, word: str, at: str) -> str:
    """VERDICT VALUE: which families have this verdict there, the largest difference first."""
    found, _ = _at(comparison, word, at)
    found.sort(key=lambda each: -abs(each.found.difference))
    return ", ".join(f"`{comparison.series_names[id(each.first)]}`" for each in found) or "none"


def none(comparison: Comparison, word: str, *at: str) -> str:
    """VERDICT VALUE ...: of how many families none has this verdict at these values; refused where one has."""
    text = []
    for value in at:
        found, seeing = _at(comparison, word, value)
        if found:
            said = families(comparison, word, value)
            raise KernbenchError(f"{comparison.base}: none was said to be {word} at {value}; the data say {said}")
        text.append(f"none of {len(seeing)}")
    return " and ".join(dict.fromkeys(text))


def seeing(comparison: Comparison, at: str) -> str:
    """VALUE: how many of the families that have a score there are surely above a blind guess."""
    value = typed_value(comparison, comparison.axis, at)
    here = [point for point in comparison.scored if point.x == value]
    return f"{sum(not point.place for point in here)} of {len(here)}"


def below(comparison: Comparison, at: str) -> str:
    """VALUE: how many of the families that have a score there are surely below a blind guess."""
    value = typed_value(comparison, comparison.axis, at)
    here = [point for point in comparison.scored if point.x == value]
    return f"{sum(point.place == BELOW for point in here)} of {len(here)}"


def compared(comparison: Comparison, at: str) -> str:
    """VALUE: how many families are compared with the reference family there."""
    return str(len(_at(comparison, "undecided", at)[1]))


def moved(comparison: Comparison, word: str, axis: str, start: str, end: str, *at: str) -> str:
    """VERDICT AXIS VALUE VALUE [VALUE ...]: of how many families F1 rises ("better"), ... from one value to another.

    Further values say where, if there are other axes.
    """
    here = _changed(comparison, word, axis, start, end, at, CHANGED)
    return f"{sum(each.verdict == word for each in here)} of {len(here)}"


def movers(comparison: Comparison, word: str, axis: str, start: str, end: str, *at: str) -> str:
    """VERDICT AXIS VALUE VALUE [VALUE ...]: the families that `moved` counts, the largest change first."""
    return _names(comparison, word, _changed(comparison, word, axis, start, end, at, CHANGED))


def gainers(comparison: Comparison, word: str, axis: str, start: str, end: str, *at: str) -> str:
    """VERDICT AXIS VALUE VALUE [VALUE ...]: those that gain more ("better"), ... than the reference family."""
    return _names(comparison, word, _changed(comparison, word, axis, start, end, at, GAINED))


def _names(comparison: Comparison, word: str, found: Sequence[Gain]) -> str:
    here = sorted((each for each in found if each.verdict == word), key=lambda each: -abs(each.value))
    shared = shared_axes(comparison)[0]
    return ", ".join(f"`{row_name(each.point, shared)}`" for each in here) or "none"


def _changed(
    comparison: Comparison, word: str, axis: str, start: str, end: str, at: Sequence[str], said: Mapping[str, str]
) -> list[Gain]:
    """Changes or gains between two values, at some values of other axes, once the verdict is known to be one."""
    if word not in said:
        raise KernbenchError(f"{comparison.base}: expected one of {', '.join(said)}, got {word!r}")
    first = typed_value(comparison, axis, start)
    found = changes(comparison, axis, first) if said is CHANGED else gains(comparison, first, axis)
    value = typed_value(comparison, axis, end)
    points = points_at(comparison, at)
    return [each for each in found if each.point.params[axis] == value and each.point in points]
