"""A fair budget: the whole-number hyper-parameters of a family solved for a number of parameters (no torch)."""

import bisect
import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kernbench.errors import KernbenchError, PluginError, first_line
from kernbench.kernels import capabilities
from kernbench.kernels.family import KernelFamily
from kernbench.kernels.space import Int, Value

if TYPE_CHECKING:
    from kernbench.kernels.base import KernelSpec

PARAMETERS, OPERATIONS = "parameters", "operations"
QUANTITIES = (PARAMETERS, OPERATIONS)

PERCENT = 2  # that a count may be from its budget
MOST_SETTINGS = 4096  # that are counted one by one

Values = tuple[int, ...]  # of the hyper-parameters that are solved for, in the order of the space


@dataclass(frozen=True)
class Solution:
    """Hyper-parameters that meet a budget.

    Attributes:
        hyper: all hyper-parameters of the family.
        solved: those that were chosen for the budget.
        count: parameters or operations that they give.
        target: those that were asked for.
    """

    hyper: Mapping[str, Value]
    solved: Mapping[str, int]
    count: int
    target: int

    @property
    def ratio(self) -> float:
        """Count over target."""
        return _ratio(self.count, self.target)


def budget_integers(family: KernelFamily, fixed: Mapping[str, object] | None = None) -> dict[str, Int]:
    """Hyper-parameters that set how large a family is, and that nothing fixes.

    Args:
        family: declares them with `budget=True`.
        fixed: name -> value of those that stay as they are.

    Returns:
        Name -> `Int`; empty for a family such as `discrete`. A `Float` or `Choice` is never solved for.
    """
    space = family.parameters.items()
    return {name: p for name, p in space if isinstance(p, Int) and p.budget and name not in (fixed or {})}


def kernels_count(
    family: KernelFamily,
    layers: "Sequence[KernelSpec]",
    hyper: Mapping[str, object] | None = None,
    quantity: str = PARAMETERS,
    *,
    unit_gain: bool = True,
) -> int:
    """What the kernels of all layers of a network have together, by the closed forms of their family.

    Args:
        family: makes the kernels.
        layers: the convolution layers.
        hyper: hyper-parameters; defaults for those left out.
        quantity: "parameters": trainable numbers; "operations": floating-point, to make all kernels once.
        unit_gain: layers start at gain 1: a family without `scale_` has a learnable amplitude per output channel more.

    Returns:
        A number of parameters or operations; biases and normalization are not among them.

    Raises:
        KernbenchError: a hyper-parameter that does not fit, or a family that does not say its operations.
        PluginError: a closed form that raises.
    """
    alike: dict[tuple[object, ...], list[KernelSpec]] = {}
    for layer in layers:
        alike.setdefault(dataclasses.astuple(layer), []).append(layer)
    amplitudes = quantity == PARAMETERS and unit_gain and capabilities.of(family.load(), "scale_") is None
    return sum(
        len(same) * (_kernel_count(family, same[0], hyper, quantity) + amplitudes * same[0].out_channels)
        for same in alike.values()
    )


def solve(
    family: KernelFamily,
    layers: "Sequence[KernelSpec]",
    target: int,
    fixed: Mapping[str, object] | None = None,
    quantity: str = PARAMETERS,
    *,
    beside: int = 0,
    unit_gain: bool = True,
) -> Solution:
    """The setting of a family for which one network comes nearest to a budget.

    Of settings that are equally near, the one that differs least from the defaults is taken. A family without
    whole numbers to solve for has to match exactly.

    Args:
        family: makes the kernels.
        layers: the convolution layers of the network.
        target: parameters of the network, or operations that make its kernels.
        fixed: hyper-parameters that stay as they are; others that are not solved for have their defaults.
        quantity: see `kernels_count`.
        beside: what the network has beside its kernels: biases, normalization, last layer.
        unit_gain: see `kernels_count`.

    Returns:
        The setting, within 2 % of the target.

    Raises:
        KernbenchError: no setting is within 2 %, with the nearest below and above; or too many have to be counted.
        PluginError: see `kernels_count`.
    """
    whole, given = budget_integers(family, fixed), family.resolve(fixed)

    def count(hyper: Mapping[str, Value]) -> int:
        return beside + kernels_count(family, layers, hyper, quantity, unit_gain=unit_gain)

    search, fitting = _counted(family, target, whole, given, count)
    best = min(fitting, key=lambda each: (abs(fitting[each] - target), search.change(each)), default=None)
    allowed = PERCENT * target if budget_integers(family) else 0
    if best is None or 100 * abs(fitting[best] - target) > allowed:
        raise KernbenchError(_refusal(family, layers, quantity, given, search, fitting))
    solved = dict(zip(whole, best, strict=True))
    return Solution(given | solved, solved, fitting[best], target)


