"""A family made as large as a budget says: solved by integer search, equal to brute force, refused with the nearest."""

import itertools
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kernbench
from kernbench.errors import KernbenchError, PluginError
from kernbench.kernels import budget
from kernbench.kernels.budget import OPERATIONS, budget_integers, kernels_count, solve
from kernbench.registry import find_family

LAYERS = (kernbench.KernelSpec(3, 1, kernel_size=9), *(kernbench.KernelSpec(3, 3, kernel_size=9) for _ in range(2)))


def made(count, scales=True, **space):
    """A family whose closed form is `count(spec, **hyper)`."""
    members = {"param_count": staticmethod(count), "kernel_flops": staticmethod(count)}
    if scales:
        members["scale_"] = lambda self, factor: None
    return kernbench.KernelFamily("made", type("Made", (kernbench.KernelModule,), members), space=space)


def by_hand(family, layers, target, beside):
    """The nearest count and the setting least from the defaults, with every setting tried."""
    whole = budget_integers(family)
    found = []
    for values in itertools.product(*(range(p.low, p.high + 1) for p in whole.values())):
        hyper = dict(zip(whole, values, strict=True))
        count = beside + sum(family.param_count(layer, hyper) for layer in layers)
        change = sum(abs(v - p.start) / max(1, p.high - p.low) for v, p in zip(values, whole.values(), strict=True))
        found.append((abs(count - target), change, values, count))
    return min(found)


NUMBERS = st.integers(0, 20)


@settings(max_examples=60, deadline=None)
@given(NUMBERS, NUMBERS, st.integers(1, 9), st.integers(0, 60), st.integers(0, 3), st.integers(1, 3000), NUMBERS)
def test_a_monotone_family_is_solved_as_brute_force_solves_it(linear, square, low, more, second, target, beside):
    def count(spec, width=1, depth=1, **_):
        return linear * width * depth + square * width**2 + min(depth, 2) * spec.pairs

    family = made(
        count,
        width=kernbench.Int(low, low + more, budget=True),
        depth=kernbench.Int(1, 1 + second, budget=True),
        other=kernbench.Int(1, 9),  # no matter of size
    )
    distance, _, values, nearest = by_hand(family, LAYERS, target, beside)
    if 100 * distance <= 2 * target:
        found = solve(family, LAYERS, target, beside=beside)
        assert (tuple(found.solved.values()), found.count) == (values, nearest)
        assert abs(found.ratio - 1) <= 0.02
        assert found.hyper == {"width": values[0], "depth": values[1], "other": 5}
    else:
        with pytest.raises(KernbenchError, match=rf"'made' cannot have {target:,} parameters at K = 9 within 2 %"):
            solve(family, LAYERS, target, beside=beside)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 9), st.integers(1, 9), st.integers(1, 12), st.integers(1, 10**6), st.integers(1, 60_000))
