"""The conformance checks name what is broken; broken plugins of many kinds."""

from collections import Counter, deque
from functools import cache

import numpy as np
import pytest
import torch
from broken_families import BROKEN, Sound, family

import kernbench
from kernbench.kernels.checks import CHECKS, needs
from kernbench.kernels.conformance import check_family
from kernbench.kernels.finding import Finding

NO_OTHERS = {"build"}  # broken for groups alone: nothing else is skipped
# One needs an accelerator, and what torch can do with a module is shown, not required.
NEVER_FAIL_HERE = {"device", "compile", "func"}


def failures(module, **more):
    return failed(check_family(family(module, **more)))


@cache
def of_broken(name):
    return check_family(BROKEN[name])


def failed(results):
    return [result.name for result in results if result.failed]


def test_the_documented_ten_lines_pass_every_check():
    results = check_family(family(Sound))
    assert [result.name for result in results] == list(CHECKS)
    assert {result.state for result in results} == {"ok", "none"}, results
    assert all("not offered" in each.detail or "accelerator" in each.detail for each in results if each.state == "none")


@pytest.mark.parametrize("name", BROKEN)
def test_a_family_broken_in_one_way_is_caught_by_that_check_alone(name):
    results = of_broken(name)
    assert failed(results) == [name], results


def test_every_check_has_a_broken_family():
    assert set(BROKEN) == set(CHECKS) - NEVER_FAIL_HERE
    assert len(BROKEN) >= 18


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_skipped_needs_what_failed_and_says_so(name):
    for result in of_broken(name):
        repeats = name not in NO_OTHERS and _needs(result.name, name)
        assert (result.state == "skip") == repeats, result
        if result.state == "skip":
            assert result.detail == f"{name} failed"


def _needs(name, other):
    return other in needs(name) or any(_needs(need, other) for need in needs(name))


class NotATensor(Sound):
    def forward(self, grid):
        return 0.0


class NotFiniteAtTheEdgeOfItsSpace(Sound):
    def forward(self, grid):
        return super().forward(grid) * torch.sqrt(60 - self.log_b.exp())


class LazyAttribute(Sound):
    positions = None

    def forward(self, grid):
        if self.positions is None:
            self.positions = grid.lags
        return super().forward(grid)


class KeepsSomething(Sound):
    """Keeps what `keep` says in a container that `make` makes."""

    @staticmethod
    def make():
        return []

    def __init__(self, spec, b=8.0):
        super().__init__(spec, b)
        self.seen = self.make()

    def forward(self, grid):
        self.keep(self.seen)
        return super().forward(grid)


@pytest.mark.parametrize(
    ("make", "keep"),
    [
        (list, lambda seen: seen.append(1)),
        (dict, lambda seen: seen.update(calls=1)),
        (Counter, lambda seen: seen.update("a")),
        (set, lambda seen: seen.add(1)),
        (deque, lambda seen: seen.append(1)),
        (bytearray, lambda seen: seen.extend(b"1")),
        (lambda: np.zeros(2), lambda seen: seen.__setitem__(0, 1)),
        (lambda: {"calls": [[0]]}, lambda seen: seen["calls"][0].append(1)),
        (lambda: ([],), lambda seen: seen[0].append(1)),
        (lambda: [torch.zeros(2)], lambda seen: seen[0].add_(1)),
        (lambda: {"last": torch.zeros(2)}, lambda seen: seen.update(last=torch.ones(2))),
    ],
    ids=["list", "dict", "Counter", "set", "deque", "bytearray", "array", "nested", "tuple", "tensor", "tensors"],
)
def test_what_forward_changes_inside_an_attribute_is_state(make, keep):
    members = {"make": staticmethod(make), "keep": staticmethod(keep)}
    with pytest.raises(Finding, match=r"creates or changes seen; decide everything in __init__"):
        CHECKS["stateless-forward"](family(type("Keeps", (KeepsSomething,), members)))


def test_a_container_that_stays_as_it_is_is_no_state():
    def holds_itself():
        seen = [1, {"a": torch.zeros(2)}, {2}, np.zeros(2)]
        seen.append(seen)
        return seen

    members = {"make": staticmethod(holds_itself), "keep": staticmethod(len)}
    assert CHECKS["stateless-forward"](family(type("Keeps", (KeepsSomething,), members))) == "forward changes nothing"


class LazyParameter(Sound):
    def forward(self, grid):
        if not hasattr(self, "late"):
            self.late = torch.nn.Parameter(torch.ones(()))
        return super().forward(grid) * self.late


class MovesTheGrid(Sound):
    def forward(self, grid):
        return self.weight * torch.exp(-grid.lags.abs_() / self.log_b.exp())


class OwnGenerator(Sound):
    def __init__(self, spec, b=8.0):
        super().__init__(spec, b)
        generator = torch.Generator()
        generator.seed()
        self.weight.data.uniform_(-1, 1, generator=generator)


class ForgetsItsHyperParameters(Sound):
    def __init__(self, spec, b=8.0):
        super().__init__(spec)
        self.b = b

    def forward(self, grid):
        return super().forward(grid) * torch.cos(grid.lags / self.b)

    def get_extra_state(self):
        return torch.zeros(1)

    def set_extra_state(self, state):
        pass


class OddOnly(Sound):
    def forward(self, grid):
        return super().forward(grid)[..., : grid.lags.numel() - (grid.origin is None)]


class RaisesInInit(Sound):
    def __init__(self, spec, b=8.0):
        raise SystemError("no")


class ExitsInForward(Sound):
    def forward(self, grid):
        raise SystemExit(3)


class NaNInDouble(Sound):
    def forward(self, grid):
        return super().forward(grid) * (1.0 if grid.lags.dtype == torch.float32 else torch.nan)


