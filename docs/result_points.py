"""Which points and differences the words of a place mean, and how they are written."""

from collections.abc import Iterable, Sequence

from kernbench.errors import KernbenchError, close_match
from kernbench.report.numbers.comparison import Comparison, Difference
from kernbench.report.numbers.gains import Gain
from kernbench.report.numbers.points import Point, Value

OPEN = ("blind", "undecided")  # verdicts that decide nothing
SAID = {"blind": "both blind", "undecided": "not decided", "equivalent": "equivalent within 0.01"}
GAINED = {
    "better": "gains more",
    "worse": "gains less",
    "equivalent": "the same within 0.01",
    "undecided": "not decided",
}
CHANGED = GAINED | {"better": "rises", "worse": "falls"}


def points_at(comparison: Comparison, at: Sequence[str]) -> list[Point]:
    """Points with a score at a value of the axis; "pulse=REF" names the value of another axis.

    Raises:
        KernbenchError: no point has these values.
    """
    named = dict(axis_value(comparison, word) for word in at)
    if len(named) < len(at):
        raise KernbenchError(f"{comparison.base}: two values of one axis, {where(comparison, at)}")
    found = [
        point
        for point in comparison.scored
        if all(str(point.params.get(name)) == value for name, value in named.items())
    ]
    if not found:
        raise KernbenchError(f"{comparison.base}: no score at {where(comparison, at)}")
    return found


def point_of(comparison: Comparison, family: str, at: Sequence[str]) -> Point:
    """The one point of a family at these values."""
    of_all = points_at(comparison, at)
    found = [point for point in of_all if point.runs[0].family == family]
    if not found:
        raise KernbenchError(f"{comparison.base}: no score of {family} at {where(comparison, at)}")
    if len(found) > 1:
        several = "; ".join(point.name for point in found)
        raise KernbenchError(f"{comparison.base}: {where(comparison, at)} is not one point: {several}")
    return found[0]


def check_families(comparison: Comparison, families: Iterable[str]) -> None:
    """Refuse a name that is no family of the comparison.

    Raises:
        KernbenchError: such a name.
    """
    for name in families:
        if name not in comparison.families:
            near = close_match(name, comparison.families) or ""
            raise KernbenchError(f"{comparison.base}: no family {name!r}{near}")


def difference_of(comparison: Comparison, family: str, at: Sequence[str]) -> Difference:
    """What may be said of a family against the reference family at these values."""
    point = point_of(comparison, family, at)
    for each in comparison.differences:
        if each.first is point:
            return each
    raise KernbenchError(f"{comparison.base}: {family} at {where(comparison, at)} is compared with nothing")


def axis_value(comparison: Comparison, word: str) -> tuple[str, str]:
    """Axis and value: "REF" or "pulse=REF"; a value may have a sign of equality in it, an axis has none."""
    name, equals, value = word.partition("=")
    known = any(name in point.params for point in comparison.points)
    return (name, value) if equals and known else (comparison.axis, word)


def where(comparison: Comparison, at: Sequence[str]) -> str:
    """The values with their axes, for a sentence: "kernel_size = 65, pulse = REF"."""
    return ", ".join(f"{name} = {value}" for name, value in (axis_value(comparison, word) for word in at))


def f1_text(point: Point | None) -> str:
    """Mean F1 with its interval."""
    if point is None or point.interval is None:
        return "–"
    blind = {"below": ", below blind", "unsure": ", perhaps blind"}.get(point.place, "")
    return f"{point.interval.mean:.3f} [{point.interval.low:.3f}, {point.interval.high:.3f}]{blind}"


def signed(value: float, low: float, high: float) -> str:
    """A difference with its interval, "+0.048 [+0.027, +0.068]"."""
    return f"{value:+.3f} [{low:+.3f}, {high:+.3f}]"


def difference_text(each: Difference) -> str:
    """Difference, its interval and the verdict."""
    found = each.found
    return f"{signed(found.difference, found.low, found.high)}, {SAID.get(each.outcome, each.outcome)}"


def gain_text(each: Gain) -> str:
    """A change or gain with its interval."""
    return signed(each.value, each.low, each.high)


def typed_value(comparison: Comparison, axis: str, text: str) -> Value:
    """The value of an axis that is written so.

    Raises:
        KernbenchError: no point has it.
    """
    for point in comparison.scored:
        if axis in point.params and str(point.params[axis]) == text:
            return point.params[axis]
    raise KernbenchError(f"{comparison.base}: no score at {axis} = {text}")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown, between empty lines."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n\n"
