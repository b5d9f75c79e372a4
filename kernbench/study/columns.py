"""What a task declares of its cells and lines: one entry a number; tables, page, CSV and terminal are made from it."""

from dataclasses import dataclass

TABLE, CSV, PAGE, TERMINAL, DASHBOARD = "table", "csv", "page", "terminal", "dashboard"


@dataclass(frozen=True)
class Column:
    """A number that a finished cell reports.

    Attributes:
        name: in Python and in the table of runs.
        label: heading for a reader.
        meaning: one line.
        unit: behind the number, empty for a count.
        digits: decimals when it is read.
        whole: whether it is a whole number.
        shown: where it appears beside the table of runs: "csv", "page", "terminal", "dashboard".
        csv: its name in CSV tables; `name` if empty.
        attribute: its name among the attributes of a trial; `name` if empty.
    """

    name: str
    label: str
    meaning: str
    unit: str = ""
    digits: int = 0
    whole: bool = False
    shown: tuple[str, ...] = (CSV, PAGE, TERMINAL, DASHBOARD)
    csv: str = ""
    attribute: str = ""

    @property
    def heading(self) -> str:
        """Label and unit: "latency [ms]"."""
        return f"{self.label} [{self.unit}]" if self.unit else self.label

    def text(self, value: float | None) -> str:
        """A value with its unit for a reader; empty where it was not measured."""
        return "" if value is None else f"{value:,.{self.digits}f}{f' {self.unit}' if self.unit else ''}"

    @property
    def attribute_name(self) -> str:
        """Name among the attributes of a trial."""
        return self.attribute or self.name


@dataclass(frozen=True)
class Fact:
    """Something known of each evaluated line.

    Attributes:
        name: in Python and in the table of lines.
        meaning: one line.
        unit: of the number, empty for a count.
        whole: whether it is a whole number.
    """

    name: str
    meaning: str
    unit: str = ""
    whole: bool = False


@dataclass(frozen=True)
class Floor:
    """A detector that never uses the signal: its mean score at each tolerance.

    Attributes:
        name: in Python and in the table of floors.
        label: for a reader.
    """

    name: str
    label: str
