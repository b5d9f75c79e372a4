"""Names of kernels: the law of the p-values, planted curves, random kernels, the chance lines of the literature."""

import mpmath
import numpy as np
import pytest
import scipy.stats
from hypothesis import example, given
from hypothesis import strategies as st

from kernbench.analysis.atoms import DERIVATIVES, Atom, Shape, Template, dictionary, unit
from kernbench.analysis.identification import (
    LEVEL,
    USELESS,
    chance_lines,
    chosen,
    log_tail,
    match,
    match_all,
    needed,
)
from kernbench.analysis.stencils import STENCILS
from kernbench.errors import KernbenchError

BY_NAME = {each.name: each.taps for each in STENCILS}


def planted(taps, size, shift, noise=0.0, seed=0):
    """Taps somewhere in a kernel, with noise of that share of their norm."""
    kernel = np.zeros(size)
    kernel[shift : shift + len(taps)] = taps
    away = np.random.default_rng(seed).standard_normal(size)
    return kernel + noise * np.linalg.norm(taps) * away / np.linalg.norm(away)


def names(kernels, size):
    """Name of each kernel, "" for none."""
    atoms = dictionary(size)
    found = match(unit(kernels), atoms)
    return [atoms[at].name if named else "" for at, named in zip(found.nearest, found.named.any(axis=1), strict=True)]


def test_several_arrays_are_matched_as_each_alone():
    atoms = dictionary(17)
    several = [unit(np.random.default_rng(seed).standard_normal((rows, 17))) for seed, rows in enumerate((5, 0, 3, 1))]
    together = match_all(several, atoms)
    for kernels, found in zip(several, together, strict=True):
        alone = match(kernels, atoms)
        assert found.cosine == pytest.approx(alone.cosine, abs=1e-6)
        assert np.array_equal(found.nearest, alone.nearest)
    assert match_all([], atoms) == []


@pytest.mark.parametrize(("size", "rank"), [(3, 1), (9, 1), (65, 1), (5, 2), (33, 2)])
def test_the_tail_is_what_random_directions_have(size, rank):
    random = unit(np.random.default_rng(0).standard_normal((200_000, size)))
    length = np.linalg.norm(random[:, :rank], axis=1)
    for cosine in (0.1, 0.3, 0.6):
        wanted = float(np.exp(log_tail(cosine, size, rank)))
        spread = np.sqrt(wanted * (1 - wanted) / len(length))
        assert abs(np.mean(length > cosine) - wanted) < 4.5 * spread + 1e-12


@example(2.2e-10, 34, 1)
@example(1e-5, 34, 2)
@given(st.floats(0, 0.9), st.integers(3, 80), st.sampled_from([1, 2]))
def test_the_tail_is_the_beta_law_of_scipy(cosine, size, rank):
    wanted = scipy.stats.beta.logsf(cosine**2, rank / 2, (size - rank) / 2)
    assert log_tail(cosine, size, rank) == pytest.approx(wanted, rel=1e-6, abs=1e-300)


@pytest.mark.parametrize(
    ("cosine", "size", "rank"), [(0.99, 2111, 1), (0.9, 2111, 1), (0.999, 513, 1), (0.95, 2111, 2)]
)
def test_far_out_the_tail_is_the_one_of_mpmath(cosine, size, rank):
    with mpmath.workdps(60):
        rest = 1 - mpmath.mpf(cosine) ** 2
        a, b = mpmath.mpf(size - rank) / 2, mpmath.mpf(rank) / 2
        wanted = float(mpmath.log(mpmath.betainc(a, b, 0, rest, regularized=True)))
    assert wanted < -500
    assert log_tail(cosine, size, rank) == pytest.approx(wanted, rel=1e-9)


def test_three_taps_have_a_tail_of_one_minus_cosine():
    cosine = np.linspace(0, 1 - 1e-9, 50)
    assert np.exp(log_tail(cosine, 3)) == pytest.approx(1 - cosine, rel=1e-6)


