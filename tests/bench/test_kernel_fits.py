"""Families fitted to targets at budgets of parameters, and the targets themselves."""

import csv
import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
import torch

import kernbench
from kernbench.analysis.fit import LEAST_SQUARES, METHODS
from kernbench.bench import fit_targets, kernel_fits
from kernbench.bench.kernel_fit_figure import draw
from kernbench.bench.kernel_fits import Row, error_text, fits, plans, read_rows, summaries, write_rows
from kernbench.errors import PluginError
from kernbench.registry import find_family
from kernbench.ulm.detectors.methods.echoes import simulated_bank

DOCS = Path(__file__).parents[2] / "docs"
NOISE = {"noise": fit_targets.noise()}


def fitted(name, budget, targets=NOISE, seeds=1, steps=50):
    planned = plans([find_family(name)], [budget], len(next(iter(targets.values()))))
    return list(fits(planned, targets, seeds, steps))


@pytest.mark.parametrize("name", ["gaussian", "rbf", "legendre", "wendland", "fourier", "bspline"])
def test_a_bank_reaches_the_optimum_of_its_atoms(name):
    (row,) = fitted(name, 32)
    (plan,) = plans([find_family(name)], [32], fit_targets.TAPS)
    spec = kernbench.KernelSpec(1, 1, kernel_size=fit_targets.TAPS)
    atoms = plan.family.build(spec, plan.hyper).double().bank(spec.grid(dtype=torch.float64)).detach().numpy().T
    best = atoms @ np.linalg.lstsq(atoms, NOISE["noise"], rcond=None)[0]
    assert row.error == pytest.approx(np.linalg.norm(best - NOISE["noise"]), rel=1e-9)  # the target has norm 1
    assert (row.method, row.parameters) == (LEAST_SQUARES, atoms.shape[1])


@pytest.mark.parametrize(("name", "budget"), [("discrete", 16), ("fourier", 129)])
def test_families_of_every_kernel_have_no_error(name, budget):
    targets = {name: make() for name, make in fit_targets.TARGETS.items()}
    rows = fitted(name, budget, targets, steps=0)
    assert max(row.error for row in rows) < 1e-12
    assert {row.parameters for row in rows} == {129}


def test_a_kernel_of_the_family_itself_is_found():
    own = fitted_kernel("gabor", seed=3)
    (row,) = fitted("gabor", 64, {"own": own}, steps=400)
    assert row.error < 1e-3


def fitted_kernel(name, seed):
    spec = kernbench.KernelSpec(1, 1, kernel_size=33)
    torch.manual_seed(seed)
    module = find_family(name).build(spec, {"waves": 2})
    return module(spec.grid()).detach().double().numpy()[0, 0]


def test_the_same_seeds_give_the_same_rows_and_leave_torch_alone():
    torch.manual_seed(11)
    expected = torch.rand(1)
    torch.manual_seed(11)
    first, second = ([dataclasses.replace(row, seconds=0) for row in fitted("siren", 64, seeds=2)] for _ in range(2))
    assert first == second
    assert torch.equal(torch.rand(1), expected)
    assert first[0].error != first[1].error


def test_a_budget_takes_the_most_parameters_it_allows_or_the_fewest_there_are():
    planned = plans([find_family("fourier"), find_family("discrete"), find_family("siren")], [16, 32], 129)
    assert [(p.family.name, p.budget, p.parameters, p.settings) for p in planned] == [
        ("fourier", 16, 15, "modes=7"),
        ("fourier", 32, 31, "modes=15"),
        ("discrete", 16, 129, ""),
        ("discrete", 32, 129, ""),
        ("siren", 16, 42, "hidden=4"),
        ("siren", 32, 42, "hidden=4"),
    ]


def test_a_setting_that_serves_two_budgets_is_fitted_once(monkeypatch):
    calls = []
    monkeypatch.setattr(
        kernel_fits, "fit", lambda modules, *_: calls.append(1) or [kernel_fits.Fit(0.5, METHODS[1])] * len(modules)
    )
    rows = list(fits(plans([find_family("discrete")], [16, 32, 64], 129), NOISE, 2))
    assert len(calls) == 1
    assert [(row.budget, row.seed) for row in rows] == [(b, s) for b in (16, 32, 64) for s in (0, 1)]


def test_an_amplitude_that_a_layer_adds_is_fitted_and_counted():
    class Unscaled(kernbench.KernelModule):
        def __init__(self, spec):
            super().__init__(spec)
            self.width = torch.nn.Parameter(torch.tensor(0.5))

        def forward(self, grid):
            return torch.exp(-((grid.lags / grid.extent / self.width) ** 2)).expand(self.spec.shape)

    family = kernbench.KernelFamily("unscaled", Unscaled)
    (plan,) = plans([family], [16], 33)
    assert plan.parameters == 2
    (row,) = fits([plan], {"bump": 7 * np.exp(-(np.linspace(-1, 1, 33) ** 2) / 0.09)}, 1, 1000)
    assert row.error < 1e-3


