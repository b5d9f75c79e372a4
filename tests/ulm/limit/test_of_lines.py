"""Bounds of lines: which bubbles, from the cache, and as they were computed before."""

import json

import numpy as np
import pytest

from kernbench.errors import DataError, KernbenchWarning
from kernbench.ulm.data.recipe import Recipe, draw_line
from kernbench.ulm.limit import of_lines
from kernbench.ulm.limit.bound import sigma_volts
from kernbench.ulm.limit.of_lines import limits_of
from kernbench.ulm.simulator.scene import flatten

SMALL = Recipe({"train": 1, "validation": 1, "test": 3}, window=512, seed=4)


def test_all_bubbles_labelled_in_the_windows_have_a_bound():
    seen = []
    limits = limits_of(SMALL, "test", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    for line in range(3):
        scene, start = draw_line(SMALL, "test", line)
        bubbles = flatten([scene])
        arrival = np.sort(bubbles.arrival_samples)
        label = np.floor(arrival + 0.5)
        inside = (label >= start) & (label < start + 512)
        assert limits.arrival[limits.line == line] == pytest.approx(arrival[inside] - start, abs=1e-9)
        around = np.diff(np.concatenate([[-np.inf], arrival, [np.inf]]))
        nearest = np.minimum(around[:-1], around[1:])
        assert limits.gap[limits.line == line] == pytest.approx(nearest[inside], abs=1e-8)
    assert (limits.per_volt > 0).all()
    assert limits.inner.sum() < len(limits)
    assert (limits.arrival[limits.inner] <= 512 - 180).all()


def test_lines_do_not_depend_on_those_simulated_with_them(monkeypatch):
    together = limits_of(SMALL, "test")
    monkeypatch.setattr(of_lines, "TOGETHER", 1)
    monkeypatch.setattr(of_lines, "VERSION", -1)
    apart = limits_of(SMALL, "test")
    assert np.median(np.abs(apart.per_volt / together.per_volt - 1)) < 1e-5
    first = limits_of(SMALL, "test", lines=1)
    assert first.per_volt == pytest.approx(apart.per_volt[apart.line == 0])


def test_bounds_are_kept_and_checked_when_they_are_read(own_cache, monkeypatch):
    first = limits_of(SMALL, "test")
    monkeypatch.setattr(of_lines, "echo_slopes", None)  # whatever is computed again fails
    again = limits_of(SMALL, "test")
    assert np.array_equal(again.per_volt, first.per_volt)
    assert (again.lines, again.length) == (3, 512)
    monkeypatch.undo()
    monkeypatch.setenv("KERNBENCH_CACHE", str(own_cache))
    (kept,) = own_cache.glob("limits/*/test-3-v1/per_volt.npy")
    content = bytearray(kept.read_bytes())
    content[-1] ^= 1
    kept.write_bytes(content)
    with pytest.warns(KernbenchWarning, match="computing them again"):
        mended = limits_of(SMALL, "test")
    assert np.array_equal(mended.per_volt, first.per_volt)


def test_a_split_that_the_recipe_lacks_is_refused():
    with pytest.raises(DataError, match="tset"):
        limits_of(SMALL, "tset")


@pytest.mark.slow
def test_bounds_of_the_quick_windows_are_those_of_an_independent_computation(reference):
    limits = limits_of(Recipe({"train": 128, "validation": 64, "test": 128}, window=2048, seed=2022), "test")
    wanted = json.loads((reference / "crb.json").read_text(encoding="utf-8"))["windows"]
    for name, which in (("inner", limits.inner), ("inside", np.ones(len(limits), bool))):
        assert abs(which.sum() - wanted[name]["known_radii_unbiased"]["8"]["n"]) <= 3
        for percent, known in wanted[name]["known_radii_unbiased"].items():
            found = limits.per_volt[which] * sigma_volts(float(percent))
            assert np.median(found) == pytest.approx(known["median"], rel=0.01)
            assert np.quantile(found, [0.05, 0.25, 0.75]) == pytest.approx(
                [known[q] for q in ("q05", "q25", "q75")], rel=0.01
            )
            assert (found > 4).mean() == pytest.approx(known["share_above"]["4"], abs=1e-3)