def test_the_needed_cosine_is_where_the_corrected_p_is_the_level():
    for size in (5, 9, 33):
        atoms = dictionary(size)
        cosine = needed(size, atoms)
        p = [len(atoms) * a.places(size) * float(np.exp(log_tail(cosine, size, a.rank))) for a in atoms]
        assert min(p) == pytest.approx(LEVEL)


def test_from_three_taps_nothing_can_be_concluded_and_from_nine_something_can():
    assert needed(3, dictionary(3)) > USELESS
    assert needed(1, dictionary(1)) == 1
    assert needed(2, dictionary(2)) > USELESS
    assert needed(5, dictionary(5)) < USELESS
    assert needed(9, dictionary(9)) < 0.96


def test_thirteen_three_tap_stencils_find_a_random_kernel_as_the_literature_says():
    atoms = dictionary(3)
    assert sum(atom.places(3) for atom in atoms) == 13
    best, each = chance_lines(3, atoms, draws=50_000)
    assert best.median == pytest.approx(0.953, abs=0.002)
    assert best.high == pytest.approx(0.996, abs=0.0005)
    assert max(line.median for line in each) < best.median


NINETEEN = {5: (0.78, 0.95), 9: (0.57, 0.81), 17: (0.40, 0.62), 33: (0.28, 0.46), 65: (0.20, 0.34)}