def test_a_family_that_fails_is_named_before_anything_is_fitted():
    class Half(kernbench.KernelModule):
        def __init__(self, spec):
            super().__init__(spec)
            self.weight = torch.nn.Parameter(torch.ones(spec.shape))

        def forward(self, grid):
            return self.weight.float() + 0 * grid.lags.float()  # in float64, too

    with pytest.raises(PluginError, match=r"family 'half' returned a kernel in torch\.float32"):
        plans([kernbench.KernelFamily("half", Half)], [16], 9)


def test_targets_have_norm_1_and_are_what_they_are_called():
    found = {name: make() for name, make in fit_targets.TARGETS.items()}
    for name, taps in found.items():
        assert taps.shape == (129,), name
        assert np.linalg.norm(taps) == pytest.approx(1), name
    echo = simulated_bank().echoes[0].double().numpy()
    first = int(np.argmax(np.correlate(echo, found["echo"], "valid")))
    share = np.square(echo[first : first + 129]).sum() / np.square(echo).sum()
    assert 0.99 < share < 1  # docs/kernels.md says 99 %
    assert set(np.round(found["step"] / found["step"][-1], 12)) == {0, 1}
    assert found["step"][63] == 0 < found["step"][64]  # lag 0 belongs to the second half


def test_the_wiener_target_is_its_formula_and_sharpens_the_echo():
    taps, echo = fit_targets.wiener(), simulated_bank().echoes[0].double().numpy()
    points = 768  # of the transform that the detector takes for two lengths of an echo
    spectrum = np.fft.rfft(echo, points)
    power = np.abs(spectrum) ** 2
    kernel = np.fft.fftshift(np.fft.irfft(spectrum / (power + 0.01 * power.max()), points))  # lag 0 in the middle
    first = int(np.argmax(np.convolve(kernel**2, np.ones(129), "valid")))
    expected = kernel[first : first + 129]
    assert taps == pytest.approx(expected / np.linalg.norm(expected), abs=1e-12)
    assert 0.95 < np.square(expected).sum() / np.square(kernel).sum() < 0.97  # docs/kernels.md says 96 %

    def width(kernel):  # samples of the answer to the echo that hold half of its energy
        power = np.sort(np.square(np.correlate(np.pad(echo, 200), kernel, "valid")))[::-1]
        return int(np.searchsorted(np.cumsum(power), power.sum() / 2)) + 1

    assert width(taps) < width(fit_targets.echo())


def test_summaries_are_medians_and_ranges_over_seeds():
    rows = [
        Row("siren", "step", 16, 42, "hidden=4", seed, error, METHODS[2], 0.1) for seed, error in enumerate((3, 1, 2))
    ]
    (found,) = summaries(rows)
    assert (found.median, found.low, found.high, found.parameters) == (2, 1, 3, 42)
    assert found.range_text == "2.000 (1.000 to 3.000)"
    assert [error_text(each) for each in (0.12345, 2e-4, 1e-15)] == ["0.123", "2e-04", "0"]
    assert summaries(rows[:1])[0].range_text == "3.000"


def test_rows_come_back_from_their_file_and_its_columns_are_documented(tmp_path):
    rows = [Row("siren", "step", 16, 42, "hidden=4", 0, 0.1234, METHODS[2], 0.12)]
    write_rows(rows, tmp_path / "fit.csv")
    assert read_rows(tmp_path / "fit.csv") == rows
    head = next(csv.reader((tmp_path / "fit.csv").read_text(encoding="utf-8").splitlines()))
    page = (DOCS / "tables.md").read_text(encoding="utf-8")
    section = page.partition("## fit.csv")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE)) == set(head) - {"family"}  # a shared one


def test_the_published_file_has_every_family_target_budget_and_seed():
    rows = read_rows(DOCS / "data" / "kernel_fit.csv")
    families = {row.family for row in rows}
    assert families >= {"discrete", "siren", "gaussian"}
    assert {row.method for row in rows} <= set(METHODS)
    assert len({(row.family, row.target, row.budget, row.seed) for row in rows}) == len(rows)
    assert len(rows) == len(families) * len(fit_targets.TARGETS) * len(kernel_fits.BUDGETS) * kernel_fits.SEEDS


def test_the_figure_has_a_panel_a_target_and_the_families_once():
    rows = [
        Row(family, target, 16, 15 + 100 * place, "", seed, 10.0**-seed, METHODS[0], 0.1)
        for place, family in enumerate(("siren", "discrete"))
        for target in ("echo", "step")
        for seed in range(3)
    ]
    figure = draw(summaries(rows))
    assert [axes.get_title(loc="left") for axes in figure.axes[:2]] == ["a  echo", "b  step"]
    drawn = [(line.get_xdata().tolist(), line.get_ydata().tolist()) for line in figure.axes[0].get_lines()]
    assert drawn == [([15], [0.1]), ([64], [0.1])]  # 115 parameters are more than 4 budgets
    (legend,) = [axes.get_legend() for axes in figure.axes if axes.get_legend() is not None]
    assert [text.get_text() for text in legend.get_texts()] == ["siren", "discrete"]
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["64+", "32", "16", "8"]