def largest(family: KernelFamily, layers: "Sequence[KernelSpec]", target: int) -> Solution:
    """The setting with the most parameters that are no more than a target; if all have more, the smallest one.

    Of settings with as many parameters, the one that differs least from the defaults is taken.

    Args:
        family: makes the kernels.
        layers: the convolution layers, whose kernels alone are counted.
        target: the most parameters; layers start at gain 1, see `kernels_count`.

    Returns:
        The setting; its count is above the target only where the family has none below.

    Raises:
        KernbenchError: the family takes these sizes with no setting, or too many settings have to be counted.
        PluginError: see `kernels_count`.
    """
    whole, given = budget_integers(family), family.resolve()
    search, fitting = _counted(family, target, whole, given, lambda hyper: kernels_count(family, layers, hyper))
    if not fitting:
        raise KernbenchError(f"family {family.name!r} has no setting for K = {layers[0].kernel_size}; take another K")
    below = [values for values in fitting if fitting[values] <= target]
    aim = max(fitting[values] for values in below) if below else min(fitting.values())
    best = min((values for values in fitting if fitting[values] == aim), key=search.change)
    solved = dict(zip(whole, best, strict=True))
    return Solution(given | solved, solved, aim, target)


def _counted(
    family: KernelFamily,
    target: int,
    whole: Mapping[str, Int],
    given: Mapping[str, Value],
    make: Callable[[Mapping[str, Value]], int],
) -> "tuple[_Search, dict[Values, int]]":
    """The search for a target, and the counts of all settings that it tried and that the family takes."""

    def count(values: Values) -> float:
        try:
            return make({**given, **dict(zip(whole, values, strict=True))})
        except PluginError:
            raise
        except KernbenchError:
            if not whole:
                raise
            return math.inf  # a setting that the family refuses at this size

    search = _Search(whole, count, target)
    counted = {values: search.count(values) for values in search.candidates(family.name)}
    return search, {values: int(count) for values, count in counted.items() if count < math.inf}


@dataclass
class _Search:
    """Settings of some whole numbers, of which those near a target are looked for.

    Attributes:
        whole: the hyper-parameters that vary.
        make: counts one setting; infinite where it is refused.
        target: the count that is wanted.
    """

    whole: Mapping[str, Int]
    make: Callable[[Values], float]
    target: int
    known: dict[Values, float] = field(default_factory=dict)

    def count(self, values: Values) -> float:
        """Count of a setting, made once."""
        if values not in self.known:
            self.known[values] = self.make(values)
        return self.known[values]

    def change(self, values: Values) -> tuple[float, Values]:
        """How far from the defaults, in parts of each range; then the values, so that no two settings are equal."""
        pairs = zip(values, self.whole.values(), strict=True)
        return math.fsum(abs(value - p.start) / max(1, p.high - p.low) for value, p in pairs), values

    def candidates(self, family: str) -> Iterator[Values]:
        """All settings; where they are too many, those around the target, as counts grow with the widest number.

        Raises:
            KernbenchError: too many even so.
        """
        ranges = [range(each.low, each.high + 1) for each in self.whole.values()]
        if math.prod(map(len, ranges)) <= MOST_SETTINGS:
            yield from itertools.product(*ranges)
            return
        widest = max(range(len(ranges)), key=lambda place: len(ranges[place]))
        others = [each if place != widest else range(1) for place, each in enumerate(ranges)]
        if (many := math.prod(map(len, others))) > MOST_SETTINGS:
            raise KernbenchError(
                f"family {family!r} has too many settings of {', '.join(self.whole)} to count: {many:,} beside its "
                f"widest number, {MOST_SETTINGS:,} at most; fix some of them under [hyper.{family}]"
            )
        start = [each.start for each in self.whole.values()][widest]
        for rest in itertools.product(*others):
            yield from self._around(rest, widest, ranges[widest], start)

    def _around(self, rest: Values, widest: int, axis: range, start: int) -> Iterator[Values]:
        """The last count below the target and the first that is not: of equal counts the value nearest to `start`."""

        def setting(value: int) -> Values:
            return (*rest[:widest], value, *rest[widest + 1 :])

        def count(value: int) -> float:
            return self.count(setting(value))

        reached = bisect.bisect_left(axis, float(self.target), key=count)
        for place in {max(0, reached - 1), min(reached, len(axis) - 1)}:
            first = bisect.bisect_left(axis, count(axis[place]), key=count)
            last = bisect.bisect_right(axis, count(axis[place]), key=count) - 1
            yield setting(min(max(start, axis[first]), axis[last]))


