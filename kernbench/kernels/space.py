"""What a kernel family lets a search choose: hyper-parameters with bounds, default, unit and meaning (no torch)."""

import math
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar, Generic, Self, TypeVar

from kernbench.errors import KernbenchError, close_match

Value = float | int | str | bool
Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class _Range(Generic[Number]):
    """A hyper-parameter in [low, high]: what `Float` and `Int` share; attributes as for `Float`."""

    low: Number
    high: Number
    _: KW_ONLY
    log: bool = False
    default: Number | None = None
    unit: str = ""
    doc: str = ""
    budget: bool = False

    _form: ClassVar[str] = ""  # of a bound in words

    def __post_init__(self) -> None:
        """Refuse bounds that make no range."""
        given = {"low": self.low, "high": self.high, "default": self.default}
        for name, number in given.items():
            if not (isinstance(number, int | float) or (name == "default" and number is None)):
                raise KernbenchError(f"{self._who}: {name} must be a number, got {number!r}")
        if not self.low <= self.high:
            raise KernbenchError(f"{self._who}: low must be at most high, got low = {self.low}, high = {self.high}")
        if self.log and self.low <= 0:
            raise KernbenchError(f"{self._who}: log=True needs low > 0, got low = {self.low}")
        if self.default is not None and not self.low <= self.default <= self.high:
            raise KernbenchError(f"{self._who}: default {self.default} is outside {self.low} .. {self.high}")

    @property
    def _who(self) -> str:
        """What tells a declaration from others where its name is not known yet: its kind and meaning."""
        return f"kernbench.{type(self).__name__}{f' ({self.doc})' if self.doc else ''}"

    @property
    def start(self) -> Number:
        """The default value."""
        raise NotImplementedError

    def check(self, value: object) -> Number:
        """The value as a number of its kind.

        Args:
            value: as it was given.

        Returns:
            The number.

        Raises:
            KernbenchError: not a number of this kind in the range.
        """
        raise NotImplementedError

    def narrowed(self, given: object) -> Self:
        """The same hyper-parameter in a smaller range, [low, high], that still holds its default.

        Args:
            given: two bounds.

        Returns:
            A copy.

        Raises:
            KernbenchError: no such pair, outside the range, or without the default.
        """
        if not isinstance(given, list | tuple) or len(given) != 2:
            raise KernbenchError(f"expected true or [low, high], got {given!r}")
        low, high = self.check(given[0]), self.check(given[1])
        if low > high:
            raise KernbenchError(f"expected [low, high] with low <= high, got {given!r}")
        return replace(self, low=low, high=high, default=self.start)

    def as_json(self) -> dict[str, Any]:
        """Range and scale, as a definition stores them.

        Returns:
            Names and values that JSON knows.
        """
        return {"low": self.low, "high": self.high, "log": self.log, "default": self.start}

    def describe(self) -> str:
        """Range, scale and unit in a few words.

        Returns:
            Text such as "1 .. 200 samples, log".
        """
        bounds = f"{self.low:{self._form}} .. {self.high:{self._form}}"
        return f"{bounds}{' ' if self.unit else ''}{self.unit}{', log' if self.log else ''}"

    def _refuse_outside(self, value: Number) -> None:
        if not self.low <= value <= self.high:
            raise KernbenchError(f"expected {self.low:g} .. {self.high:g}, got {value:g}")


@dataclass(frozen=True)
class Float(_Range[float]):
    """A real hyper-parameter in [low, high].

    Attributes:
        low: smallest value allowed.
        high: largest value allowed.
        log: search on a logarithmic axis; needs low > 0.
        default: value when nothing is asked for; the (geometric, if log) middle when not given.
        unit: unit of the value, such as "samples".
        doc: meaning in one line.
        budget: it sets how many parameters the family has; said for readers, only an `Int` is solved for.
    """

    _form: ClassVar[str] = "g"

    @property
    def start(self) -> float:
        """The default value."""
        if self.default is not None:
            return float(self.default)
        return math.sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2

    def check(self, value: object) -> float:
        """The value as a float.

        Args:
            value: as it was given.

        Returns:
            The number.

        Raises:
            KernbenchError: not a number in the range.
        """
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise KernbenchError(f"expected a number, got {value!r}")
        self._refuse_outside(value)
        return float(value)

    @property
    def count(self) -> float:
        """Different values, infinitely many unless low is high."""
        return 1 if self.low == self.high else math.inf


@dataclass(frozen=True)
class Int(_Range[int]):
    """A whole-number hyper-parameter in [low, high].

    Attributes:
        low: smallest value allowed.
        high: largest value allowed.
        log: search on a logarithmic axis; needs low > 0.
        default: value when nothing is asked for; the (geometric, if log) middle, rounded, when not given.
        unit: unit of the value, such as "samples".
        doc: meaning in one line.
        budget: it sets how many parameters the family has; a study with [budget] solves for it.
    """

    @property
    def start(self) -> int:
        """The default value."""
        if self.default is not None:
            return int(self.default)
        return round(math.sqrt(self.low * self.high)) if self.log else (self.low + self.high) // 2

    def check(self, value: object) -> int:
        """The value as an int.

        Args:
            value: as it was given.

        Returns:
            The number.

        Raises:
            KernbenchError: not a whole number in the range.
        """
        if isinstance(value, bool) or not (isinstance(value, int) or (isinstance(value, float) and value.is_integer())):
            raise KernbenchError(f"expected a whole number, got {value!r}")
        self._refuse_outside(int(value))
        return int(value)

    @property
    def count(self) -> float:
        """Different values, low and high among them."""
        return self.high - self.low + 1


@dataclass(frozen=True)
class Choice:
    """One of a few named options; the first is the default unless another is given.

    Attributes:
        options: the values allowed.
        default: value when nothing is asked for.
        unit: unit of the options, such as "samples".
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
        """The option equal to the value.

        Args:
            value: as it was given.

        Returns:
            The option.

        Raises:
            KernbenchError: there is none; with the options.
        """
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

        Args:
            given: a list of options.

        Returns:
            A copy.

        Raises:
            KernbenchError: no list, not an option, one twice, or without the default.
        """
        if not isinstance(given, list | tuple) or not given:
            raise KernbenchError(f"expected true or a list of {', '.join(map(str, self.options))}, got {given!r}")
        options = tuple(self.check(each) for each in given)
        if len(set(options)) != len(options):
            raise KernbenchError(f"the same option is given twice in {given!r}")
        if self.start not in options:
            raise KernbenchError(f"default {self.start} is not among {given!r}")
        return replace(self, options=options, default=self.start)

    def as_json(self) -> dict[str, Any]:
        """The options, as a definition stores them.

        Returns:
            Names and values that JSON knows.
        """
        return {"options": list(self.options), "default": self.start}

    def describe(self) -> str:
        """The options and their unit.

        Returns:
            Text such as "8 | 16 samples".
        """
        return f"{' | '.join(map(str, self.options))}{' ' if self.unit else ''}{self.unit}"


Parameter = Float | Int | Choice
