"""Which cells are meant: `kernel_size=65,129`, `seed=0..2`; read from what a user typed, asked of names of cells."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kernbench.errors import StudyError, close_match, one_line

_PAIR = re.compile(r",(?=\w+=)")  # between the pairs of a cell's name; a value may hold a comma
MOST_LISTED = 20


@dataclass(frozen=True)
class Wanted:
    """A value, or the numbers from `low` to `high`.

    Attributes:
        text: as it was typed.
        low: smallest number; None for a text.
        high: largest number; None for a text.
    """

    text: str
    low: float | None = None
    high: float | None = None

    def holds(self, value: str) -> bool:
        """Whether a value of a cell is meant; a network of a file also without its digest."""
        if value == self.text or value.partition("@")[0] == self.text:
            return True
        number = _number(value)
        return None not in (number, self.low, self.high) and self.low <= number <= self.high  # type: ignore[operator]

    @property
    def words(self) -> str:
        """For a sentence: "65", "17 to 129"."""
        return self.text.replace("..", " to ", 1) if self.low != self.high else self.text


@dataclass(frozen=True)
class Selection:
    """Cells of which every named axis has one of its values; all cells without a name.

    Attributes:
        wanted: axis, `seed` or `draw`, and what it may be.
    """

    wanted: tuple[tuple[str, tuple[Wanted, ...]], ...] = ()

    def __bool__(self) -> bool:
        """Whether it leaves anything out."""
        return bool(self.wanted)

    def __contains__(self, cell: str) -> bool:
        """Whether a cell is meant, by its name: `kernel_size=65,seed=0`."""
        if not self.wanted:
            return True
        values = values_of(cell)
        return all(name in values and any(each.holds(values[name]) for each in any_of) for name, any_of in self.wanted)

    @property
    def text(self) -> str:
        """For a reader: "kernel_size = 65 or 129, seed = 0"; empty where all cells are meant."""
        return ", ".join(f"{name} = {' or '.join(each.words for each in any_of)}" for name, any_of in self.wanted)

    @property
    def options(self) -> list[str]:
        """The words of a command line that say the same."""
        return [word for name, any_of in self.wanted for each in any_of for word in ("--only", f"{name}={each.text}")]

    def check(self, cells: Iterable[str]) -> None:
        """Refuse a name that no cell has, a value that none has, or a combination that none has.

        Args:
            cells: names of all cells that may be meant.

        Raises:
            StudyError: see above, with the names or values that there are.
        """
        cells = list(cells)
        known = _values_by_name(cells)
        for name, any_of in self.wanted:
            if name not in known:
                hint = close_match(name, known) or f"; known: {', '.join(known) or 'none'}"
                raise StudyError(f"--only {name}: no study here has an axis {one_line(name)!r}{hint}")
            for each in any_of:
                if not any(map(each.holds, known[name])):
                    raise StudyError(f"--only {name}={each.text}: selects nothing; {name} is {_listed(known[name])}")
        if self.wanted and not any(cell in self for cell in cells):
            raise StudyError(f"--only: no cell has {self.text} together; `kernbench status` lists the cells")


ALL = Selection()


def read_selection(given: Sequence[str]) -> Selection:
    """A selection as it was typed.

    Args:
        given: `name=value`, `name=value,value` or `name=low..high`; several of one name may each hold, several names
            must all hold.

    Raises:
        StudyError: another form; a range whose ends are no numbers, or in the wrong order.
    """
    wanted: dict[str, dict[Wanted, None]] = {}
    for text in given:
        name, equals, values = (part.strip() for part in text.partition("="))
        parts = [part.strip() for part in values.split(",")]
        if not (name and equals and all(parts)):
            raise StudyError(
                f"--only {one_line(text)!r}: expected NAME=VALUE, such as kernel_size=65, kernel_size=65,129 or "
                "kernel_size=17..129"
            )
        wanted.setdefault(name, {}).update(dict.fromkeys(_wanted(name, part) for part in parts))
    return Selection(tuple((name, tuple(any_of)) for name, any_of in wanted.items()))


def values_of(cell: str) -> dict[str, str]:
    """Name -> value of a cell's name, `kernel_size=65,seed=0`, as texts."""
    pairs = (pair.partition("=") for pair in _PAIR.split(cell))
    return {name: value for name, _, value in pairs}


def _wanted(name: str, text: str) -> Wanted:
    first, dots, last = text.partition("..")
    low, high = _number(first), _number(last if dots else first)
    if dots and (low is None or high is None or low > high):
        raise StudyError(
            f"--only {name}={one_line(text)}: expected a range of two numbers, the smaller first, such as "
            "kernel_size=17..129"
        )
    return Wanted(text, low, high)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return None if math.isnan(number) else number


def _values_by_name(cells: Iterable[str]) -> Mapping[str, Mapping[str, None]]:
    known: dict[str, dict[str, None]] = {}
    for cell in cells:
        for name, value in values_of(cell).items():
            known.setdefault(name, {})[value] = None
    return known


def _listed(values: Iterable[str]) -> str:
    found = sorted(values, key=_place)
    more = f" or one of {len(found) - MOST_LISTED} more" if len(found) > MOST_LISTED else ""
    return ", ".join(found[:MOST_LISTED]) + more


def _place(value: str) -> tuple[float, str]:
    """Numbers by size, then texts."""
    number = _number(value)
    return (math.inf if number is None else number), value
