"""What a kernel family lets a search choose: hyper-parameters with bounds, default, unit and meaning (no torch)."""

import math
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, Self

from kernbench.errors import KernbenchError, close_match

Value = float | int | str | bool


@dataclass(frozen=True)
class Float:
    """A real hyper-parameter in [low, high].

    Attributes:
        low: smallest value allowed.
        high: largest value allowed.
        log: search on a logarithmic axis; needs low > 0.
        default: value when nothing is asked for; the (geometric, if log) middle when not given.
        unit: unit of the value, such as "samples".
        doc: meaning in one line.
        budget: a budget solver may move it.
    """

    low: float
    high: float
    _: KW_ONLY
    log: bool = False
    default: float | None = None
    unit: str = ""
    doc: str = ""
    budget: bool = False

    def __post_init__(self) -> None:
        """Refuse bounds that make no range."""
        _check_range(self.low, self.high, self.log, self.default)

    @property
    def start(self) -> float:
        """The default value."""
        if self.default is not None:
            return float(self.default)
        return math.sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2

    def check(self, value: object) -> float:
        """The value as a float; raises KernbenchError with the reason if it is not one in the range."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise KernbenchError(f"expected a number, got {value!r}")
        return float(_in_range(value, self.low, self.high))

    @property
    def count(self) -> float:
        """Different values, infinitely many unless low is high."""
        return 1 if self.low == self.high else math.inf

    def narrowed(self, given: object) -> Self:
        """The same hyper-parameter in a smaller range, [low, high], that still holds its default.

        Raises:
            KernbenchError: no such pair, outside the range, or without the default.
        """
        low, high = _two(given)
        return replace(self, low=self.check(low), high=self.check(high), default=self.start)

    def as_json(self) -> dict[str, Any]:
        """Range and scale, as a definition stores them."""
        return {"low": self.low, "high": self.high, "log": self.log, "default": self.start}

    def describe(self) -> str:
        """Range, scale and unit in a few words, such as "1 .. 200 samples, log"."""
        return f"{self.low:g} .. {self.high:g}{_suffix(self.unit)}{', log' if self.log else ''}"


@dataclass(frozen=True)
class Int:
    """A whole-number hyper-parameter in [low, high]; attributes as for `Float`."""

    low: int
    high: int
    _: KW_ONLY
    log: bool = False
    default: int | None = None
    unit: str = ""
    doc: str = ""
    budget: bool = False

    def __post_init__(self) -> None:
        """Refuse bounds that make no range."""
        _check_range(self.low, self.high, self.log, self.default)

    @property
    def start(self) -> int:
        """The default value."""
        if self.default is not None:
            return int(self.default)
        return round(math.sqrt(self.low * self.high)) if self.log else (self.low + self.high) // 2

    def check(self, value: object) -> int:
        """The value as an int; raises KernbenchError with the reason if it is not one in the range."""
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if isinstance(value, bool) or not whole:
            raise KernbenchError(f"expected a whole number, got {value!r}")
        return int(_in_range(int(value), self.low, self.high))  # type: ignore[call-overload]  # whole, see above

    @property
    def count(self) -> float:
        """Different values, low and high among them."""
        return self.high - self.low + 1

    def narrowed(self, given: object) -> Self:
        """The same hyper-parameter in a smaller range, [low, high], that still holds its default.

        Raises:
            KernbenchError: no such pair, outside the range, or without the default.
        """
        low, high = _two(given)
        return replace(self, low=self.check(low), high=self.check(high), default=self.start)

    def as_json(self) -> dict[str, Any]:
        """Range and scale, as a definition stores them."""
        return {"low": self.low, "high": self.high, "log": self.log, "default": self.start}

    def describe(self) -> str:
        """Range, scale and unit in a few words."""
        return f"{self.low} .. {self.high}{_suffix(self.unit)}{', log' if self.log else ''}"


@dataclass(frozen=True)
class Choice:
    """One of a few named options; the first is the default unless another is given.

    Attributes:
        options: the values allowed.
        default: value when nothing is asked for.
        doc: meaning in one line.
    """

    options: tuple[Value, ...]
    _: KW_ONLY
    default: Value | None = None
    unit: str = ""
    doc: str = ""

    def __post_init__(self) -> None:
        """Keep the options as a tuple and refuse a default that is not among them."""
        object.__setattr__(self, "options", tuple(self.options))
        if not self.options or (self.default is not None and self.default not in self.options):
            raise KernbenchError(
                f"a Choice needs options that contain its default, got {self.options}, {self.default!r}"
            )

    @property
    def start(self) -> Value:
        """The default value."""
        return self.options[0] if self.default is None else self.default

    def check(self, value: object) -> Value:
        """The option equal to the value; raises KernbenchError with the options if there is none."""
        for option in self.options:
            # bool is an int to Python: True must not pass for the option 1
            if option == value and isinstance(option, bool) == isinstance(value, bool):
                return option
        hint = close_match(str(value), [str(option) for option in self.options])
        raise KernbenchError(f"expected one of {', '.join(map(str, self.options))}, got {value!r}{hint}")

    @property
    def count(self) -> float:
        """How many options there are."""
        return len(self.options)

    def narrowed(self, given: object) -> Self:
        """The same hyper-parameter with some of its options, the default among them.

        Raises:
            KernbenchError: no list, not an option, one twice, or without the default.
        """
        if not isinstance(given, list | tuple) or not given:
            raise KernbenchError(f"expected true or a list of {', '.join(map(str, self.options))}, got {given!r}")
        options = tuple(self.check(each) for each in given)
        if len(set(options)) != len(options):
            raise KernbenchError(f"the same option stands twice in {given!r}")
        if self.start not in options:
            raise KernbenchError(f"default {self.start} is not among {given!r}")
        return replace(self, options=options, default=self.start)

    def as_json(self) -> dict[str, Any]:
        """The options, as a definition stores them."""
        return {"options": list(self.options), "default": self.start}

    def describe(self) -> str:
        """The options, separated by bars."""
        return " | ".join(map(str, self.options))


Parameter = Float | Int | Choice


def _two(given: object) -> tuple[object, object]:
    if not isinstance(given, list | tuple) or len(given) != 2:
        raise KernbenchError(f"expected true or [low, high], got {given!r}")
    return given[0], given[1]


def _check_range(low: float, high: float, log: bool, default: float | None) -> None:
    if not low <= high or (log and low <= 0):
        raise KernbenchError(f"a range needs low <= high{' and low > 0 if log' if log else ''}, got {low}, {high}")
    if default is not None and not low <= default <= high:
        raise KernbenchError(f"default {default} lies outside {low} .. {high}")


def _in_range(value: float, low: float, high: float) -> float:
    if not low <= value <= high:
        raise KernbenchError(f"expected {low:g} .. {high:g}, got {value:g}")
    return value


def _suffix(unit: str) -> str:
    return f" {unit}" if unit else ""