def _kernel_count(family: KernelFamily, spec: "KernelSpec", hyper: Mapping[str, object] | None, quantity: str) -> int:
    try:
        if quantity == PARAMETERS:
            return family.param_count(spec, hyper)
        closed_form = capabilities.of(family.load(), "kernel_flops")
        if closed_form is not None:
            return int(closed_form(spec, **family.resolve(hyper)))
    except KernbenchError:
        raise
    except (Exception, SystemExit) as error:  # a plugin must not end the program
        raise PluginError(f"family {family.name!r} cannot count its {quantity}: {first_line(error)}") from error
    raise PluginError(f"family {family.name!r} does not say its operations; it has no kernel_flops")


def _refusal(
    family: KernelFamily,
    layers: "Sequence[KernelSpec]",
    quantity: str,
    given: Mapping[str, Value],
    search: _Search,
    fitting: Mapping[Values, int],
) -> str:
    """Why no setting meets the budget, and the nearest on both sides."""
    target, sizes = search.target, sorted({layer.kernel_size for layer in layers})
    taps = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} .. {sizes[-1]}"
    asked = f"family {family.name!r} cannot have {target:,} {quantity} at K = {taps}"
    if not search.whole:
        (count,) = fitting.values()
        by = ", ".join(f"{name} = {given[name]}" for name in budget_integers(family))
        why = f"its size is fixed{f' by {by}' if by else ''}"
        if not by and (could := _sizes(family, layers, quantity, given)):
            why = f"no hyper-parameter is marked budget=True ({', '.join(could)} could be), its size is fixed"
        return f"{asked}: {why}, at {count:,} (ratio {_ratio(count, target):.3f})"
    sides = ([n for n in fitting if fitting[n] <= target], [n for n in fitting if fitting[n] > target])
    said = []
    for side, where in zip(sides, ("below", "above"), strict=True):
        best = min(side, key=lambda each: (abs(fitting[each] - target), search.change(each)), default=None)
        said.append(f"none {where}" if best is None else _option(fitting[best], best, search))
    return f"{asked} within {PERCENT} %; nearest: {said[0]}, or {said[1]}"


def _sizes(
    family: KernelFamily, layers: "Sequence[KernelSpec]", quantity: str, given: Mapping[str, Value]
) -> list[str]:
    """Whole numbers of a family that change how large it is, marked or not."""

    def count(name: str, value: int) -> int | None:
        try:
            return kernels_count(family, layers, {**given, name: value}, quantity)
        except KernbenchError:
            return None  # it is refused at this size

    numbers = {name: p for name, p in family.parameters.items() if isinstance(p, Int)}
    return [name for name, p in numbers.items() if count(name, p.low) != count(name, p.high)]


def _option(count: int, values: Values, search: _Search) -> str:
    setting = ", ".join(f"{name} = {value}" for name, value in zip(search.whole, values, strict=True))
    return f"{count:,} (ratio {_ratio(count, search.target):.3f}, with {setting})"


def _ratio(count: int, target: int) -> float:
    return count / target if target else (1.0 if count == target else math.inf)