def test_a_range_too_long_to_try_is_bisected_to_the_same_setting(constant, slope, step, target, default):
    def count(spec, width=1):
        return constant + slope * (width // step)  # of equal counts there are `step`

    family = made(count, width=kernbench.Int(1, 60_000, default=default, budget=True))
    total = [3 * (constant + slope * (width // step)) for width in range(1, 60_001)]
    nearest = min(abs(each - target) for each in total)
    equal = [width for width, each in enumerate(total, 1) if abs(each - target) == nearest]
    if 100 * nearest <= 2 * target:
        found = solve(family, LAYERS, target)
        assert found.solved["width"] == min(equal, key=lambda width: (abs(width - default), width))
    else:
        with pytest.raises(KernbenchError, match="nearest"):
            solve(family, LAYERS, target)


def test_a_count_that_does_not_grow_with_its_number_is_solved_all_the_same():
    family = made(lambda spec, width=1: 100 + (width * 37) % 101, width=kernbench.Int(1, 100, budget=True))
    assert solve(family, LAYERS, 3 * 150).solved == {"width": next(w for w in range(1, 101) if w * 37 % 101 == 50)}


def test_of_equal_counts_the_one_nearest_to_the_default_is_taken():
    family = made(lambda spec, knots=1: min(knots, 9), knots=kernbench.Int(2, 64, default=16, budget=True))
    assert solve(family, LAYERS, 27).solved == {"knots": 16}


def test_a_refusal_names_family_size_and_the_nearest_two():
    family = made(lambda spec, width=1: 100 * width, width=kernbench.Int(1, 9, budget=True))
    expected = (
        r"family 'made' cannot have 1,000 parameters at K = 9 within 2 %; nearest: 910 \(ratio 0\.910, with width = 3\)"
        r", or 1,210 \(ratio 1\.210, with width = 4\)"
    )
    with pytest.raises(KernbenchError, match=f"^{expected}$"):
        solve(family, LAYERS, 1000, beside=10)
    with pytest.raises(KernbenchError, match=r"or none above$"):
        solve(family, LAYERS, 10**6)
    with pytest.raises(KernbenchError, match=r"nearest: none below, or 300"):
        solve(family, LAYERS, 20)


def test_a_family_of_a_fixed_size_matches_exactly_or_is_refused():
    family = made(lambda spec: 100)
    assert solve(family, LAYERS, 310, beside=10).solved == {}
    with pytest.raises(KernbenchError, match=r"'made' cannot have 309 .* its size is fixed, at 310 \(ratio 1\.003\)"):
        solve(family, LAYERS, 309, beside=10)


def test_a_family_that_marks_no_number_is_notified_which_it_could_mark():
    space = {
        "terms": kernbench.Int(1, 9, default=2),
        "seed": kernbench.Int(0, 9, default=0),
        "b": kernbench.Float(1, 2),
    }
    family = made(lambda spec, terms, **_: 50 * terms, **space)
    said = r"no hyper-parameter is marked budget=True \(terms could be\), its size is fixed, at 300 \(ratio 0\.750\)$"
    with pytest.raises(KernbenchError, match=said):
        solve(family, LAYERS, 400)
    with pytest.raises(KernbenchError, match=r"terms could be"):
        solve(family, LAYERS, 400, {"b": 1.5})


def test_a_fixed_number_keeps_its_value_and_the_others_are_solved_for():
    def count(spec, width=1, depth=1, **_):
        return 100 * width + depth

    whole = {"width": kernbench.Int(1, 9, budget=True), "depth": kernbench.Int(1, 99, budget=True)}
    family = made(count, **whole)
    assert solve(family, LAYERS, 3 * 450, {"width": 4}).hyper == {"width": 4, "depth": 50}
    with pytest.raises(KernbenchError, match=r"nearest: 447 \(ratio 0\.745, with depth = 49\)"):
        solve(made(count, width=whole["width"], depth=kernbench.Int(1, 49, budget=True)), LAYERS, 600, {"width": 1})


def test_a_refusal_says_which_number_fixes_the_size():
    family = made(lambda spec, width=1: 100 * width, width=kernbench.Int(1, 9, budget=True))
    assert solve(family, LAYERS, 905, {"width": 3}).count == 900
    with pytest.raises(KernbenchError, match=r"its size is fixed by width = 3, at 900 \(ratio 0\.900\)$"):
        solve(family, LAYERS, 1000, {"width": 3})


def test_a_family_without_scale_has_an_amplitude_per_output_channel():
    space = {"width": kernbench.Int(1, 9, budget=True)}
    plain, own = (made(lambda spec, width=1: 10 * width, scales=scales, **space) for scales in (False, True))
    counts = [kernels_count(family, LAYERS, {"width": 2}) for family in (plain, own)]
    assert counts == [60 + 9, 60]
    assert kernels_count(plain, LAYERS, {"width": 2}, unit_gain=False) == 60
    assert kernels_count(plain, LAYERS, {"width": 2}, OPERATIONS) == 60
    assert solve(plain, LAYERS, 69).solved == {"width": 2}


def test_settings_that_the_family_refuses_are_passed_over():
    def count(spec, width=1):
        if width > 5:
            raise KernbenchError("too wide")
        return 10 * width

    family = made(count, width=kernbench.Int(1, 9, budget=True))
    assert solve(family, LAYERS, 150).solved == {"width": 5}
    with pytest.raises(KernbenchError, match=r"nearest: 150 .*none above"):
        solve(family, LAYERS, 180)


def test_what_cannot_be_counted_is_one_clear_line():
    def broken(spec, **_):
        raise ZeroDivisionError("no\nsecond line")

    with pytest.raises(PluginError, match=r"'made' cannot count its parameters: ZeroDivisionError: no$"):
        solve(made(broken, width=kernbench.Int(1, 9, budget=True)), LAYERS, 100)
    silent = kernbench.KernelFamily("silent", type("Silent", (kernbench.KernelModule,), {}))
    with pytest.raises(PluginError, match="'silent' does not say its operations; it has no kernel_flops"):
        kernels_count(silent, LAYERS, {}, OPERATIONS)
    many = {name: kernbench.Int(1, 200, budget=True) for name in "abc"}
    with pytest.raises(KernbenchError, match=r"too many settings of a, b, c to count: 40,000 .* under \[hyper\.made\]"):
        solve(made(lambda spec, **_: 1, **many), LAYERS, 100)


def test_only_whole_numbers_that_are_marked_are_solved_for():
    siren, discrete = (find_family(name) for name in ("siren", "discrete"))
    assert list(budget_integers(siren)) == ["hidden"]
    assert budget_integers(siren, {"hidden": 8}) == budget_integers(discrete) == {}


def test_importing_it_imports_no_torch():
    code = f"import sys, {budget.__name__}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