@pytest.mark.parametrize("size", NINETEEN)
def test_nineteen_stencils_without_shifts_find_random_kernels_as_the_literature_says(size):
    """Three shifts, two trapezoids, two differences, twelve others about the middle; their list is not recorded."""
    middle = size // 2
    off = {"identity": (-1, 0, 1), "trapezoid": (-1, 0), "first difference": (-1, 0)}
    others = [name for name, taps in BY_NAME.items() if 3 <= len(taps) <= 5 and "of 5" not in name]
    off |= {name: (-(len(BY_NAME[name]) // 2),) for name in [*others, "smoothing of 5", "slope of 5"]}
    atoms = [
        Atom(name, [Template(planted(BY_NAME[name], size, middle + shift)[None])])
        for name, shifts in off.items()
        for shift in shifts
    ]
    assert len(atoms) == 19
    best, _ = chance_lines(size, atoms, draws=20_000)
    assert (best.median, best.high) == pytest.approx(NINETEEN[size], abs=0.015)


@pytest.mark.parametrize("size", [9, 33, 65])
def test_random_kernels_are_named_no_more_often_than_chance_allows(size):
    random = unit(np.random.default_rng(7).standard_normal((1000, size)))
    found = match(random, dictionary(size))
    assert found.named.sum() <= scipy.stats.binom.isf(1e-3, 1000, LEVEL)
    # the bound holds over the whole range, not at one level alone
    for level in (0.01, 0.05, 0.2):
        assert (found.p < level).sum() <= scipy.stats.binom.isf(1e-3, 1000, level)


@pytest.mark.parametrize("size", [7, 9, 17, 65])
def test_planted_stencils_with_a_tenth_of_noise_are_named_right(size):
    rng = np.random.default_rng(size)
    cases = [(name, rng.integers(0, size - len(taps) + 1)) for name, taps in BY_NAME.items() for _ in range(15)]
    kernels = [planted(BY_NAME[name], size, shift, 0.1, seed) for seed, (name, shift) in enumerate(cases)]
    right = [name in found.split(" / ") for (name, _), found in zip(cases, names(kernels, size), strict=True)]
    assert np.mean(right) >= 0.95


@given(st.sampled_from(sorted(BY_NAME)), st.integers(7, 19), st.floats(0.01, 100), st.booleans(), st.integers(0, 2**31))
def test_neither_sign_nor_scale_nor_shift_of_a_kernel_matters(name, shift, factor, flipped, seed):
    taps = BY_NAME[name] + 0.3 * np.random.default_rng(seed).standard_normal(len(BY_NAME[name]))
    atoms = [atom for atom in dictionary(33) if not atom.unit]
    # seven zeros at either end, so that every stencil finds all its places at every shift
    kernel, other = planted(taps, 33, 7), (-factor if flipped else factor) * planted(taps, 33, shift)
    first, second = (match(unit([each]), atoms) for each in (kernel, other))
    assert first.cosine == pytest.approx(second.cosine, abs=1e-5)
    assert first.nearest == second.nearest or np.ptp(np.sort(first.log_p[0])[:2]) < 1e-3


@pytest.mark.parametrize("name", DERIVATIVES)
def test_waves_between_the_widths_of_the_grid_are_found_and_their_width_is_read(name):
    size, rng, time = 257, np.random.default_rng(1), np.arange(257)
    order = DERIVATIVES.index(name)
    atoms = dictionary(size)
    at = [atom.name for atom in atoms].index(name)
    for _ in range(40):
        width, centre = 2 ** rng.uniform(1, 5), rng.uniform(118, 138)
        where = (time - centre) / width
        curve = np.polynomial.hermite_e.hermeval(where, [0] * order + [1]) * np.exp(-(where**2) / 2)
        found = match(unit([curve]), atoms)
        assert found.cosine[0, at] > 0.96
        assert found.nearest[0] == at
        assert found.scale[0, at] == pytest.approx(width, rel=0.2)


def test_gabor_waves_of_any_phase_are_found():
    size, rng, time = 257, np.random.default_rng(2), np.arange(257)
    atoms = dictionary(size)
    at = [atom.name for atom in atoms].index("Gabor")
    for _ in range(40):
        width, centre, phase = 2 ** rng.uniform(2, 5), rng.uniform(118, 138), rng.uniform(0, 2 * np.pi)
        where = (time - centre) / width
        curve = np.exp(-(where**2) / 2) * np.cos(2 * np.pi * rng.uniform(0.65, 1.5) * where + phase)
        found = match(unit([curve]), atoms)
        assert found.cosine[0, at] > 0.94
        assert found.nearest[0] == at


@pytest.mark.parametrize("stretch", [0.6, 1.0, 1.7])
def test_a_curve_of_the_task_is_found_stretched_and_shifted(stretch):
    time = np.arange(129)
    shape = Shape("ringing", np.exp(-time / 30) * np.sin(time / 4) * np.sqrt(time))
    atoms = dictionary(257, [shape])
    places = np.arange(int(128 * stretch)) / stretch
    kernel = planted(np.interp(places, time, shape.taps), 257, 20, 0.1)
    found = match(unit([kernel]), atoms)
    assert atoms[found.nearest[0]].name == "ringing"
    assert found.p[0] < LEVEL
    assert found.scale[0, found.nearest[0]] == pytest.approx(stretch, rel=0.1)


def test_short_kernels_are_compared_with_stencils_alone():
    assert all(not atom.unit for atom in dictionary(9, [Shape("ringing", np.ones(9))]))
    assert {atom.name for atom in dictionary(1)} == {"identity"}
    assert {"Gaussian", "Ricker", "Gabor"} <= {atom.name for atom in dictionary(17)}


def test_weak_kernels_are_counted_and_left_out_and_many_are_thinned_evenly():
    kernels = np.random.default_rng(0).standard_normal((6, 9))
    kernels[2] *= 1e-5
    kernels[4] = 0
    found = chosen(kernels)
    assert (found.places.tolist(), found.weak) == ([0, 1, 3, 5], 2)
    assert np.linalg.norm(found.taps, axis=1) == pytest.approx(np.ones(4))
    none = chosen(np.zeros((3, 5)))
    assert (none.taps.shape, none.weak) == ((0, 5), 3)
    assert match(none.taps, dictionary(5)).named.shape == (0, len(dictionary(5)))
    many = chosen(np.random.default_rng(1).standard_normal((2000, 3)))
    assert len(many.places) == 512
    assert {0, 1999} <= set(many.places.tolist())
    assert len(chosen(np.random.default_rng(1).standard_normal((90, 2111))).places) == 31


@pytest.mark.parametrize(("kernels", "message"), [([], "shape"), (1.0, "shape"), ([[1.0, np.inf]], "finite taps")])
def test_bad_kernels_are_refused(kernels, message):
    with pytest.raises(KernbenchError, match=message):
        chosen(kernels)
