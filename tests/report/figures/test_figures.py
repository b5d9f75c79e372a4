"""Figures: what is drawn is what was given; odd inputs do not break them."""

import os
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest

from kernbench.analysis.spectrum import layer_spectrum
from kernbench.plotting.looks import FAMILIES, series_look
from kernbench.plotting.style import STYLE, as_svg, save, save_png, shades
from kernbench.report.figures.spreads import density_figure, spread_figure
from kernbench.report.figures.sweeps import sweep_figure, tolerance_figure
from kernbench.report.numbers.comparison import comparisons
from kernbench.ulm.cells.pictures import curve_figure, example_figure, kernel_figure


def drawn(axes):
    """Data of every line of a panel."""
    return [np.asarray(line.get_xydata()) for line in axes.lines]


def test_sweep_draws_means_intervals_and_failures(sweep):
    (comparison,) = comparisons(sweep)
    figure = sweep_figure(comparison)
    panel = figure.axes[0]
    for series in comparison.series:
        means = [point.interval.mean for point in series.scored]
        assert not means or any(
            data.shape == (len(means), 2) and np.allclose(data[:, 1], means) for data in drawn(panel)
        )
    crosses = [line for line in panel.lines if line.get_marker() == "x"]
    assert len(crosses) == 2
    comb = comparison.scored[0].floors()[0]
    assert any(np.allclose(data[:, 1], comb) for data in drawn(panel))
    assert any(f"blind comb {comb:.2f}" in text.get_text() for text in panel.texts)
    assert panel.get_xlabel() == "kernel size K [taps]"


def test_sweep_over_another_axis_names_it(make_run):
    runs = [make_run(params={"kernel_size": 131, "omega_0": w, "seed": 0}) for w in (10, 20, 30)]
    panel = sweep_figure(comparisons(runs)[0]).axes[0]
    assert panel.get_xlabel() == "omega_0"
    assert [label.get_text() for label in panel.get_xticklabels()] == ["10", "20", "30"]


def test_text_axis_and_families_without_the_axis(make_run):
    runs = [make_run(params={"init": name, "seed": 0}) for name in ("wide", "narrow")]
    runs.append(make_run("discrete", params={"seed": 0}))
    (comparison,) = comparisons(runs)
    panel = sweep_figure(comparison).axes[0]
    assert [label.get_text() for label in panel.get_xticklabels()] == ["narrow", "wide"]
    for draw in (tolerance_figure, spread_figure, density_figure):
        as_svg(draw(comparison))


def test_tolerance_figure_draws_every_point_and_floor(sweep):
    (comparison,) = comparisons(sweep)
    panel = tolerance_figure(comparison).axes[0]
    first = comparison.series[0]
    for point in first.scored:
        means = [point.f1(t).mean() for t in range(10)]
        assert any(np.array_equal(data[:, 1], means) for data in drawn(panel) if len(data) == 10)
    comb = [first.scored[0].floors(t)[0] for t in range(10)]
    assert any(np.array_equal(data[:, 1], comb) for data in drawn(panel) if len(data) == 10)


@pytest.mark.parametrize("draw", [tolerance_figure, density_figure])
def test_files_are_those_that_matplotlib_would_write(tmp_path, make_run, draw):
    (comparison,) = comparisons([make_run(kernel_size=size) for size in (9, 17, 65)])
    files = save(draw(comparison), tmp_path / "k_sweep.v1.quick")
    assert [path.name for path in files] == ["k_sweep.v1.quick.svg", "k_sweep.v1.quick.png"]
    figure = draw(comparison)
    with mpl.rc_context(STYLE):
        figure.savefig(tmp_path / "theirs.svg", metadata={"Date": None})
        figure.set_layout_engine("none")
        figure.savefig(tmp_path / "theirs.png", metadata={"Software": None})
    for file in files:
        assert file.read_bytes() == (tmp_path / f"theirs{file.suffix}").read_bytes()


@pytest.mark.parametrize("theirs", [{"text.usetex": True}, {"savefig.bbox": "tight", "axes.facecolor": "red"}])
def test_what_a_user_set_for_figures_of_their_own_is_of_no_matter(tmp_path, make_run, theirs):
    def written(name):
        (comparison,) = comparisons([make_run(kernel_size=9), make_run(kernel_size=17)])
        files = save(tolerance_figure(comparison), tmp_path / name)
        save_png(curve_figure({"epoch": [0, 1], "train_loss": [2, 1]}), tmp_path / f"{name}.curve", dpi=120)
        return [path.read_bytes() for path in (*files, tmp_path / f"{name}.curve")]

    usual = written("usual")
    with mpl.rc_context(theirs):
        assert written("other") == usual
        assert all(mpl.rcParams[name] == value for name, value in theirs.items())