class NotCausal(Sound):
    def __init__(self, spec, b=8.0):
        if spec.side == "causal":
            raise kernbench.KernbenchError("no lags before 0 alone")
        super().__init__(spec, b)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (NotATensor, "shape"),
        (ExitsInForward, "shape"),
        (NotFiniteAtTheEdgeOfItsSpace, "finite"),
        (LazyAttribute, "stateless-forward"),
        (LazyParameter, "stateless-forward"),
        (MovesTheGrid, "stateless-forward"),
        (RaisesInInit, "build"),
        (OwnGenerator, "determinism"),
        (ForgetsItsHyperParameters, "state-dict"),
        (OddOnly, "every-k"),
        (NaNInDouble, "dtype"),
    ],
)
def test_other_breaks_are_named_by_one_check_alone(module, name):
    assert failures(module) == [name]


class TransposedInGroups(Sound):
    def forward(self, grid):
        kernel = super().forward(grid)
        return kernel.transpose(0, 1) if self.spec.groups > 1 else kernel


class NaNWhereDilated(Sound):
    def forward(self, grid):
        return super().forward(grid) * (torch.nan if self.spec.dilation > 1 else 1.0)


class ZeroFromOneChannel(Sound):
    def forward(self, grid):
        return super().forward(grid) * (self.spec.in_channels > 1)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (TransposedInGroups, "shape"),
        (NaNWhereDilated, "finite"),
        (ZeroFromOneChannel, "alive"),
        (OwnGenerator, "determinism"),
        (NotCausal, "sides"),
    ],
)
def test_what_holds_for_some_kernels_alone_keeps_no_check_from_running(module, name):
    states = {result.name: result.state for result in check_family(family(module))}
    assert {check: state for check, state in states.items() if state not in ("ok", "none")} == {name: "FAIL"}
    assert list(states) == list(CHECKS)


def test_two_breaks_are_two_findings():
    class Both(Sound):
        param_count = staticmethod(lambda spec, b=8.0: spec.pairs)

        def forward(self, grid):
            return super().forward(grid)[0]

    assert failures(Both) == ["shape", "param-count"]


class Steeper(Sound):
    """exp(-p |lag| / b) with p of its own: p = 1 is `Sound`."""

    def __init__(self, spec, b=8.0):
        super().__init__(spec, b)
        self.power = torch.nn.Parameter(torch.tensor(1.5))

    def forward(self, grid):
        return self.weight * torch.exp(-self.power * grid.lags.abs() / self.log_b.exp())


def steeper_of_sound(sound):
    own = Steeper(sound.spec)
    own.weight.copy_(sound.weight)
    own.log_b.copy_(sound.log_b)
    own.power.fill_(1.0)
    return own


def refuses(sound):
    raise ValueError("no such kernel")


@pytest.mark.parametrize(
    ("embed", "said"),
    [
        (steeper_of_sound, ""),
        (refuses, "ValueError: no such kernel"),
        (lambda sound: sound, "embed must return a Steeper, got Sound"),
        (lambda sound: Steeper(sound.spec), "kernels differ by"),
        ("no.such:function", "No module named"),
    ],
)
def test_an_inclusion_is_held_to_its_word(embed, said):
    contains = (kernbench.Inclusion("sound", Sound, embed, hyper={"b": 3.0}),)
    (result,) = (each for each in check_family(family(Steeper, contains=contains)) if each.name == "inclusions")
    assert (result.state, said in result.detail) == ("FAIL" if said else "ok", True), result
    assert torch.get_default_dtype() == torch.float32


def of_inclusions(known, name="sound", module=Sound):
    contains = (kernbench.Inclusion(name, module, steeper_of_sound, hyper={"b": 3.0}),)
    results = check_family(family(Steeper, contains=contains), known)
    return next((each.state, each.detail) for each in results if each.name == "inclusions")


def test_what_a_family_contains_is_a_known_family():
    known = {"sound": family(Sound), "steeper": family(Steeper)}
    assert of_inclusions(known)[0] == "ok"
    state, said = of_inclusions(known, "soudn")
    assert (state, "contains 'soudn', but no family" in said) == ("FAIL", True)
    assert said.endswith("; did you mean 'sound'?")
    state, said = of_inclusions(known, "steeper")
    assert (state, "'steeper', whose class is Steeper, but gives Sound" in said) == ("FAIL", True)
    assert of_inclusions(None, "soudn")[0] == "ok"  # names are not looked up


def test_what_is_no_inclusion_is_refused_where_it_is_declared():
    with pytest.raises(kernbench.KernbenchError, match=r"embed must be 'package.module:name', got 'louder'"):
        kernbench.Inclusion("sound", Sound, "louder")
    with pytest.raises(kernbench.KernbenchError, match=r"a tuple of kernbench.Inclusion"):
        family(Sound, contains="sound")


class AsksForAValue(Sound):
    """Neither a graph nor vmap knows the value of a parameter."""

    def forward(self, grid):
        return super().forward(grid) * (2.0 if self.log_b.item() > 0 else 1.0)


def test_what_torch_cannot_do_with_it_is_a_note_and_no_failure():
    results = {result.name: result for result in check_family(family(AsksForAValue))}
    assert {name for name, result in results.items() if result.state == "note"} == {"compile", "func"}
    assert all(result.passed and not result.failed for result in results.values())
    assert "torch.compile" in results["compile"].detail
    assert "torch.func" in results["func"].detail


def test_findings_are_one_line_and_leave_the_random_state_alone():
    before = torch.get_rng_state()
    for name in ("shape", "determinism", "state-dict"):
        assert all("\n" not in result.detail for result in check_family(BROKEN[name]))
    assert torch.equal(before, torch.get_rng_state())