def test_settings_that_keep_matplotlib_from_being_imported_are_one_line(tmp_path):
    (tmp_path / "matplotlibrc").write_bytes(b"text.usetex: \xff\n")
    program = "from kernbench.plotting.loading import check_matplotlib; check_matplotlib()"
    for folder, backend, said in ((tmp_path, "agg", "UnicodeDecodeError"), (tmp_path.parent, "nonsense", "nonsense")):
        command = [sys.executable, "-c", program]
        environment = {**os.environ, "MPLBACKEND": backend}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        last = done.stderr.splitlines()[-1]
        assert last.startswith("kernbench.errors.KernbenchError: matplotlib cannot be imported: ")
        assert said in last
        assert "correct MPLBACKEND" in last


def test_kernel_figure_draws_the_strongest_kernels():
    rng = np.random.default_rng(0)
    kernels = [rng.normal(size=(6, 33)) * np.arange(1, 7)[:, None] for _ in range(2)]
    spectra = [layer_spectrum(each) for each in kernels]
    figure = kernel_figure(kernels, [each.power for each in spectra], title="$\\bad{title")
    left, right = figure.axes[0], figure.axes[1]
    assert any(np.array_equal(data[:, 1], kernels[0][5]) for data in drawn(left) if len(data) == 33)
    assert [data[0, 0] for data in drawn(left) if len(data) == 33] == [-16] * 4
    assert any(np.allclose(data[:, 0], 1.7) for data in drawn(right))
    as_svg(figure)


@pytest.mark.parametrize(("side", "first"), [("causal", -8), ("anticausal", 0), ("centered", -4)])
def test_kernel_figure_puts_one_sided_kernels_at_their_lags(side, first):
    figure = kernel_figure([np.ones((1, 9))], [layer_spectrum(np.ones((1, 9))).power], side=side)
    (line,) = (data for data in drawn(figure.axes[0]) if len(data) == 9)
    assert line[:, 0].tolist() == list(range(first, first + 9))


def test_kernel_figure_takes_one_kernel_and_a_dead_layer():
    kernels = [np.ones((1, 5)), np.zeros((2, 5))]
    spectra = [layer_spectrum(each) for each in kernels]
    as_svg(kernel_figure(kernels, [each.power for each in spectra], kernels))


def test_example_figure_marks_labels_and_detections():
    counts, prediction = np.zeros(1000), np.zeros(1000)
    counts[[100, 500]], prediction[[101, 700]] = 1, 3.5
    figure = example_figure(np.sin(np.arange(1000)), counts, prediction, 0.2, 3000)
    ticks = {each.get_label(): each for each in figure.axes[2].collections}
    places = {name: sorted({path.vertices[0, 0] for path in each.get_paths()}) for name, each in ticks.items() if name}
    assert places["bubbles (label)"] == [3100, 3500]
    assert places["detections"] == [3101, 3700]
    assert figure.axes[2].get_ylim()[1] > 3.5


@pytest.mark.parametrize("length", [1, 40, 2048])
def test_example_figure_takes_empty_and_short_lines(length):
    nothing = np.zeros(length)
    as_svg(example_figure(nothing, nothing, nothing, 0.2))


def test_curve_figure_skips_epochs_without_validation():
    curve = {
        "epoch": [1, 2, 3, 4],
        "train_loss": [4, 3, 2, 1],
        "val_f1": [np.nan, 0.2, np.nan, 0.4],
        "rate": [1, 1, 0.1, 0.1],
    }
    figure = curve_figure(curve)
    assert any(np.array_equal(data, [[2, 0.2], [4, 0.4]]) for data in drawn(figure.axes[1]))
    assert any("rate drops to 0.1" in str(line.get_label()) for line in figure.axes[0].lines)


def test_looks_differ():
    # a name of any study has the look that it has alone
    looks = series_look([*FAMILIES, "my_kernel"])
    assert len(set(looks.values())) == len(FAMILIES) + 1
    assert all(series_look([name])[name] == look for name, look in looks.items())
    (_, further) = series_look([f"siren, h = {value}" for value in range(2)]).values()
    assert further not in looks.values()
    variants = series_look([f"siren, omega_0 = {value}" for value in range(8)])
    assert len(set(variants.values())) == 8
    assert {colour for colour, _, _ in variants.values()} == {looks["siren"][0]}
    assert len(set(shades(8))) == 8
